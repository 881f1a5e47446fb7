"""Question items: what a task makes of a scene, how a table of tasks is kept, and what keeps answers balanced."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from earshot.training.questions.view import ABSENT_SHARE, Heard, SceneView

Form = Literal["choice", "yesno", "number", "open"]
FORM_SHARES: dict[Form, float] = {"choice": 0.55, "yesno": 0.17, "number": 0.13, "open": 0.15}


@dataclass(frozen=True)
class Balance:
    """Where an item counts when answers are balanced.

    Attributes
    ----------
    group : str
        Items among which the truth must not be guessable from the wording.
    key : str
        The truth of this item.
    keys : int
        How many truths there are in the group.
    """

    group: str
    key: str
    keys: int


@dataclass(frozen=True)
class Draft:
    """What a task decides, before words are chosen.

    Attributes
    ----------
    ask : str
        Name of the list of phrasings.
    slots : mapping
        What goes into the phrasing: `Label` (named, with synonyms) or plain text.
    answer : str
        Answer text (for a choice: the right option).
    wrong : tuple of str
        The three other options; empty for other forms.
    steps : tuple of str
        Lines of reasoning that follow the evidence.
    truth : mapping
        Exact values for scoring.
    balance : Balance, optional
        None where the options are exchangeable by construction.
    check : callable, optional
        Shown options -> a step that goes through them one by one.
    """

    ask: str
    slots: Mapping[str, Any]
    answer: str
    wrong: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    truth: Mapping[str, Any] = field(default_factory=dict)
    balance: Balance | None = None
    check: Callable[[Sequence[str]], str] | None = None

    def steps_for(self, options: Sequence[str] | None) -> tuple[str, ...]:
        """The steps, with the one that goes through the options in the order in which they are shown."""
        if self.check is None or options is None:
            return self.steps
        return (*self.steps, self.check(options))


@dataclass(frozen=True)
class Item:
    """One question about one scene; the fields of the JSONL contract in docs/architecture.md."""

    id: str
    scene: str
    level: str
    task: str
    form: Form
    question: str
    choices: tuple[str, ...] | None
    answer: str
    choice: int | None
    think: str
    truth: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON object of the item."""
        return {**self.__dict__, "choices": list(self.choices) if self.choices else None, "truth": dict(self.truth)}


Maker = Callable[[SceneView, Form, random.Random], Draft | None]


@dataclass(frozen=True)
class Task:
    """A kind of question: name, level, the forms it comes in, and the function that drafts one."""

    name: str
    level: str
    forms: tuple[Form, ...]
    make: Maker


TASKS: dict[str, Task] = {}


def task(name: str, level: str, *forms: Form) -> Callable[[Maker], Maker]:
    """Register a task function in `TASKS` under `name`."""

    def register(make: Maker) -> Maker:
        TASKS[name] = Task(name, level, forms, make)
        return make

    return register


class Balancer:
    """Keeps truths equally frequent and remembers which labels scenes really hold.

    Works for any source of scenes: a truth that runs ahead of the rarest one of its group by more than `SLACK` is
    refused, so that the wording alone tells nothing. A group with a rare truth gives fewer items instead.
    """

    SLACK = 1.1

    def __init__(self, pool_size: int = 1000, absent_share: float = ABSENT_SHARE) -> None:
        self.absent_share = absent_share
        self._counts: dict[str, dict[str, int]] = defaultdict(dict)
        self.pool: deque[str] = deque(maxlen=pool_size)

    def see(self, heard: Sequence[Heard]) -> None:
        """Note the labels of a scene; absent sounds are drawn from what has been seen."""
        self.pool.extend(source.key for source in heard)

    def accept(self, balance: Balance | None) -> bool:
        """Whether an item with this truth may be used now; counts it if so."""
        if balance is None:
            return True
        counts = self._counts[balance.group]
        count = counts.get(balance.key, 0)
        fewest = min(counts.values()) if len(counts) >= balance.keys else 0
        if count > self.SLACK * fewest + 1.0:
            return False
        counts[balance.key] = count + 1
        return True


def sound_choice(view: SceneView, right: Heard, rng: random.Random, others: Sequence[Heard] = ()) -> tuple[str, ...]:
    """Three wrong options for a question whose answers are sounds: `others` first, then absent ones."""
    names = [f"the {source.name}" for source in others if source is not right][:3]
    missing = 3 - len(names)
    return (*names, *(label.definite for label in view.absent(rng, missing)))


def pick(view: SceneView, rng: random.Random, count: int = 1) -> list[Heard] | None:
    """Draw `count` different sources of the scene in random order; None if it has fewer."""
    return rng.sample(view.heard, count) if len(view.heard) >= count else None


def coin(rng: random.Random, share: float = 0.5) -> bool:
    """True with probability `share`."""
    return rng.random() < share
