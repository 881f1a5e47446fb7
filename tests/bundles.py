"""A complete bundle of real files with random weights, made in a second or two."""

from __future__ import annotations

from pathlib import Path

from earshot.export.bundle import BundleFacts, write_bundle
from earshot.export.card import model_card
from earshot.export.gguf_llm import write_gguf
from earshot.runtime.hearing.networks import graphs_in
from tests.runtime.tiny_bundle import write_tiny_networks
from tests.tiny import make_llama, make_tokenizer

FACTS = BundleFacts("tiny", "0.0.1", {"weights": "random numbers"}, tools={"earshot": "test"})


def make_tiny_bundle(directory: Path, scratch: Path, seed: int = 0, names: bool = True) -> Path:
    """Write a bundle and return its directory.

    Its encoders tell low, middle and high sounds and the louder ear; its language model talks nonsense. It has a names
    network, which that of `tests.runtime.whole_bundle` has not.
    """
    networks = write_tiny_networks(scratch, hidden=128, names=names)
    graphs = {f"{name}.onnx": networks / f"{name}.onnx" for name in graphs_in(networks)}
    llm = write_gguf(make_llama(seed), make_tokenizer(scratch / "tokenizer.json"), scratch / "llm.gguf", "F16")
    write_bundle(directory, graphs, llm, model_card(FACTS, llm, ()), FACTS)
    return directory
