"""The tokenizer of models trained from scratch: byte-level BPE in which angles are one token and other digits never merge.

Evidence states angles in steps of 5 degrees, so there are few of them, and a model of 3 M parameters copies, adds and
compares them far better whole than digit by digit; all other numbers are read digit by digit. The pre-tokenizer is the one
llama.cpp calls "gpt-2", so that a GGUF made from it splits text in the same way: it keeps `37` as one piece, which then
becomes two digits because the BPE is trained on text in which they never stand side by side.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from earshot.runtime.errors import InputError
from earshot.runtime.labels import load_labels
from earshot.runtime.language.prompt import SPECIAL_TOKENS, build_completion, build_prompt
from earshot.training.files import replace_text
from earshot.training.questions.generate import item_stream
from earshot.training.questions.items import Item

VOCAB_SIZE = 2048
"""A multiple of 256 (K-quants), large enough for every spoken label to take one or two tokens."""
_ANGLE_REPEATS = 200
"""Every angle is in the corpus at least this often, so that none is too rare for a token."""


def train_tokenizer(items: int = 20_000, vocab_size: int = VOCAB_SIZE, seed: int = 0) -> Tokenizer:
    """Train the tokenizer on generated items and all words of the label table.

    Parameters
    ----------
    items : int
        Items in the corpus.
    vocab_size : int
        Tokens in all, special tokens and the 256 bytes included.
    seed : int
        Seed of the items; the same seed gives the same tokenizer.

    Returns
    -------
    tokenizers.Tokenizer
        Special tokens have the ids 0, 1, ... in the order of `prompt.SPECIAL_TOKENS`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(items, seed), trainer)
    return tokenizer


def _corpus(items: int, seed: int) -> Iterator[str]:
    """Texts whose only neighbouring digits are angles, without special tokens."""
    yield from (f"-{angle}\n {angle} - {angle}" for angle in range(10, 365, 5) for _ in range(_ANGLE_REPEATS))
    for label in load_labels():
        for phrase in label.phrases:
            yield from (phrase, f" {phrase}", f"the {label.spoken}\n{label.spoken} |", f" {phrase.lower()}")
    for item in itertools.islice(item_stream(seed), items):
        yield from (separate_digits(part) for part in re.split(r"<[/a-z]+>", item_text(item)) if part)


def separate_digits(text: str) -> str:
    """Put a space between neighbouring digits, except in angles: `-135 37.5` becomes `-135 3 7.5`."""
    return re.sub(r"\d{2,}", lambda found: found[0] if _is_angle(found[0]) else " ".join(found[0]), text)


def _is_angle(digits: str) -> bool:
    """Whether a number is a multiple of 5 up to a full turn."""
    return digits[0] != "0" and int(digits) <= 360 and int(digits) % 5 == 0


def item_parts(item: Item, think: bool = True) -> tuple[str, str, str]:
    """Prefix, suffix (question) and completion of an item, as training and runtime write them."""
    prompt = build_prompt(item.question, item.choices, think)
    return prompt.prefix, prompt.suffix, build_completion(item.answer, item.think if think else None)


def item_text(item: Item) -> str:
    """The whole text of an item, without audio."""
    return "".join(item_parts(item))


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write `tokenizer.json` into a checkpoint directory."""
    directory.mkdir(parents=True, exist_ok=True)
    replace_text(directory / "tokenizer.json", tokenizer.to_str(pretty=True))


def load_tokenizer(directory: Path) -> Tokenizer:
    """Read `tokenizer.json` of a checkpoint directory; `FileNotFoundError` if there is none."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise FileNotFoundError(f"no tokenizer at {path}: run `earshot train language` first")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no class of its own
        raise InputError(f"{path}: damaged, no tokenizer can be read ({error}); take another checkpoint") from error
