"""Reads a feature bank: pooled encoder features of rendered scenes, one row per audio token, next to the scenes' truth.

Layout of the directory: `scenes.jsonl` (scene JSON with `bank_row`, the first row, `tokens`, the number of rows, and `asked_rows`,
first and end in `asked.npy`), `semantic.npy [R, 317]`, `scene.npy [R, 134]`, `slots.npy [R, 4, 107]`, and `asked.npy [A, 299]`, the
objects that a question finds by naming them; float16.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from earshot.runtime.errors import InputError
from earshot.runtime.hearing.objects import OBJECT_WIDTH, ProjectorInputs, class_of, projector_inputs
from earshot.runtime.hearing.tokens import Tokens
from earshot.runtime.scene.naming import named_classes
from earshot.training.questions.items import Item

WIDTHS = {"semantic": (317,), "scene": (134,), "slots": (4, 107)}
ASKED_WIDTH = (OBJECT_WIDTH,)


class FeatureBank:
    """A bank on disk; rows are memory-mapped, so a large bank costs no memory.

    Parameters
    ----------
    directory : Path
        Where `training/stages/bank.py` wrote it.

    Raises
    ------
    InputError
        When a file is missing or damaged, or its shape is not that of docs/architecture.md, or a scene lies outside of it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if not (directory / "scenes.jsonl").is_file():
            raise InputError(
                f"no feature bank at {directory} (scenes.jsonl is missing): make one from rendered scenes first"
            )
        try:
            lines = (directory / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
            self.scenes: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
            self._check()
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{directory}: a damaged feature bank ({error}): make it again") from error
        if not self.scenes:
            raise InputError(f"{directory}: a feature bank without scenes: make it again")

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def splits(self) -> set[str]:
        """The splits that its scenes are of."""
        return {scene.get("split", "") for scene in self.scenes}

    @cached_property
    def _rows(self) -> dict[str, Any]:
        return {name: _open(self.directory / f"{name}.npy", width) for name, width in WIDTHS.items()}

    @cached_property
    def _asked(self) -> Any:
        return _open(self.directory / "asked.npy", ASKED_WIDTH)

    def _check(self) -> None:
        asked = len(self._asked)
        rows = min(len(array) for array in self._rows.values())
        for scene in self.scenes:
            begin, end = scene.get("asked_rows", (0, -1))
            inside = 0 <= begin <= end <= asked
            if not inside or scene["bank_row"] < 0 or scene["tokens"] < 1 or scene["bank_row"] + scene["tokens"] > rows:
                raise InputError(
                    f"scene {scene['id']} of {self.directory} lies outside the {rows} rows of the bank: make it again"
                )

    def audio(self, index: int, question: Item | None = None) -> ProjectorInputs:
        """What the projector sees of one scene.

        Parameters
        ----------
        index : int
            Of the scene.
        question : Item, optional
            What asking for the sounds that it and its options name finds is seen as well.
        """
        scene = self.scenes[index]
        rows = slice(scene["bank_row"], scene["bank_row"] + scene["tokens"])
        parts = (np.asarray(self._rows[name][rows], dtype=np.float32) for name in WIDTHS)
        named = () if question is None else named_classes([question.question, *(question.choices or ())])
        found = np.asarray(self._asked[slice(*scene["asked_rows"])], dtype=np.float32)
        asked = [row for row in found if class_of(row) in named]
        return projector_inputs(Tokens(*parts), np.stack(asked) if asked else None)


def training_bank(directory: Path) -> FeatureBank:
    """A bank to learn from.

    Raises
    ------
    InputError
        As `FeatureBank`, or its scenes are those that are kept from training.
    """
    bank = FeatureBank(directory)
    if "validation" in bank.splits:
        raise InputError(
            f"{directory}: a bank of validation scenes, which training must not see: make one of training stems with "
            "`earshot train bank`"
        )
    return bank


def held_out_bank(directory: Path, learned: FeatureBank) -> FeatureBank:
    """A bank to probe with, of scenes that no stage has seen.

    Parameters
    ----------
    directory : Path
    learned : FeatureBank
        What is learned from.

    Raises
    ------
    InputError
        As `FeatureBank`, or its scenes are those of training.
    """
    bank = FeatureBank(directory)
    if "train" in bank.splits or {scene["id"] for scene in bank.scenes} & {scene["id"] for scene in learned.scenes}:
        raise InputError(
            f"{directory}: a bank of scenes that training sees, so its probes would show what was learned by heart: make one "
            "of stems of `earshot synth stems FOLDER --split validation`"
        )
    return bank


def _open(path: Path, width: tuple[int, ...]) -> Any:
    if not path.is_file():
        raise InputError(f"feature bank file {path} is missing: make the bank again")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape[1:] != width:
        raise InputError(f"{path} has rows of shape {array.shape[1:]}, not {width}: it was made by other encoders")
    return array
