"""Writes a bundle: graphs, language model, model card and the manifest that fingerprints them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from earshot.export.gguf_llm import GgufReport
from earshot.runtime.bundle.manifest import (
    LLM_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    OPTIONAL_FILES,
    PROJECTOR_NAME,
    SEMANTIC_NAME,
    SPATIAL_NAME,
    FileEntry,
    LanguageModel,
    Manifest,
    Measured,
)
from earshot.runtime.bundle.verify import verify_bundle
from earshot.runtime.labels import load_labels

GRAPH_NAMES = (SEMANTIC_NAME, SPATIAL_NAME, PROJECTOR_NAME)
TOOLS = ("earshot", "torch", "onnx", "onnxruntime", "gguf")


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle says about itself beyond its files.

    Attributes
    ----------
    name, version : str
    licences : mapping
        What is licensed -> licence and note.
    accuracy, speed : mapping
        Measured figures, the unit in the name.
    commands : mapping
        Beginning of the names of figures -> command that measured them.
    failures : sequence of str
        Examples of what the model gets wrong, for the model card.
    targets : sequence of mapping
        Rows of the table of all boards for the model card, texts by heading.
    tools : mapping, optional
        Tool -> version; those installed when left out.
    """

    name: str
    version: str
    licences: Mapping[str, str]
    accuracy: Mapping[str, float] = field(default_factory=dict)
    speed: Mapping[str, float] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    failures: Sequence[str] = ()
    targets: Sequence[Mapping[str, str]] = ()
    tools: Mapping[str, str] | None = None


def write_bundle(
    directory: Path, graphs: Mapping[str, Path], llm: GgufReport, card: str, facts: BundleFacts
) -> Manifest:
    """Collect the files of a bundle in one directory, write its manifest, verify it as the runtime will.

    The same files and facts give the same bytes.

    Parameters
    ----------
    directory : Path
        Made when missing. Files of an older bundle are replaced, anything else in it is an error.
    graphs : mapping
        "semantic.onnx", "spatial.onnx", "projector.onnx" and, where there is one, "names.onnx" -> file. May lie in
        `directory` already.
    llm : GgufReport
        From `write_gguf`.
    card : str
        Text of MODEL_CARD.md.
    facts : BundleFacts

    Returns
    -------
    Manifest

    Raises
    ------
    ValueError
        When a graph is missing (including pydantic.ValidationError for impossible facts).
    BundleError
        When the result would be refused by the runtime.
    """
    missing = [name for name in GRAPH_NAMES if name not in graphs]
    if missing:
        raise ValueError(f"a bundle needs {', '.join(missing)} too")
    directory.mkdir(parents=True, exist_ok=True)
    for name in GRAPH_NAMES:
        _place(graphs[name], directory / name)
    for name in OPTIONAL_FILES:
        if name in graphs:
            _place(graphs[name], directory / name)
        else:
            (directory / name).unlink(missing_ok=True)  # of an older bundle
    _place(llm.path, directory / LLM_NAME)
    (directory / MODEL_CARD_NAME).write_text(card, "utf-8", newline="\n")
    manifest = _manifest(directory, llm, facts)
    text = manifest.model_dump_json(indent=2) + "\n"
    (directory / MANIFEST_NAME).write_text(text, "utf-8", newline="\n")
    return verify_bundle(directory)


def installed_tools() -> dict[str, str]:
    """Versions of the tools that shape a bundle's bytes."""
    return {tool: metadata.version(tool) for tool in TOOLS}


def _manifest(directory: Path, llm: GgufReport, facts: BundleFacts) -> Manifest:
    optional = [name for name in OPTIONAL_FILES if (directory / name).is_file()]
    files = (*GRAPH_NAMES, LLM_NAME, MODEL_CARD_NAME, *optional)
    return Manifest(
        name=facts.name,
        version=facts.version,
        created_by=dict(facts.tools if facts.tools is not None else installed_tools()),
        files={name: _entry(directory / name) for name in files},
        licences=dict(facts.licences),
        labels=tuple(label.key for label in load_labels()),
        llm=LanguageModel(
            architecture=llm.architecture,
            hidden=llm.hidden,
            context=llm.context,
            quantization=llm.quantization,
        ),
        measured=Measured(accuracy=dict(facts.accuracy), speed=dict(facts.speed)),
    )


def _place(source: Path, target: Path) -> None:
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)


def _entry(path: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
