"""Writes a bundle: graphs, language model, model card and the manifest that fingerprints them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from earshot.export.gguf_llm import GgufReport
from earshot.runtime.bundle.manifest import (
    BUNDLE_FILES,
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
from earshot.runtime.errors import UsageError
from earshot.runtime.labels import load_labels

GRAPH_NAMES = (SEMANTIC_NAME, SPATIAL_NAME, PROJECTOR_NAME)
TOOLS = ("earshot", "torch", "onnx", "onnxruntime", "gguf")
_NAMES = frozenset((*BUNDLE_FILES, *OPTIONAL_FILES, MANIFEST_NAME))
_OLDER = "older"
"""Where an older bundle waits until the new one is in its place."""


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

    The same files and facts give the same bytes. All of it is made beside the directory and moved there when it has been
    verified, so that an older bundle stays whole until the new one is; it comes back when moving fails or is interrupted.

    Parameters
    ----------
    directory : Path
        Made when missing. Files of an older bundle are replaced, anything else in it is an error (`check_place`).
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
    UsageError
        When something else lies in `directory`.
    BundleError
        When the result would be refused by the runtime.
    """
    missing = [name for name in GRAPH_NAMES if name not in graphs]
    if missing:
        raise ValueError(f"a bundle needs {', '.join(missing)} too")
    check_place(directory)
    with _beside(directory) as made:
        for name in (*GRAPH_NAMES, *OPTIONAL_FILES):
            if name in graphs:
                shutil.copyfile(graphs[name], made / name)
        shutil.copyfile(llm.path, made / LLM_NAME)
        (made / MODEL_CARD_NAME).write_text(card, "utf-8", newline="\n")
        text = _manifest(made, llm, facts).model_dump_json(indent=2) + "\n"
        (made / MANIFEST_NAME).write_text(text, "utf-8", newline="\n")
        manifest = verify_bundle(made)
        _move(made, directory, manifest)
    return manifest


def check_place(directory: Path) -> None:
    """Require that a bundle can be written there and writes over nothing but an older bundle.

    Raises
    ------
    UsageError
        When it is a file, or something else lies in it, or nothing can be written beside it (see `_beside`).
    """
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory}: a file, and a bundle is a directory; name another place")
    _refuse_foreign(directory, _NAMES)
    _refuse_foreign(_partial(directory), {*_NAMES, _OLDER})  # may be left of an export that was killed
    above = next(folder for folder in directory.resolve().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{directory}: {above} is no folder that can be written to; name another place")


def _refuse_foreign(folder: Path, known: Set[str]) -> None:
    """What is in the folder will be removed: it must be files of a bundle."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in known or (path.is_dir() and path.name != _OLDER):
            raise UsageError(f"{folder}: {path.name!r} is no part of a bundle; remove it or name another directory")


def _partial(directory: Path) -> Path:
    """Where the bundle of a directory is made: beside it, so mostly on the same disk."""
    place = directory.resolve()
    return place.with_name(f"{place.name}.partial")


@contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """An empty directory beside another one; it is removed with what is still in it."""
    made = _partial(directory)
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _move(made: Path, directory: Path, manifest: Manifest) -> None:
    """Put a finished bundle in its place, all of it or nothing; the manifest comes last, for it vouches for the others."""
    directory.mkdir(parents=True, exist_ok=True)
    older = made / _OLDER
    older.mkdir()
    with ExitStack() as undo:
        for path in sorted(directory.iterdir()):
            undo.callback(_move_if_there, older / path.name, path)
            shutil.move(path, older / path.name)
        for name in (*manifest.file_names, MANIFEST_NAME):
            undo.callback((directory / name).unlink, missing_ok=True)
            shutil.move(made / name, directory / name)
        undo.pop_all()


def _move_if_there(source: Path, target: Path) -> None:
    if source.exists():
        shutil.move(source, target)


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


def _entry(path: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
