"""A small feature bank whose features spell out the truth, so that stages can be tested without encoders or audio."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np

from earshot.runtime.hearing.objects import OBJECT_WIDTH, object_rows
from earshot.runtime.hearing.tokens import Tokens
from earshot.runtime.labels import class_id
from earshot.training.questions.scenes import sample_scene


def make_fake_bank(directory: Path, scenes: int = 40, seed: int = 0) -> Path:
    """Write `scenes` abstract scenes with features as ideal encoders would give them, plus a little noise.

    In every third one the first sound is not told of, but found when it is named.
    """
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, list[Any]] = {"semantic": [], "scene": [], "slots": [], "asked": [np.zeros((0, OBJECT_WIDTH))]}
    lines, row, asked_row = [], 0, 0
    for number in range(scenes):
        scene = sample_scene(rng, f"fake-{number}")
        count = math.ceil(scene["duration_s"] / 0.4)
        semantic, around = noise.normal(0, 0.1, (count, 317)), noise.normal(0, 0.1, (count, 134))
        slots = _slots(scene, count)
        asked = np.zeros((0, OBJECT_WIDTH))
        if number % 3 == 0 and scene["sources"]:
            asked = np.stack(list(object_rows(Tokens(semantic, around, slots[:, :1])).values()))
            slots[:, 0] = 0.0
        for name, part in {"semantic": semantic, "scene": around, "slots": slots, "asked": asked}.items():
            arrays[name].append(part)
        place = {"bank_row": row, "tokens": count, "asked_rows": [asked_row, asked_row + len(asked)]}
        lines.append(json.dumps({**scene, **place}))
        row, asked_row = row + count, asked_row + len(asked)
    for name, parts in arrays.items():
        np.save(directory / f"{name}.npy", np.concatenate(parts).astype(np.float16))
    (directory / "scenes.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


def _slots(scene: dict[str, Any], count: int) -> np.ndarray:
    slots = np.zeros((count, 4, 107))
    for index, source in enumerate(scene["sources"]):
        point = source["trajectory"][0]
        active = range(int(source["onset_s"] / 0.4), min(count, int(source["offset_s"] / 0.4) + 1))
        azimuth, elevation = math.radians(point["azimuth_deg"]), math.radians(point["elevation_deg"])
        level = math.cos(elevation)
        for token in active:
            slot = slots[token, index]
            slot[class_id(source["label"])] = 1.0
            slot[61:66] = 1.0
            slot[66 + int((point["azimuth_deg"] + 180) // 10) % 36] = 1.0
            slot[102:105] = level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)
            slot[105] = math.log(point["distance_m"])
            slot[106] = 0.1 * source["level_db"]
    return slots
