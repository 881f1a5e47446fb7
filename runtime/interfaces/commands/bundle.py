"""`earshot bundle show|verify`: what a model bundle says about itself, and whether it may be trusted."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.bundle.manifest import Manifest
from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.line_output import printable

bundle = typer.Typer(help="Show or verify a model bundle.", no_args_is_help=True)

Directory = Annotated[Path | None, typer.Argument(help="Bundle directory; the default bundle when left out.")]
BundleOption = Annotated[Path | None, typer.Option("--bundle", help="The same, as an option.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@bundle.command()
def show(directory: Directory = None, bundle: BundleOption = None, json: Json = False) -> None:
    """Verify a bundle, then print its manifest."""
    path, manifest = _verified(directory, bundle)
    if json:
        typer.echo(manifest.model_dump_json())
        return
    lines = [("directory", str(path)), *_lines(manifest)]
    width = 1 + max(len(name) for name, _ in lines)
    for name, value in lines:
        typer.echo(printable(f"{name:<{width}}{value}"))


@bundle.command()
def verify(directory: Directory = None, bundle: BundleOption = None, json: Json = False) -> None:
    """Check every file of a bundle: names, sizes, SHA-256, graphs and GGUF header."""
    path, manifest = _verified(directory, bundle)
    total = sum(entry.size for entry in manifest.files.values())
    if json:
        document = {"bundle": str(path), "name": manifest.name, "version": manifest.version, "ok": True}
        typer.echo(json_module.dumps({**document, "bytes": total}))
        return
    size = f"{len(manifest.files)} files, {total / 1e6:.1f} MB"
    typer.echo(f"{path}: {manifest.name} {manifest.version} is whole ({size})")


def _verified(directory: Path | None, option: Path | None) -> tuple[Path, Manifest]:
    if directory is not None and option is not None:
        raise UsageError(f"{directory} and --bundle {option} name two bundles; leave one out")
    return verified_bundle(directory or option)


def _lines(manifest: Manifest) -> list[tuple[str, str]]:
    llm, features = manifest.llm, manifest.features
    frame_ms = 1000 * features.hop * features.stft_frames_per_encoder_frame / features.sample_rate_hz
    lines = [
        ("name", f"{manifest.name} {manifest.version} (schema {manifest.schema_version})"),
        (
            "language model",
            f"{llm.architecture}, width {llm.hidden}, context {llm.context}, {llm.quantization}",
        ),
        ("hearing", f"{len(manifest.labels)} classes, {manifest.slots} slots, frames of {frame_ms:.0f} ms"),
        ("made with", ", ".join(f"{tool} {version}" for tool, version in manifest.created_by.items())),
    ]
    lines += [(f"file {name}", f"{manifest.files[name].size:,} bytes") for name in manifest.file_names]
    lines += [(f"licence {name}", text) for name, text in manifest.licences.items()]
    measured = {**manifest.measured.accuracy, **manifest.measured.speed}
    return lines + [(name, f"{value:g}") for name, value in measured.items()]
