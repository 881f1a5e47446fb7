"""Question benchmark: four-option questions about unseen scenes, answered by a bundle as in use, with controls.

Controls: question only (no audio tokens), spatial tokens zeroed, ears exchanged with mirrored answers (right on both =
"all-correct"). What a model that cannot hear would score stands beside what the bundle scores. So does what its language
model would score with ideal ears, told the truth as those would hear it: the rest of the way to 100 % is reasoning.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.hearing.objects import class_of, projector_inputs
from earshot.runtime.labels import load_labels
from earshot.runtime.language.answerer import Answer
from earshot.runtime.language.heard import Heard, asked_rows, names_heard
from earshot.training.benchmark.controls import mirrored_item, without_spatial
from earshot.training.benchmark.loaded_bundle import load_bundle
from earshot.training.benchmark.stems import open_stems
from earshot.training.questions.generate import generate_items
from earshot.training.questions.items import Balancer, Item
from earshot.training.stages.bank import BankSettings, mix_scene
from earshot.training.stages.ideal_hearing import ideal_inputs
from earshot.training.synthesis.dataset import iterate_scenes
from earshot.training.synthesis.scenes import Scene, fully_known

LEVELS = ("L1", "L2", "L3")
BENCH_MIX = BankSettings(mixtures=1, source_counts=(0.02, 0.23, 0.40, 0.35), swap_probability=0.0, seed=23)


@dataclass(frozen=True)
class Question:
    """One benchmark item with the audio it is about, and the scene, which only the control with ideal ears is told."""

    item: Item
    audio: NDArray[np.float32]
    scene: Scene


def make_questions(data: Path, count: int, split: str = "paraphrase", seed: int = 23) -> list[Question]:
    """Four-option items over mixtures of validation stems, phrasings never trained on, positions balanced.

    Parameters
    ----------
    data : Path
        Folder of validation stem shards.
    count : int
        Number of items; about three per scene.
    split : {"paraphrase", "train"}
    seed : int

    Raises
    ------
    UsageError
        There is no such split.
    InputError
        Nothing can be asked about these stems.
    """
    if split not in ("paraphrase", "train"):
        raise UsageError(f"--split {split}: choose paraphrase or train")
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    balancer = Balancer()
    out: list[Question] = []
    work = [(s, row) for s, row in iterate_scenes(open_stems(data)) if fully_known(s.scenes[row])]
    while len(out) < count:
        before = len(out)
        for shard, row in work:
            scene, audio = mix_scene(shard, row, BENCH_MIX, rng)
            items = generate_items(scene, draw, 8, balancer, split)  # type: ignore[arg-type]
            chosen = [item for item in items if item.form == "choice"][:3]
            out += [Question(item, audio, scene) for item in chosen]
            if len(out) >= count:
                break
        if len(out) == before:
            raise InputError(
                f"{data}: no scene whose distances are all known, so nothing can be asked; give other stems"
            )
    return out[:count]


def content_hash(questions: list[Question]) -> str:
    """Hash of all items and all audio, printed with every score."""
    digest = hashlib.sha256()
    for question in questions:
        digest.update(json.dumps(question.item.to_json(), sort_keys=True).encode())
        digest.update(np.rint(question.audio * 32767).astype(np.int16).tobytes())
    return digest.hexdigest()[:16]


class Examiner:
    """Asks a bundle the questions under every condition; hearing of the same audio is shared."""

    def __init__(self, bundle: Path, think: bool = True) -> None:
        self._bundle, self._think = load_bundle(bundle), think
        self._cache: dict[tuple[int, bool], HearingWindow] = {}

    def straight(self, question: Question) -> bool:
        """Whether the bundle chooses the right option, as in use."""
        return self._right(question.item, self.heard(question))

    def heard(self, question: Question) -> Heard:
        """What the bundle hears, asked this question."""
        return self._bundle.embed(self._window(question), question.item.question, question.item.choices)

    def blind(self, question: Question) -> bool:
        """... without any audio token."""
        return self._right(question.item, self._bundle.embed(None, question.item.question))

    def zeroed(self, question: Question) -> bool:
        """... without directions, distances, levels and room."""
        window, item = self._window(question), question.item
        if not len(window.tokens):
            return self.blind(question)
        asked = asked_rows(self._bundle.encoders, window, item.question, item.choices)
        inputs = without_spatial(projector_inputs(window.tokens, asked))
        return self._right(item, Heard(self._bundle.encoders.project_inputs(inputs), names_heard(window.tokens, asked)))

    def swapped(self, question: Question) -> bool:
        """... with exchanged ears, asked the mirrored question."""
        item = mirrored_item(question.item)
        return self._right(item, self._bundle.embed(self._window(question, swapped=True), item.question, item.choices))

    def ideal(self, question: Question, seed: int) -> bool:
        """... when it is told what ideal ears would hear."""
        return self._right(question.item, self.ideally_heard(question, seed))

    def ideally_heard(self, question: Question, seed: int) -> Heard:
        """What ideal ears would hear."""
        inputs = ideal_inputs(question.scene, np.random.default_rng(seed))
        names = tuple(load_labels()[class_of(row)].spoken for row in inputs.objects[:-1])
        return Heard(self._bundle.encoders.project_inputs(inputs), names)

    def answer(self, question: str, heard: Heard) -> Answer:
        """An answer without options, with its reasoning."""
        return self._bundle.answerer.answer(question, heard, None, self._think)

    def _window(self, question: Question, swapped: bool = False) -> HearingWindow:
        key = (id(question.audio), swapped)
        if key not in self._cache:
            self._cache[key] = self._bundle.hear(question.audio[::-1] if swapped else question.audio)
        return self._cache[key]

    def _right(self, item: Item, heard: Heard) -> bool:
        choices = list(item.choices or ())
        return self._bundle.answerer.answer(item.question, heard, choices, self._think).choice == item.choice


def run_questions(
    bundle: Path, data: Path, count: int = 510, controls: bool = True, split: str = "paraphrase", think: bool = True
) -> dict[str, Any]:
    """Score a bundle; see the module's docstring.

    Returns
    -------
    dict
        ``hash``, ``overall``, ``L1``..``L3``, ``by_task``, and under ``controls`` the same for each condition.
    """
    questions = make_questions(data, count, split)
    examiner = Examiner(bundle, think)
    straight = _each(examiner.straight, questions, "questions")
    report: dict[str, Any] = {"hash": content_hash(questions), "items": len(questions), **_scores(questions, straight)}
    report["by_task"] = _by_task(questions, straight)
    if not controls:
        return report
    blind = _each(examiner.blind, questions, "question only")
    zeroed = _each(examiner.zeroed, questions, "spatial tokens zeroed")
    swapped = _each(examiner.swapped, questions, "ears exchanged")
    numbers = itertools.count()
    ideal = _each(lambda question: examiner.ideal(question, next(numbers)), questions, "ideal hearing")
    both = [a and b for a, b in zip(straight, swapped, strict=True)]
    report["controls"] = {
        "question_only": _scores(questions, blind),
        "spatial_zeroed": _scores(questions, zeroed),
        "ears_swapped": _scores(questions, swapped),
        "ear_swap_all_correct": _scores(questions, both),
        "ideal_hearing": _scores(questions, ideal),
    }
    return report


def _each(ask: Callable[[Question], bool], questions: list[Question], description: str) -> list[bool]:
    return [ask(question) for question in track(questions, description=description, console=Console(stderr=True))]


def _scores(questions: list[Question], right: list[bool]) -> dict[str, float]:
    out = {"overall": float(np.mean(right))}
    for level in LEVELS:
        of_level = [r for q, r in zip(questions, right, strict=True) if q.item.level == level]
        out[level] = float(np.mean(of_level)) if of_level else float("nan")
    return out


def _by_task(questions: list[Question], right: list[bool]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for question, value in zip(questions, right, strict=True):
        groups[f"{question.item.level} {question.item.task}"].append(value)
    return {name: {"items": len(v), "accuracy": float(np.mean(v))} for name, v in sorted(groups.items())}
