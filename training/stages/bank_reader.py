"""Reads a feature bank: pooled encoder features of rendered scenes, one row per audio token, next to the scenes' truth.

Layout of the directory: `scenes.jsonl` (scene JSON with `bank_row`, the first row, and `tokens`, the number of rows),
`semantic.npy [R, 317]`, `scene.npy [R, 134]`, `slots.npy [R, 4, 107]`, float16.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from earshot.runtime.errors import InputError
from earshot.runtime.hearing.objects import ProjectorInputs, projector_inputs
from earshot.runtime.hearing.tokens import Tokens

WIDTHS = {"semantic": (317,), "scene": (134,), "slots": (4, 107)}


class FeatureBank:
    """A bank on disk; rows are memory-mapped, so a large bank costs no memory.

    Parameters
    ----------
    directory : Path
        Where `training/stages/bank.py` wrote it.

    Raises
    ------
    InputError
        When a file is missing, or its shape is not that of docs/architecture.md, or a scene lies outside of it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if not (directory / "scenes.jsonl").is_file():
            raise InputError(
                f"no feature bank at {directory} (scenes.jsonl is missing): make one from rendered scenes first"
            )
        lines = (directory / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
        self.scenes: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
        self._check()

    def __len__(self) -> int:
        return len(self.scenes)

    @cached_property
    def _rows(self) -> dict[str, Any]:
        return {name: _open(self.directory / f"{name}.npy", width) for name, width in WIDTHS.items()}

    def _check(self) -> None:
        rows = min(len(array) for array in self._rows.values())
        for scene in self.scenes:
            if scene["bank_row"] < 0 or scene["tokens"] < 1 or scene["bank_row"] + scene["tokens"] > rows:
                raise InputError(
                    f"scene {scene['id']} of {self.directory} lies outside the {rows} rows of the bank: make it again"
                )

    def audio(self, index: int) -> ProjectorInputs:
        """What the projector sees of one scene."""
        scene = self.scenes[index]
        rows = slice(scene["bank_row"], scene["bank_row"] + scene["tokens"])
        parts = (np.asarray(self._rows[name][rows], dtype=np.float32) for name in WIDTHS)
        return projector_inputs(Tokens(*parts))


def _open(path: Path, width: tuple[int, ...]) -> Any:
    if not path.is_file():
        raise InputError(f"feature bank file {path} is missing: make the bank again")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape[1:] != width:
        raise InputError(f"{path} has rows of shape {array.shape[1:]}, not {width}: it was made by other encoders")
    return array
