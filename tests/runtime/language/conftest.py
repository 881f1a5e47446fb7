from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from earshot.export.gguf_llm import write_gguf
from earshot.runtime.language.answerer import Answerer
from tests.tiny import make_llama, make_tokenizer


@pytest.fixture(scope="session")
def gguf_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language model with random weights, F16."""
    folder = tmp_path_factory.mktemp("language")
    write_gguf(make_llama(), make_tokenizer(folder / "tokenizer.json"), folder / "llm.gguf", "F16")
    return folder / "llm.gguf"


@pytest.fixture(scope="module")
def answerer(gguf_path: Path) -> Iterator[Answerer]:
    """A language model with random weights: what it writes is nonsense, in the right form all the same."""
    model = Answerer(gguf_path.parent)
    model.load()
    yield model
    model.close()
