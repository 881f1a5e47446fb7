"""Recordings made of real clips through a measured room, with questions and truth: the closest to real use without microphones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from earshot.runtime.errors import InputError
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.labels import by_key
from earshot.runtime.scene.words import sector8
from earshot.training.benchmark.answers import read_lines
from earshot.training.synthesis.dataset import DataFolders, build_world
from earshot.training.synthesis.events import prepare
from earshot.training.synthesis.render import World
from earshot.training.synthesis.rooms import MeasuredResponse

SAMPLE_RATE_HZ = 16_000
DURATION_S = 6.0
NOISE_DB = -40.0


@dataclass(frozen=True)
class Placed:
    """A clip played from a measured direction."""

    key: str
    clip: str
    response: MeasuredResponse


def make_recordings(data: Path, out: Path, count: int, room: str = "bbcrd", seed: int = 5) -> Path:
    """Write recordings, ``items.jsonl`` (for ``earshot ask --batch``) and ``truth.jsonl``.

    Parameters
    ----------
    data : Path
        Folder with events/, hrtf/, brir/.
    out : Path
        Folder for the files.
    count : int
        Number of recordings; every third one has two sources.
    room : str
        Folder name of a measured room that training never saw.
    seed : int

    Returns
    -------
    Path
        The items file.
    """
    world = build_world(DataFolders(data), "validation")
    responses = [r for r in world.measured if r.room == room and abs(r.elevation_deg) < 45]
    if len(responses) < 2:
        raise InputError(
            f"{data / 'brir'}: no measured responses of the room {room!r}; give the folder that holds them"
        )
    rng = np.random.default_rng(seed)
    out.mkdir(parents=True, exist_ok=True)
    items: list[dict[str, Any]] = []
    truths: list[dict[str, Any]] = []
    for number in range(count):
        placed = _place(world, responses, 2 if number % 3 == 2 else 1, rng)
        name = f"{room}-{number:03d}.wav"
        soundfile.write(out / name, _record(world, placed, rng).T, SAMPLE_RATE_HZ, subtype="PCM_16")
        for question, truth in _questions(placed):
            identity = f"{room}-{number:03d}-{len(items)}"
            items.append({"id": identity, "audio": name, "question": question})
            truths.append({"id": identity, "question": question, **truth})
    _write_lines(out / "items.jsonl", items)
    _write_lines(out / "truth.jsonl", truths)
    return out / "items.jsonl"


def _place(world: World, responses: list[MeasuredResponse], count: int, rng: np.random.Generator) -> list[Placed]:
    keys = rng.choice(world.events.keys(), count, replace=False)
    while True:
        chosen = [responses[i] for i in rng.choice(len(responses), count, replace=False)]
        angles = [r.azimuth_deg for r in chosen]
        if count == 1 or angle_between_azimuths(angles[0], angles[1]) >= 45:
            break
    clips = [world.events.clips(str(key)) for key in keys]
    return [
        Placed(str(key), options[rng.integers(len(options))].name, response)
        for key, options, response in zip(keys, clips, chosen, strict=True)
    ]


def _record(world: World, placed: list[Placed], rng: np.random.Generator) -> NDArray[np.float32]:
    length = int(DURATION_S * SAMPLE_RATE_HZ)
    mixture = np.zeros((2, length), np.float32)
    for number, source in enumerate(placed):
        clip = next(c for c in world.events.clips(source.key) if c.name == source.clip)
        event = prepare(world.events.samples(clip, rng), source.key, 4.0, rng)
        wet = oaconvolve(np.broadcast_to(event, (2, len(event))), source.response.samples(), axes=1)
        start = int((0.3 + 1.2 * number) * SAMPLE_RATE_HZ)
        stop = min(length, start + wet.shape[1])
        mixture[:, start:stop] += wet[:, : stop - start]
    level = np.sqrt((mixture**2).mean()) + 1e-9
    mixture += rng.standard_normal(mixture.shape) * level * 10 ** (NOISE_DB / 20)
    return np.asarray(0.5 * mixture / np.abs(mixture).max(), np.float32)


def _questions(placed: list[Placed]) -> list[tuple[str, dict[str, Any]]]:
    first = placed[0]
    label = by_key(first.key)
    where = {"azimuth_deg": first.response.azimuth_deg, "label": label.name, "room": first.response.room}
    if len(placed) == 1:
        return [
            (f"Where is {label.definite}?", {**where, "truth": sector8(first.response.azimuth_deg)}),
            ("What do you hear?", {**where, "truth": label.article}),
        ]
    second = by_key(placed[1].key)
    left = max(placed, key=lambda p: np.sin(np.deg2rad(p.response.azimuth_deg)))
    return [
        (f"Where is {label.definite}?", {**where, "truth": sector8(first.response.azimuth_deg)}),
        (
            f"Which is further left, {label.definite} or {second.definite}?",
            {**where, "truth": by_key(left.key).definite},
        ),
    ]


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def table(folder: Path, answers: Path) -> str:
    """Markdown table of question, answer, truth, and the azimuth error of the sound asked for (if it was heard).

    Raises
    ------
    InputError
        The answers, or the truth in `folder`, cannot be read.
    """
    given = {row["id"]: row for row in read_lines(answers)}
    lines = ["| id | question | answer | truth | azimuth truth / heard |", "|---|---|---|---|---|"]
    for row in read_lines(folder / "truth.jsonl"):
        answer = given.get(row["id"], {})
        heard = [s["azimuth_deg"] for s in answer.get("sources", []) if s["label"] == row["label"]]
        text = str(answer.get("answer", answer.get("error", "-"))).replace("|", "/")
        question = row["question"]
        lines.append(
            f"| {row['id']} | {question} | {text} | {row['truth']} | "
            f"{row['azimuth_deg']:.0f} / {f'{heard[0]:.0f}' if heard else 'not heard'} |"
        )
    return "\n".join(lines)
