"""Questions of ASA-bench: four options on three levels, free answers, and twins about sounds that are there or not.

What makes the set hard to fool: phrasings never trained on; tasks in even shares; the right option on every letter
equally often; and every question about an absent sound asked, word for word, about a clip in which it sounds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from earshot.runtime.errors import InputError
from earshot.runtime.labels import by_key
from earshot.training.benchmark.asa_clips import AsaClip
from earshot.training.benchmark.controls import rotated_item
from earshot.training.benchmark.free_answers import judge_free
from earshot.training.questions.generate import make_item, tasks_of
from earshot.training.questions.items import Balance, Balancer, Form, Item, Task
from earshot.training.questions.phrasing import ask
from earshot.training.questions.tasks_motion import view_moving_scene
from earshot.training.questions.view import SceneView

LEVELS = ("L1", "L2", "L3")
FREE_FORMS: tuple[Form, ...] = ("open", "number")
TWIN_KINDS: tuple[tuple[str, Form], ...] = (
    ("presence.yesno", "yesno"), ("where.open", "open"), ("where.number", "number"), ("distance.number", "number"),
    ("when.open", "open"),
)  # fmt: skip
"""Phrasings that presuppose, more or less, that the sound is there."""
MOST_PASSES = 40
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class AsaItems:
    """All questions; ``scene`` of an item is the clip it is about.

    Attributes
    ----------
    choice, free : list of Item
    absent, present : list of Item
        Twins: number n of both is the same question.
    """

    choice: list[Item]
    free: list[Item]
    absent: list[Item]
    present: list[Item]

    def __iter__(self) -> Iterator[Item]:
        yield from (*self.choice, *self.free, *self.absent, *self.present)


def make_asa_items(clips: Sequence[AsaClip], sizes: Sizes, seed: int) -> AsaItems:
    """Draw the questions about some clips.

    Parameters
    ----------
    clips : sequence of AsaClip
    sizes : mapping
        Numbers of ``L1``, ``L2``, ``L3``, ``open`` and ``absent`` questions.
    seed : int

    Raises
    ------
    InputError
        The clips hold too few clear questions of a kind.
    """
    balancer = Balancer()
    for clip in clips:
        balancer.see(view_moving_scene(clip.scene).heard)
    views = [view_moving_scene(clip.scene, balancer.pool) for clip in clips]
    rng = random.Random(seed)
    choice: list[Item] = []
    for level in LEVELS:
        pairs: list[tuple[Task, Form]] = [(task, "choice") for task in tasks_of(level) if "choice" in task.forms]
        choice += _even(views, pairs, sizes[level], rng, balancer)
    free_pairs = [(t, form) for level in LEVELS for t in tasks_of(level) for form in FREE_FORMS if form in t.forms]
    free = _even(views, free_pairs, sizes["open"], rng, balancer)
    absent, present = _twins(clips, sizes["absent"], rng)
    return AsaItems(_dealt(_named(choice, "choice"), rng), _named(free, "open"), absent, present)


def _even(
    views: Sequence[SceneView], pairs: Sequence[tuple[Task, Form]], wanted: int, rng: random.Random, balancer: Balancer
) -> list[Item]:
    """Items from one clip after the other, each of the task that had fewest so far."""
    counts: Counter[tuple[str, Form]] = Counter()
    items: list[Item] = []
    asked: set[tuple[object, ...]] = set()
    for _ in range(MOST_PASSES):
        for view in rng.sample(views, len(views)):
            if len(items) == wanted:
                return items
            item = _rarest(view, pairs, counts, rng, balancer)
            if item is not None and (key := _wording(item)) not in asked:
                asked.add(key)
                items.append(item)
                counts[item.task, item.form] += 1
    if len(items) == wanted:
        return items
    raise InputError(f"{len(views)} clips give {len(items)} of {wanted} questions of a kind; use more stems")


def _rarest(
    view: SceneView,
    pairs: Sequence[tuple[Task, Form]],
    counts: Counter[tuple[str, Form]],
    rng: random.Random,
    balancer: Balancer,
) -> Item | None:
    for task, form in sorted(pairs, key=lambda pair: (counts[pair[0].name, pair[1]], rng.random())):
        item = make_item(task, form, view, rng, balancer, "paraphrase")
        if item is not None and _usable(item) and balancer.accept(_winner(item)):
            # The reasoning is training's matter: the benchmark must not change with it.
            return replace(item, think="")
    return None


def _usable(item: Item) -> bool:
    """Absent sounds have a set of their own; a free answer must be one that its own reference passes."""
    if item.form == "choice":
        return True
    return not item.truth.get("absent") and judge_free(item, item.answer)


def _winner(item: Item) -> Balance | None:
    """Comparisons: first, second, same and only one must be equally frequent in a task, however it is worded."""
    winner = item.truth.get("winner")
    return None if winner is None else Balance(f"winner:{item.task}:{item.form}", str(winner), 4)


def _wording(item: Item) -> tuple[object, ...]:
    return item.scene, item.question.lower(), tuple(sorted(item.choices or ()))


def _named(items: Sequence[Item], kind: str) -> list[Item]:
    return [replace(item, id=f"{kind}-{number:04d}") for number, item in enumerate(items)]


def _dealt(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """Rotate options so that the right one stands on every letter equally often within each level."""
    out: list[Item] = []
    deck: list[int] = []
    for item in items:
        if not deck or (out and out[-1].level != item.level):
            deck = rng.sample(range(4), 4)
        out.append(rotated_item(item, int(item.choice or 0) - deck.pop()))
    return out


def _twins(clips: Sequence[AsaClip], wanted: int, rng: random.Random) -> tuple[list[Item], list[Item]]:
    """The same questions about clips in which a sound is, and about clips in which it is not."""
    sounding = [clip for clip in clips if clip.labels]
    absent: list[Item] = []
    present: list[Item] = []
    for number in range(wanted if sounding else 0):
        phrasing, form = TWIN_KINDS[number % len(TWIN_KINDS)]
        there = rng.choice(sounding)
        key = rng.choice(sorted(there.labels))
        elsewhere = [clip for clip in clips if key not in clip.labels and clip.origin != there.origin]
        if not elsewhere:
            break
        text = ask(phrasing, {"x": by_key(key)}, rng, "paraphrase")
        absent.append(_twin(f"absent-{number:04d}", rng.choice(elsewhere).id, key, phrasing, form, text, True))
        present.append(_twin(f"present-{number:04d}", there.id, key, phrasing, form, text, False))
    if len(absent) < wanted:
        raise InputError(
            f"{len(clips)} clips give {len(absent)} of {wanted} questions about absent sounds; use more stems"
        )
    return absent, present


def _twin(name: str, clip: str, key: str, phrasing: str, form: Form, text: str, absent: bool) -> Item:
    label = by_key(key)
    answer = f"No, I can't hear {label.article}." if absent else f"Yes, there {label.verb} {label.article}."
    truth = {"label": key, "absent": absent, "phrasing": phrasing}
    return Item(name, clip, "L1", "absent" if absent else "present", form, text, None, answer, None, "", truth)
