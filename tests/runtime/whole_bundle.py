"""A whole, verifiable bundle of tiny networks and a tiny language model with random weights."""

from __future__ import annotations

from pathlib import Path

from earshot.export.bundle import BundleFacts, write_bundle
from earshot.export.gguf_llm import write_gguf
from tests.runtime.tiny_bundle import write_tiny_networks
from tests.tiny import make_llama, make_tokenizer

HIDDEN = 128
GRAPHS = ("semantic.onnx", "spatial.onnx", "projector.onnx")


def write_whole_bundle(folder: Path) -> Path:
    """Write a bundle that hears three kinds of noise and answers nonsense; returns its directory."""
    parts, bundle = folder / "parts", folder / "bundle"
    write_tiny_networks(parts, HIDDEN)
    tokenizer = make_tokenizer(parts / "tokenizer.json")
    llm = write_gguf(make_llama(hidden=HIDDEN), tokenizer, parts / "llm.gguf", "F16")
    facts = BundleFacts("tiny", "0.0.0", {"networks": "Apache-2.0, random weights"})
    write_bundle(bundle, {name: parts / name for name in GRAPHS}, llm, "# Random weights, for tests\n", facts)
    return bundle
