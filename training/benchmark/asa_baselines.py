"""What ASA-bench is worth without understanding: answer lines of systems that guess, or only measure interaural cues.

- ``random``: any option; for free questions the answer to another question of the same kind.
- ``majority``: the option that is most often right where it is offered in the same task, and the most frequent free
  answer, as learnt from a second drawing of questions about other scenes; denies every sound.
- ``gcc``: looks the direction of the whole clip up by GCC-PHAT and level differences and chooses the nearest option where
  options are directions; otherwise as ``random``.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earshot.runtime.errors import UsageError
from earshot.runtime.geometry import angle_between_azimuths
from earshot.training.benchmark.asa_clips import AsaClip, mix, to_float
from earshot.training.benchmark.asa_items import AsaItems
from earshot.training.benchmark.baselines import NAMES, baseline_listener
from earshot.training.benchmark.free_answers import direction_in
from earshot.training.questions.items import Item
from earshot.training.questions.view import side_words
from earshot.training.synthesis.dataset import Shard

if TYPE_CHECKING:
    from earshot.training.benchmark.asa_run import AsaBench

Line = dict[str, Any]
Choose = Callable[[Item], int]
Say = Callable[[Item], str]


def baseline_lines(
    name: str, bench: AsaBench, prior: AsaItems, recordings: Path | None = None, seed: int = 0
) -> dict[str, Line]:
    """Answer lines by id.

    Parameters
    ----------
    name : {"random", "majority", "gcc"}
    bench : AsaBench
    prior : AsaItems
        Other questions about the same clips, drawn alike: what ``majority`` learns from. The benchmark's own would not
        do: balanced as they are, what is left without one question makes its answer the rarest.
    recordings : Path, optional
        Folder with ``hrtf/`` for the table of ``gcc``; without it, heads made by rule.
    seed : int

    Raises
    ------
    UsageError
        No such baseline.
    """
    if name not in NAMES:
        raise UsageError(f"--baseline {name}: choose {', '.join(NAMES)}")
    choose, say = _guess(bench.items, random.Random(seed))
    if name == "majority":
        choose, say = _majority(prior, {clip.id: clip.origin for clip in bench.clips})
    if name == "gcc":
        choose, say = _by_direction(_directions(bench.clips, bench.shards, recordings), choose, say)
    lines: dict[str, Line] = {}
    for item in bench.items:
        choice = choose(item) if item.form == "choice" else None
        lines[item.id] = {"id": item.id, "choice": choice, "answer": "" if choice is not None else say(item)}
    return lines


def _guess(items: AsaItems, rng: random.Random) -> tuple[Choose, Say]:
    answers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in items.free:
        answers[item.task, item.form].append(item.answer)
    twins = [item.answer for item in (*items.absent, *items.present)]
    return (
        lambda item: rng.randrange(len(item.choices or ())),
        lambda item: rng.choice(answers.get((item.task, item.form), twins)),
    )


def _majority(prior: AsaItems, of_scene: Mapping[str, str]) -> tuple[Choose, Say]:
    """Rates of the options' texts, and free answers, over the other scenes."""

    def choose(item: Item) -> int:
        right, offered = Counter[str](), Counter[str]()
        for other in prior.choice:
            if other.task == item.task and of_scene[other.scene] != of_scene[item.scene]:
                offered.update(other.choices or ())
                right[(other.choices or ())[other.choice or 0]] += 1
        # One right in four is what is expected of a text never seen.
        rates = [(right[text] + 1) / (offered[text] + 4) for text in item.choices or ()]
        return rates.index(max(rates))

    def say(item: Item) -> str:
        kind = (item.task, item.form)
        others = (o for o in prior.free if of_scene[o.scene] != of_scene[item.scene])
        given = Counter(o.answer for o in others if (o.task, o.form) == kind)
        return given.most_common(1)[0][0] if given else "No, I can't hear it."

    return choose, say


def _directions(clips: Sequence[AsaClip], shards: Sequence[Shard], recordings: Path | None) -> dict[str, float]:
    """Azimuth of every clip by interaural cues, degrees."""
    sources = [source for clip in clips for source in clip.scene["sources"]]
    listen = baseline_listener("gcc", sources, recordings)
    return {clip.id: listen(to_float(mix(shards, clip)))[0].azimuth_deg for clip in clips}


def _by_direction(azimuths: Mapping[str, float], guess: Choose, say_guess: Say) -> tuple[Choose, Say]:
    def choose(item: Item) -> int:
        options = [direction_in(choice) for choice in item.choices or ()]
        if item.task not in ("where", "turn_to") or None in options:
            return guess(item)
        errors = [float(angle_between_azimuths(o[0], azimuths[item.scene])) for o in options if o is not None]
        return errors.index(min(errors))

    def say(item: Item) -> str:
        if item.task in ("where", "turn_to"):
            return side_words(round(azimuths[item.scene]))
        return say_guess(item)

    return choose, say
