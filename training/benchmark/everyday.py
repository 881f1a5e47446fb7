"""Everyday questions: no options, in the words of people who saw none of the wordings in training.

The four-option benchmark tells what can be chosen; this one whether a question is understood as people put it, and answered in
a sentence. The wordings (`strangers.json`) were written from a description of each kind alone; those that training happens to
use as well are left out. Every question is asked twice: of what the bundle hears, and of what ideal ears would hear, so that
misunderstanding and mishearing stand apart.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from earshot.runtime.errors import InputError
from earshot.runtime.language.heard import Heard
from earshot.runtime.language.prompt import ASKED
from earshot.training.benchmark.free_answers import judge_free
from earshot.training.benchmark.questions import BENCH_MIX, Examiner, Question
from earshot.training.benchmark.statistics import accuracy, interval
from earshot.training.benchmark.stems import open_stems
from earshot.training.questions.items import TASKS, Balancer, Draft, Form, Item
from earshot.training.questions.phrasing import bare, filled, phrasings
from earshot.training.questions.tasks_l2 import OPPOSITES, RELATIONS
from earshot.training.questions.tasks_motion import view_moving_scene
from earshot.training.questions.tasks_spoken import spoken_draft
from earshot.training.questions.think import understood
from earshot.training.questions.view import SceneView
from earshot.training.stages.bank import mix_scene
from earshot.training.synthesis.dataset import iterate_scenes
from earshot.training.synthesis.scenes import Scene, fully_known

SEED = 41
PER_SCENE = 3
DRAFTS = 60
"""Drafts of a scene among which the kinds that were asked least are chosen."""
BOOTSTRAP = 1000
LEVELS = ("L1", "L2", "L3")
_OTHER_END = dict(zip(RELATIONS, OPPOSITES, strict=True))
CONVERSE = _OTHER_END | {opposite: name for name, opposite in _OTHER_END.items()}
"""Whether the dog is closer than the cat is whether the cat is farther than the dog."""
_FORMS: tuple[Form, ...] = ("open", "number", "yesno")


@dataclass(frozen=True)
class Everyday:
    """A question, what it is about, and what understanding it means.

    Attributes
    ----------
    question : Question
        Item, audio and scene.
    kind : str
        Kind of question, as in `strangers.json`.
    meanings : tuple of str
        The lines that state it rightly; the angle between two sounds has two, and whether one is closer than another.
    """

    question: Question
    kind: str
    meanings: tuple[str, ...]


def make_everyday(data: Path, count: int, seed: int = SEED) -> list[Everyday]:
    """Questions about mixtures of validation stems, kinds in even shares.

    Parameters
    ----------
    data : Path
        Folder of validation stem shards.
    count : int
    seed : int

    Raises
    ------
    InputError
        Nothing can be asked about these stems.
    """
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    work = [(shard, row) for shard, row in iterate_scenes(open_stems(data)) if fully_known(shard.scenes[row])]
    asked: Counter[str] = Counter()
    balancer = Balancer()
    out: list[Everyday] = []
    while len(out) < count:
        before = len(out)
        for shard, row in work:
            scene, audio = mix_scene(shard, row, BENCH_MIX, rng)
            out += _of_scene(scene, audio, asked, balancer, draw)
            if len(out) >= count:
                break
        if len(out) == before:
            raise InputError(f"{data}: no scene that everyday questions can be asked about; give other stems")
    return out[:count]


def run_everyday(bundle: Path, data: Path, count: int = 500) -> dict[str, Any]:
    """Ask a bundle everyday questions; see the module's docstring.

    Returns
    -------
    dict
        ``hash``, ``items``; ``understood`` and ``right`` of what was heard, ``ideal_understood`` and ``ideal_right`` of what
        ideal ears hear (shares with 95 % intervals), ``by_kind`` the same four as plain shares.
    """
    questions = make_everyday(data, count)
    examiner = Examiner(bundle)
    records = [
        _asked(examiner, one, number)
        for number, one in enumerate(track(questions, "everyday questions", console=Console(stderr=True)))
    ]
    return {"hash": content_hash(questions), "items": len(questions), **_shares(records), "by_kind": _by_kind(records)}


def content_hash(questions: Sequence[Everyday]) -> str:
    """Hash of all items and all audio."""
    digest = hashlib.sha256()
    for one in questions:
        digest.update(json.dumps(one.question.item.to_json(), sort_keys=True).encode())
        digest.update(np.rint(one.question.audio * 32767).astype(np.int16).tobytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def strangers() -> dict[str, tuple[str, ...]]:
    """Wordings by kind that training does not use."""
    text = Path(__file__).with_name("strangers.json").read_text(encoding="utf-8")
    trained = {bare(wording) for wordings in phrasings("train").values() for wording in wordings}
    return {kind: tuple(w for w in wordings if bare(w) not in trained) for kind, wordings in json.loads(text).items()}


def _of_scene(
    scene: Scene, audio: NDArray[np.float32], asked: Counter[str], balancer: Balancer, rng: random.Random
) -> Iterator[Everyday]:
    """The questions of one scene, of the kinds that were asked least so far, yes as often as no."""
    labels = [source["label"] for source in scene["sources"]]
    if len(set(labels)) != len(labels):
        return
    view = view_moving_scene(scene)
    drafts: dict[str, tuple[str, str, Form, Draft]] = {}
    for _ in range(DRAFTS):
        drafted = _draft(view, rng)
        if drafted is not None and drafted[3].ask in strangers():
            drafts.setdefault(drafted[3].ask, drafted)
    kinds = sorted(drafts, key=lambda kind: (asked[kind], rng.random()))
    for kind in islice((kind for kind in kinds if balancer.accept(drafts[kind][3].balance)), PER_SCENE):
        level, task, form, draft = drafts[kind]
        text = filled(rng.choice(strangers()[kind]), draft.slots, rng)
        identity = f"{view.scene_id}-{kind}-{asked[kind]}"
        asked[kind] += 1
        item = Item(
            identity,
            view.scene_id,
            level,
            task,
            form,
            text[:1].upper() + text[1:],
            None,
            draft.answer,
            None,
            "",
            draft.truth,
        )
        yield Everyday(Question(item, audio, scene), kind, _meanings(draft))


def _draft(view: SceneView, rng: random.Random) -> tuple[str, str, Form, Draft] | None:
    """Level, task, form and draft of any question without options."""
    if rng.random() < 0.5:
        level = rng.choice(LEVELS)
        found = spoken_draft(level, view, rng)
        return None if found is None else (level, *found)
    task = rng.choice(list(TASKS.values()))
    forms = [form for form in _FORMS if form in task.forms]
    if not forms:
        return None
    form = rng.choice(forms)
    draft = task.make(view, form, rng)
    return None if draft is None else (task.level, task.name, form, draft)


def _meanings(draft: Draft) -> tuple[str, ...]:
    """What may be stated: the angle between two is that of the other to the one, and a comparison turned round is the same."""
    said = understood(draft.ask, draft.slots)
    name, _, form = draft.ask.partition(".")
    exchanged = {"x": draft.slots.get("y"), "y": draft.slots.get("x")}
    if draft.ask == "between.ask":
        return said, understood(draft.ask, exchanged)
    if form == "yesno" and name in CONVERSE:
        return said, understood(f"{CONVERSE[name]}.yesno", exchanged)
    return (said,)


def _asked(examiner: Examiner, one: Everyday, number: int) -> dict[str, Any]:
    record: dict[str, Any] = {"scene": one.question.item.scene, "kind": one.kind}
    heard = (("", examiner.heard(one.question)), ("ideal_", examiner.ideally_heard(one.question, number)))
    for prefix, told in heard:
        record[f"{prefix}understood"], record[f"{prefix}right"] = _answered(examiner, one, told)
    return record


def _answered(examiner: Examiner, one: Everyday, heard: Heard) -> tuple[bool, bool]:
    """Whether the question was understood, and whether its answer is right."""
    answer = examiner.answer(one.question.item.question, heard)
    stated = next((line for line in answer.reasoning.splitlines() if line.startswith(ASKED)), "")
    return stated in one.meanings, judge_free(one.question.item, answer.text)


FIGURES = ("understood", "right", "ideal_understood", "ideal_right")


def _shares(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: interval([{"scene": r["scene"], "correct": r[name]} for r in records], accuracy, BOOTSTRAP).to_json()
        for name in FIGURES
    }


def _by_kind(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["kind"]].append(record)
    return {
        kind: {"items": len(group), **{name: float(np.mean([r[name] for r in group])) for name in FIGURES}}
        for kind, group in sorted(groups.items())
    }
