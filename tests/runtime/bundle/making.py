"""Makes a tiny but real bundle: ONNX through onnx, GGUF through gguf. For tests that need one on disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from earshot.runtime.bundle.manifest import (
    BUNDLE_FILES,
    OPTIONAL_FILES,
    FileEntry,
    LanguageModel,
    Manifest,
    Measured,
)
from earshot.runtime.labels import load_labels
from tests.runtime.tiny_bundle import write_tiny_networks

LABELS = tuple(label.key for label in load_labels())


def tiny_onnx(scale: float = 2.0) -> onnx.ModelProto:
    """A graph y = x * scale with its weight inside."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "scale"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.full(4, scale, np.float32), "scale")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_tiny_gguf(path: Path, architecture: str = "llama", hidden: int = 64) -> None:
    """A GGUF file with keys of every kind and two tensors; no model that could speak."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_embedding_length(hidden)
    writer.add_context_length(128)
    writer.add_rope_freq_base(10000.0)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "ą"])
    writer.add_array("tokenizer.ggml.scores", [0.0, 1.0, 2.0])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_tensor("token_embd.weight", np.zeros((3, hidden), np.float32))
    writer.add_tensor("output_norm.weight", np.ones(hidden, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_bundle(directory: Path, names: bool = False) -> Path:
    """Write a whole tiny bundle, with the optional names network or without; returns the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    write_tiny_networks(directory, hidden=64, names=names)
    write_tiny_gguf(directory / "llm.gguf")
    (directory / "MODEL_CARD.md").write_text("# Tiny\n\nMade by a test.\n")
    (directory / "manifest.json").write_text(manifest_of(directory).model_dump_json(indent=2))
    return directory


def entry_of(path: Path) -> FileEntry:
    """Fingerprint of a file as it is now."""
    data = path.read_bytes()
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def manifest_of(directory: Path) -> Manifest:
    """The manifest that fits the files as they are now."""
    return Manifest(
        name="tiny",
        version="0.0.1",
        created_by={"earshot": "0.1.0"},
        files={
            name: entry_of(directory / name)
            for name in (*BUNDLE_FILES, *OPTIONAL_FILES)
            if name in BUNDLE_FILES or (directory / name).exists()
        },
        licences={"weights": "CC0-1.0"},
        labels=LABELS,
        llm=LanguageModel(architecture="llama", hidden=64, context=128, quantization="F32"),
        measured=Measured(accuracy={"azimuth_error_deg": 12.5}, speed={"first_token_s": 0.1}),
    )


def reseal(directory: Path) -> None:
    """Write the manifest anew, so that sizes and hashes fit and only the content checks can object."""
    (directory / "manifest.json").write_text(manifest_of(directory).model_dump_json(indent=2))


def edit_manifest(directory: Path, **changes: Any) -> None:
    """Replace (or, with None, remove) top-level keys of manifest.json as plain JSON."""
    path = directory / "manifest.json"
    document = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del document[key]
        else:
            document[key] = value
    path.write_text(json.dumps(document))
