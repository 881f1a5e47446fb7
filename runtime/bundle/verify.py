"""Says whether a bundle may be loaded, before any native library opens a file of it.

ONNX Runtime and llama.cpp trust what they parse; a bundle may come from anywhere. So every file is compared
with the manifest (name, size, SHA-256) and looked into with parsers of our own. What fails is refused with
the file's name and what would work.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from pydantic import ValidationError

from earshot.runtime.bundle.gguf_check import GgufRefused, GgufSummary, check_gguf
from earshot.runtime.bundle.manifest import (
    BUNDLE_FILES,
    LLM_NAME,
    MANIFEST_NAME,
    OPTIONAL_FILES,
    PROJECTOR_NAME,
    SPATIAL_NAME,
    FeatureSettings,
    Manifest,
)
from earshot.runtime.bundle.onnx_check import OnnxRefused, OnnxSummary, Shape, check_onnx
from earshot.runtime.errors import BundleError
from earshot.runtime.hearing.interfaces import INTERFACES, interface_problem
from earshot.runtime.labels import load_labels

MAX_MANIFEST_BYTES = 1 << 20
_HASH_BLOCK = 1 << 20
_REMEDY = "get the bundle again or export it anew"


def verify_bundle(directory: Path | str) -> Manifest:
    """Check a bundle completely.

    Parameters
    ----------
    directory : path-like

    Returns
    -------
    Manifest
        What the bundle says about itself; its files are now known to be what it names.

    Raises
    ------
    BundleError
        In one line, with the file and a remedy.
    """
    directory = Path(directory)
    _check_entries(directory)
    manifest = _read_manifest(directory)
    _check_optional(directory, manifest)
    for name in manifest.file_names:
        _check_size(directory, name, manifest)
    for name in manifest.file_names:
        _check_hash(directory, name, manifest)
    for name in manifest.file_names:
        if name.endswith(".onnx"):
            _check_graph(directory, name, manifest)
    _check_llm(directory, manifest)
    return manifest


def _refused(directory: Path, what: str, remedy: str = _REMEDY) -> BundleError:
    return BundleError(f"bundle {directory}: {what}; {remedy}")


def _check_entries(directory: Path) -> None:
    """Require the expected names and no others but optional ones, each a regular file of its own (no link, no folder)."""
    if not directory.is_dir():
        what = "not a directory" if directory.exists() else "no such directory"
        raise _refused(directory, what, "give the directory that holds manifest.json with --bundle")
    expected = {MANIFEST_NAME, *BUNDLE_FILES}
    try:
        with os.scandir(directory) as found:
            entries = {entry.name: entry.stat(follow_symlinks=False).st_mode for entry in found}
    except OSError as error:
        raise _refused(directory, f"cannot be listed ({error.strerror})", "check its permissions") from error
    for name, mode in sorted(entries.items()):
        if stat.S_ISLNK(mode):
            raise _refused(directory, f"{name!r} is a symbolic link", "put a copy of the file in its place")
        if name not in expected and name not in OPTIONAL_FILES:
            raise _refused(directory, f"{name!r} does not belong there", "remove it")
        if not stat.S_ISREG(mode):
            raise _refused(directory, f"{name} is not a regular file")
    for name in sorted(expected - entries.keys()):
        raise _refused(directory, f"{name} is missing")


def _check_optional(directory: Path, manifest: Manifest) -> None:
    """Require that the manifest vouches for the optional files that are there, and that those it names are there."""
    for name in OPTIONAL_FILES:
        there = (directory / name).exists()
        if there and name not in manifest.files:
            raise _refused(directory, f"{name} does not belong there, {MANIFEST_NAME} does not name it", "remove it")
        if not there and name in manifest.files:
            raise _refused(directory, f"{name} is missing")


def _read_manifest(directory: Path) -> Manifest:
    path = directory / MANIFEST_NAME
    size = path.stat().st_size
    if size > MAX_MANIFEST_BYTES:
        raise _refused(directory, f"{MANIFEST_NAME} has {size} bytes, more than {MAX_MANIFEST_BYTES}")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        raise _refused(directory, f"{MANIFEST_NAME}: {_first_reason(error)}") from error
    except OSError as error:
        raise _refused(directory, f"{MANIFEST_NAME} cannot be read ({error.strerror})") from error
    _check_fit(directory, manifest)
    return manifest


def _check_fit(directory: Path, manifest: Manifest) -> None:
    """Require what this runtime computes; other features or class ids would be wrong without an error."""
    remedy = "use the version of Earshot it was exported with"
    if manifest.features != FeatureSettings():
        raise _refused(directory, f"{MANIFEST_NAME}: features this version does not compute", remedy)
    if manifest.labels != tuple(label.key for label in load_labels()):
        raise _refused(directory, f"{MANIFEST_NAME}: labels are not this version's table of classes", remedy)


def _first_reason(error: ValidationError) -> str:
    """The first complaint in one line: where, and what."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    schema = place == "schema_version"
    what = f"schema version {first.get('input')!r:.40}; this Earshot reads version 1" if schema else first["msg"]
    return " ".join(f"{place}: {what}".removeprefix(": ").split())[:300]


