"""From a scene to question items: levels and tasks in even shares, options shuffled, answers balanced."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from earshot.runtime.errors import InputError
from earshot.runtime.interfaces.outputs import check_out
from earshot.runtime.language.prompt import CONCLUSION, choice_text
from earshot.training.questions import tasks_l1, tasks_l2, tasks_l3, tasks_motion, tasks_planning, tasks_spoken
from earshot.training.questions.items import FORM_SHARES, TASKS, Balancer, Draft, Form, Item, Task
from earshot.training.questions.phrasing import Split, ask
from earshot.training.questions.scenes import Scene, sample_scene
from earshot.training.questions.tasks_motion import view_moving_scene
from earshot.training.questions.think import think_text, understood
from earshot.training.questions.view import SceneView
from earshot.training.synthesis.scenes import fully_known

TASK_MODULES = (tasks_l1, tasks_l2, tasks_l3, tasks_motion, tasks_planning)
"""Importing these fills the table of tasks."""
LEVEL_SHARES = {"L1": 0.34, "L2": 0.33, "L3": 0.33}
SPOKEN_SHARE = 0.35
"""Share of attempts at a question of `tasks_spoken`; about half of them find none in a scene."""
MOST_TRIES = 40
"""Attempts per item before a scene is given up: an empty scene has few questions."""


@lru_cache(maxsize=8)
def tasks_of(level: str) -> tuple[Task, ...]:
    """Tasks of one level, in the order of registration."""
    return tuple(task for task in TASKS.values() if task.level == level)


def make_item(
    task: Task,
    form: Form,
    view: SceneView,
    rng: random.Random,
    balancer: Balancer | None = None,
    split: Split = "train",
) -> Item | None:
    """Make one item of a task in a form.

    Parameters
    ----------
    task, form : Task, str
        What to ask.
    view : SceneView
        The scene.
    rng : random.Random
        Source of randomness.
    balancer : Balancer, optional
        Rejects truths that have been too frequent; None accepts all.
    split : str
        Phrasings that may be used.

    Returns
    -------
    Item or None
        None when the scene gives no clear question of this kind, or the balancer refused it.
    """
    draft = task.make(view, form, rng)
    if draft is None or (balancer is not None and not balancer.accept(draft.balance)):
        return None
    return _worded(task.name, task.level, form, draft, view, rng, split)


def make_spoken_item(
    level: str, view: SceneView, rng: random.Random, balancer: Balancer | None = None, split: Split = "train"
) -> Item | None:
    """Make one item of a level as people ask: without options, or about a sound that is not there (see `tasks_spoken`).

    Parameters
    ----------
    level : str
        ``L1``, ``L2`` or ``L3``.
    view, rng, balancer, split
        As in `make_item`.

    Returns
    -------
    Item or None
        None when the scene gives no clear question of the kind that was drawn, or the balancer refused it.
    """
    return _spoken(tasks_spoken.spoken_draft(level, view, rng), level, view, rng, balancer, split)


def make_quieter_item(view: SceneView, rng: random.Random, balancer: Balancer | None = None) -> Item | None:
    """Make one item of training about what is quieter, without options; see `make_spoken_item`."""
    return _spoken(tasks_spoken.opposite_draft("quieter", view, rng), "L2", view, rng, balancer, "train")


def make_levels_item(view: SceneView, rng: random.Random, balancer: Balancer | None = None) -> Item | None:
    """Make one item of training about how loud all sounds are."""
    return _spoken(tasks_spoken.levels_draft(view, rng), "L2", view, rng, balancer, "train")


def make_rare_item(view: SceneView, rng: random.Random, balancer: Balancer | None = None) -> Item | None:
    """Make one item of training of a kind that few scenes allow, or that is learned last."""
    found = tasks_spoken.rare_draft(view, rng)
    return None if found is None else _spoken(found, TASKS[found[0]].level, view, rng, balancer, "train")


def _spoken(
    found: tasks_spoken.Drafted | None,
    level: str,
    view: SceneView,
    rng: random.Random,
    balancer: Balancer | None,
    split: Split,
) -> Item | None:
    if found is None or (balancer is not None and not balancer.accept(found[2].balance)):
        return None
    name, form, draft = found
    return _worded(name, level, form, draft, view, rng, split)


def _worded(task: str, level: str, form: Form, draft: Draft, view: SceneView, rng: random.Random, split: Split) -> Item:
    question = ask(draft.ask, draft.slots, rng, split)
    choices, choice, answer = _shuffled(draft, rng) if form == "choice" else (None, None, draft.answer)
    identity = f"{view.scene_id}-{task}-{rng.getrandbits(32):08x}"
    # The option is named before its letter is looked up: two small steps instead of one large.
    conclusion = (f"{CONCLUSION} {draft.answer}",) if form == "choice" else ()
    think = think_text(view, (understood(draft.ask, draft.slots), *draft.steps_for(choices), *conclusion))
    return Item(identity, view.scene_id, level, task, form, question, choices, answer, choice, think, draft.truth)


def _shuffled(draft: Draft, rng: random.Random) -> tuple[tuple[str, ...], int, str]:
    """Options in random order, the index of the right one, and the answer text."""
    options = [draft.answer, *draft.wrong]
    rng.shuffle(options)
    index = options.index(draft.answer)
    return tuple(options), index, choice_text(index, draft.answer)


def generate_items(
    scene: Mapping[str, Any], rng: random.Random, n: int, balancer: Balancer | None = None, split: Split = "train"
) -> list[Item]:
    """Make up to `n` items about one scene, levels in even shares.

    Parameters
    ----------
    scene : mapping
        Scene JSON.
    rng : random.Random
        Source of randomness.
    n : int
        Items wanted; a scene with no or one source may give fewer.
    balancer : Balancer, optional
        Keep one over a whole run so that answers stay balanced.
    split : str
        `train`, or `paraphrase` for phrasings never used in training.

    Returns
    -------
    list of Item
        None about a scene that leaves open which sound is meant, or where it is.
    """
    if not _askable(scene):
        return []
    view = view_moving_scene(scene) if balancer is None else balanced_view(scene, balancer)
    if balancer is not None:
        balancer.see(view.heard)
    items: list[Item] = []
    levels = list(LEVEL_SHARES)
    for _ in range(n):
        level = rng.choices(levels, list(LEVEL_SHARES.values()))[0]
        item = _try_level(level, view, rng, balancer, split)
        if item is not None:
            items.append(item)
    return items


def _askable(scene: Mapping[str, Any]) -> bool:
    """Whether every sound has a name of its own and a documented distance; some measured rooms state none."""
    labels = [source["label"] for source in scene["sources"]]
    return len(set(labels)) == len(labels) and fully_known(dict(scene))


def balanced_view(scene: Mapping[str, Any], balancer: Balancer) -> SceneView:
    """A scene as questions see it, absent sounds drawn as the balancer says."""
    return replace(view_moving_scene(scene, balancer.pool), absent_share=balancer.absent_share)


def _try_level(level: str, view: SceneView, rng: random.Random, balancer: Balancer | None, split: Split) -> Item | None:
    for _ in range(MOST_TRIES):
        # The frozen sets are of the other split: what they draw must stay the same.
        if split == "train" and rng.random() < SPOKEN_SHARE:
            item = make_spoken_item(level, view, rng, balancer)
            if item is not None:
                return item
            continue
        task = rng.choice(tasks_of(level))
        form = rng.choices(task.forms, [FORM_SHARES[form] for form in task.forms])[0]
        item = make_item(task, form, view, rng, balancer, split)
        if item is not None:
            return item
    return None


def item_stream(
    seed: int, per_scene: int = 3, split: Split = "train", scenes: Iterable[Mapping[str, Any]] | None = None
) -> Iterator[Item]:
    """Balanced items over `scenes`, or endlessly over abstract ones; the same seed gives the same stream."""
    rng = random.Random(seed)
    balancer = Balancer()
    for scene in _abstract_scenes(seed, rng) if scenes is None else scenes:
        yield from generate_items(scene, rng, per_scene, balancer, split)


def _abstract_scenes(seed: int, rng: random.Random) -> Iterator[Scene]:
    return (sample_scene(rng, f"abstract-{seed}-{number}") for number in itertools.count())


def write_items(out: Path, scenes: Path | None, count: int, per_scene: int, seed: int, split: Split) -> int:
    """Write up to `count` items as JSONL; returns how many there were (few scenes give fewer).

    Raises
    ------
    UsageError
        `out` is the file of the scenes.
    InputError
        A line of `scenes` describes none.
    """
    given = None
    if scenes is not None:
        check_out(out, scenes)
        given = _read_scenes(scenes)
    items = list(itertools.islice(item_stream(seed, per_scene, split, given), count))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(item.to_json()) + "\n" for item in items), encoding="utf-8")
    return len(items)


def _read_scenes(path: Path) -> list[Scene]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text, so no descriptions of scenes ({error})") from error
    scenes = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            scene = json.loads(line)
            if _askable(scene):
                view_moving_scene(scene)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise InputError(f"{path}, line {number}: no description of a scene ({error!r})") from error
        scenes.append(scene)
    return scenes
