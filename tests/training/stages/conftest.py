"""A bank of features and an untrained language model that the stages begin with, and what they log."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.training.stages.fake_bank import make_fake_bank


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty scenes; not to be changed by a test."""
    return make_fake_bank(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as the language stage leaves it, untrained; not to be changed by a test."""
    # Slow to import, and not all tests here need a language model.
    from earshot.training.models.llm import TINY, build_llm, save_llm
    from earshot.training.models.tokenizer import save_tokenizer, train_tokenizer

    directory = tmp_path_factory.mktemp("language")
    save_llm(build_llm(TINY), directory)
    save_tokenizer(train_tokenizer(items=300), directory)
    return directory


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a log."""
    with path.open() as file:
        return list(csv.DictReader(file))


def losses(directory: Path) -> list[float]:
    """Losses that a stage logged."""
    return [float(row["loss"]) for row in rows(directory / "log.csv")]
