"""`earshot export`: a trained checkpoint becomes a bundle."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earshot.export.bundle import BundleFacts
from earshot.export.gguf_llm import QUANTIZATIONS
from earshot.export.networks import load_networks
from earshot.export.pipeline import TARGETS, ExportReport, ExportSettings, export_bundle
from earshot.export.probe import probe_audio
from earshot.runtime.errors import InputError

app = typer.Typer(add_completion=False)

Quantization = Enum("Quantization", {name: name for name in QUANTIZATIONS}, type=str)  # type: ignore[misc]
Target = Enum("Target", {name: name for name in TARGETS}, type=str)  # type: ignore[misc]

UNKNOWN_LICENCE = {"weights": "not stated; ask whoever trained them"}


class FactsFile(BaseModel):
    """`--facts`: figures (the unit in each name) and licences for the manifest and the model card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: dict[str, float] = Field(default_factory=dict)
    speed: dict[str, float] = Field(default_factory=dict)
    licences: dict[str, str] = Field(default_factory=dict)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="Directory that a training stage wrote.")],
    out: Annotated[Path, typer.Option(help="Bundle directory to write.")],
    llm_quant: Annotated[Quantization, typer.Option(help="Format of the language model.")] = Quantization("Q8_0"),
    target: Annotated[Target, typer.Option(help="Board: decides what the encoders become.")] = Target("x86"),
    name: Annotated[str, typer.Option(help="Name of the bundle.")] = "nano",
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    facts: Annotated[
        Path | None, typer.Option(help="JSON with accuracy, speed and licences for the model card.")
    ] = None,
    probe: Annotated[
        list[Path] | None, typer.Option(help="Binaural recording to judge graphs on; may be repeated.")
    ] = None,
    loader: Annotated[str, typer.Option(help="Who reads the checkpoint (group earshot.networks).")] = "default",
) -> None:
    """Turn a trained model into a bundle: ONNX encoders, GGUF language model, manifest, model card."""
    stated = read_facts(facts)
    networks = load_networks(checkpoint, loader)
    described = BundleFacts(name, version, stated.licences or UNKNOWN_LICENCE, stated.accuracy, stated.speed)
    settings = ExportSettings(llm_quant.value, target.value)
    try:
        report = export_bundle(networks, out, described, probe_audio(probe or ()), settings, _say)
    except ValueError as error:
        raise InputError(f"{checkpoint}: cannot be exported: {error}") from error
    _tell(report, out)


def read_facts(path: Path | None) -> FactsFile:
    """Read a facts file; nothing is known without one.

    Raises
    ------
    InputError
        When it cannot be read or holds something else.
    """
    if path is None:
        return FactsFile()
    try:
        return FactsFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "document"
        raise InputError(f"{path}: {where}: {first['msg']}; accuracy, speed and licences are known") from error


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _tell(report: ExportReport, out: Path) -> None:
    """A table for people, then one JSON document as the last line."""
    for encoder in report.encoders:
        times = f"{encoder.float_ms:.3f} ms float, {encoder.int8_ms:.3f} ms int8, {encoder.snr_db:.1f} dB"
        typer.echo(f"{encoder.graph:10} {encoder.kept:8} {encoder.reason} ({times})")
    typer.echo(f"{'llm':10} {report.llm.quantization:8} logits follow the network by {report.llm_correlation:.5f}")
    size_bytes = sum(entry.size for entry in report.manifest.files.values())
    typer.echo(f"{out}: {size_bytes / 1e6:.1f} MB")
    document = {
        "out": str(out),
        "size_bytes": size_bytes,
        "encoders": [_finite(asdict(encoder)) for encoder in report.encoders],
        "llm": {"quantization": report.llm.quantization, "tensor_types": report.llm.tensor_types},
        "graph_error": report.graph_error,
        "llm_correlation": report.llm_correlation,
    }
    typer.echo(json.dumps(document))


def _finite(values: dict[str, object]) -> dict[str, object]:
    """JSON knows no NaN and no infinity: they become null."""
    return {k: None if isinstance(v, float) and not abs(v) < 1e30 else v for k, v in values.items()}
