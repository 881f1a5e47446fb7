"""A small feature bank whose features spell out the truth, so that stages can be tested without encoders or audio."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np

from earshot.runtime.labels import class_id
from earshot.training.questions.scenes import sample_scene


def make_fake_bank(directory: Path, scenes: int = 40, seed: int = 0) -> Path:
    """Write `scenes` abstract scenes with features as ideal encoders would give them, plus a little noise."""
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, list[Any]] = {"semantic": [], "scene": [], "slots": []}
    lines, row = [], 0
    for number in range(scenes):
        scene = sample_scene(rng, f"fake-{number}")
        count = math.ceil(scene["duration_s"] / 0.4)
        arrays["semantic"].append(noise.normal(0, 0.1, (count, 317)))
        arrays["scene"].append(noise.normal(0, 0.1, (count, 134)))
        arrays["slots"].append(_slots(scene, count))
        lines.append(json.dumps({**scene, "bank_row": row, "tokens": count}))
        row += count
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
