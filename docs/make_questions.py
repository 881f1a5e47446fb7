"""Writes questions.md: every kind of question with one example. Usage: python docs/make_questions.py"""

import itertools
import random
from pathlib import Path

from earshot.runtime.language.prompt import ASKED
from earshot.training.questions.dialogues import KINDS, Conversation, converse
from earshot.training.questions.generate import item_stream, make_spoken_item
from earshot.training.questions.items import TASKS, Item
from earshot.training.questions.phrasing import phrasings
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.tasks_motion import view_moving_scene
from earshot.training.questions.view import view_scene

OUT = Path(__file__).with_name("questions.md")
LOOKED_AT = 20_000
SCENES = 4_000
KIND_NAMES = sorted(
    (k.removesuffix(".ask").replace(".", " ").replace("_", " ") for k in phrasings("train")), key=len, reverse=True
)


def main() -> None:
    """Write the table."""
    counts = [sum(map(len, phrasings(split).values())) for split in ("train", "paraphrase")]
    examples = _examples()
    lines = [
        "# Kinds of questions",
        "",
        f"What the language model is trained to answer and asked in the benchmark: {len(TASKS)} tasks of three levels (perception, relations, reasoning)",
        f"in {sum(counts):,} hand-written wordings, of which {counts[1]:,} are never trained on (`training/questions/phrasings.json`). The wording of an example is one of many.",
        "Sounds that are not there are asked about too, and the answer says so. Made by `python docs/make_questions.py`.",
        "",
        "| level | task | forms | example | options or answer (right one in bold) |",
        "|---|---|---|---|---|",
    ]
    for task in sorted(TASKS.values(), key=lambda t: t.level):
        item = examples[task.name]
        lines.append(
            f"| {task.level} | `{task.name}` | {', '.join(task.forms)} | {item.question} | {_answered(item)} |"
        )
    lines += [
        "",
        "## Without options",
        "",
        "Asked by people and in training, never in the frozen benchmarks (`training/questions/tasks_spoken.py`); `earshot bench everyday` examines them in words that training never saw.",
        "",
        "| kind | asked, and *the true answer* |",
        "|---|---|",
    ]
    lines += [f"| `{kind}` | {item.question} *{item.answer}* |" for kind, item in sorted(_spoken().items())]
    lines += [
        "",
        "## Conversations",
        "",
        "Follow-ups are completed from what was asked and answered before (`runtime/language/dialogue.py`); the model hears the full question. `earshot bench dialogue` examines the two together.",
        "",
        "| kind | asked, and *the true answer* |",
        "|---|---|",
    ]
    lines += [f"| `{kind}` | {_said(_conversation(kind))} |" for kind in KINDS]
    OUT.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _examples() -> dict[str, Item]:
    """One item per task, with options if the task has that form, not reworded by rule."""
    found: dict[str, Item] = {}
    for item in itertools.islice(item_stream(7, split="paraphrase"), LOOKED_AT):
        plain = item.question[0].isupper() and item.question.endswith("?") and len(item.question) < 100
        if plain and (item.task not in found or (item.choices and not found[item.task].choices)):
            found[item.task] = item
    return found


def _spoken() -> dict[str, Item]:
    """One item of each kind that is asked without options, in held-out wordings."""
    rng = random.Random(9)
    found: dict[str, Item] = {}
    for number in range(SCENES):
        view = view_moving_scene(sample_scene(rng, f"s{number}"))
        for level in ("L1", "L2", "L3"):
            item = make_spoken_item(level, view, rng, split="paraphrase")
            if item is None or item.truth.get("absent") or not item.question.endswith("?"):
                continue
            found.setdefault(_kind(item), item)
    return found


def _kind(item: Item) -> str:
    """First words of the line that states what was asked, without what it is asked about: `turn front`."""
    line = next(line for line in item.think.splitlines() if line.startswith(ASKED)).removeprefix(ASKED).strip()
    return next(kind for kind in KIND_NAMES if line.startswith(kind))


def _conversation(kind: str) -> Conversation:
    """The first one that abstract scenes give, in held-out wordings."""
    rng = random.Random(kind)
    while True:
        conversation = converse(view_scene(sample_scene(rng, "scene")), kind, "example", rng, "paraphrase")
        if conversation is not None:
            return conversation


def _said(conversation: Conversation) -> str:
    return " / ".join(f"{turn.item.question} *{turn.item.answer}*" for turn in conversation.turns)


def _answered(item: Item) -> str:
    if not item.choices:
        return f"**{item.answer}**"
    return " / ".join(f"**{text}**" if n == item.choice else text for n, text in enumerate(item.choices))


if __name__ == "__main__":
    main()
