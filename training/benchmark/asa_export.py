"""ASA-bench for other systems: items and audio in a folder, and answers read back in.

    DIR/items.jsonl   one object per line: id, audio, question, choices (null for free answers), form
    DIR/audio/*.wav   binaural, 16 kHz, 16 bit, left ear first
    DIR/truth.jsonl   the same ids with everything that is known; not to be shown to the system

``earshot ask --batch DIR/items.jsonl --out answers.jsonl`` answers the items as they are. Controls whose audio can be
written (options rotated, ears exchanged, audio of another clip) are items of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from earshot.runtime.errors import UsageError
from earshot.training.benchmark.answers import read_answers
from earshot.training.benchmark.asa_clips import SAMPLE_RATE_HZ, AsaClip, mix
from earshot.training.benchmark.asa_probes import Probe
from earshot.training.synthesis.dataset import Shard


def export_items(folder: Path, probes: Sequence[Probe], clips: Sequence[AsaClip], shards: Sequence[Shard]) -> Path:
    """Write items, audio and truth; returns the items file.

    Raises
    ------
    UsageError
        The folder cannot be written.
    """
    plain = [probe for probe in probes if probe.treatment == "plain"]
    wanted = {(probe.clip, probe.swapped) for probe in plain}
    try:
        (folder / "audio").mkdir(parents=True, exist_ok=True)
        for clip in clips:
            ears = [swapped for swapped in (False, True) if (clip.id, swapped) in wanted]
            samples = mix(shards, clip) if ears else None
            for swapped in ears:
                assert samples is not None
                rows = samples[::-1] if swapped else samples
                soundfile.write(folder / _audio(clip.id, swapped), rows.T, SAMPLE_RATE_HZ, subtype="PCM_16")
        _write(folder / "items.jsonl", [_item(probe) for probe in plain])
        _write(folder / "truth.jsonl", [{**p.item.to_json(), "condition": p.condition, "of": p.base} for p in plain])
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
    return folder / "items.jsonl"


def read_predictions(path: Path, probes: Sequence[Probe]) -> dict[str, dict[str, Any]]:
    """Answer lines of any system by id.

    Raises
    ------
    InputError
        The file cannot be read, or holds an answer to no question of this benchmark.
    """
    hint = "; were the items exported from the same stems, with the same size?"
    return read_answers(path, {probe.item.id for probe in probes}, "question", hint)


def _audio(clip: str, swapped: bool) -> str:
    return f"audio/{clip}{'-swapped' if swapped else ''}.wav"


def _item(probe: Probe) -> dict[str, Any]:
    item = probe.item
    return {
        "id": item.id,
        "audio": _audio(probe.clip, probe.swapped),
        "question": item.question,
        "choices": list(item.choices) if item.choices else None,
        "form": item.form,
    }


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