def _check_size(directory: Path, name: str, manifest: Manifest) -> None:
    size, promised = (directory / name).stat().st_size, manifest.files[name].size
    if size != promised:
        kind = "truncated" if size < promised else "too long"
        raise _refused(directory, f"{name} is {kind}, {size} bytes instead of {promised}")


def _check_hash(directory: Path, name: str, manifest: Manifest) -> None:
    digest = hashlib.sha256()
    try:
        with (directory / name).open("rb") as file:
            while block := file.read(_HASH_BLOCK):
                digest.update(block)
    except OSError as error:
        raise _refused(directory, f"{name} cannot be read ({error.strerror})", "check its permissions") from error
    if digest.hexdigest() != manifest.files[name].sha256:
        raise _refused(directory, f"{name} is damaged, its SHA-256 is not the one in {MANIFEST_NAME}")


def _check_graph(directory: Path, name: str, manifest: Manifest) -> None:
    try:
        summary = check_onnx(directory / name)
    except OnnxRefused as error:
        raise _refused(directory, f"{name}: {error}", "export it anew as one file of standard operators") from error
    if problem := _role_problem(Path(name).stem, summary):
        raise _refused(directory, f"{name}: {problem}")
    for what, found, promised in _graph_claims(name, summary, manifest):
        if found is not None and found != promised:
            raise _refused(directory, f"{name}: {what} is {found}, {MANIFEST_NAME} says {promised}")


def _role_problem(role: str, summary: OnnxSummary) -> str | None:
    """Why a graph cannot be what its file name says, or None."""
    inputs, outputs = summary.inputs.keys(), summary.outputs.keys()
    problem = interface_problem(role, inputs, outputs)
    others = [name for name in INTERFACES if problem and interface_problem(name, inputs, outputs) is None]
    return f"is a {others[0]} network, not a {role} one" if others else problem


def _graph_claims(name: str, summary: OnnxSummary, manifest: Manifest) -> list[tuple[str, int | None, int]]:
    """What the manifest says of a graph that its shapes say too; None where they leave it free."""
    if name == SPATIAL_NAME:
        return [("number of slots", _last_size(summary.inputs["slot_class"]), manifest.slots)]
    if name == PROJECTOR_NAME:
        return [("width", _last_size(summary.outputs["embeddings"]), manifest.llm.hidden)]
    return []


def _last_size(shape: Shape) -> int | None:
    return shape[-1] if shape else None


def _check_llm(directory: Path, manifest: Manifest) -> None:
    try:
        summary = check_gguf(directory / LLM_NAME)
    except GgufRefused as error:
        raise _refused(directory, f"{LLM_NAME}: {error}") from error
    for what, found, promised in _llm_claims(summary, manifest):
        if found != promised:
            raise _refused(directory, f"{LLM_NAME}: {what} is {found!r}, {MANIFEST_NAME} says {promised!r}")


def _llm_claims(summary: GgufSummary, manifest: Manifest) -> list[tuple[str, object, object]]:
    family = manifest.llm.architecture
    return [
        ("architecture", summary.architecture, family),
        ("hidden width", summary.keys.get(f"{family}.embedding_length"), manifest.llm.hidden),
        ("longest context", summary.keys.get(f"{family}.context_length"), manifest.llm.context),
    ]
