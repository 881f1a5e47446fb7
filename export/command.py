"""`earshot export`: a trained checkpoint becomes a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from earshot.export.all_targets import Row, all_targets, markdown
from earshot.export.bundle import BundleFacts, check_place
from earshot.export.choose import QuantReport
from earshot.export.gate_scenes import GateScene
from earshot.export.gate_scenes import gate_scenes as gate_scenes_of
from earshot.export.gguf_llm import QUANTIZATIONS
from earshot.export.networks import load_networks
from earshot.export.pipeline import (
    CALIBRATION_PAIRS,
    CALIBRATION_SINGLES,
    MADE_PAIRS,
    MADE_SINGLES,
    ExportReport,
    ExportSettings,
    export_bundle,
)
from earshot.export.probe import probe_audio
from earshot.export.targets import RECIPES, Encoding
from earshot.runtime.bundle.manifest import BundleName, BundleVersion, LongText, ShortText
from earshot.runtime.errors import InputError, UsageError

app = typer.Typer(add_completion=False)

Quantization = Enum("Quantization", {name: name for name in QUANTIZATIONS}, type=str)  # type: ignore[misc]
Target = Enum("Target", {name: name for name in RECIPES}, type=str)  # type: ignore[misc]
EncoderFormat = Enum("EncoderFormat", {name: name for name in get_args(Encoding)}, type=str)  # type: ignore[misc]

GATE_SCENES = 120

UNKNOWN_LICENCE = {"weights": "not stated; ask whoever trained them"}


class FactsFile(BaseModel):
    """`--facts`: figures (the unit in each name), what measured them, failures, licences for manifest and model card."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    accuracy: dict[ShortText, float] = Field(default_factory=dict)
    speed: dict[ShortText, float] = Field(default_factory=dict)
    licences: dict[ShortText, LongText] = Field(default_factory=dict, max_length=64)
    commands: dict[str, str] = Field(default_factory=dict)
    failures: list[str] = Field(default_factory=list)
    targets: list[dict[str, str]] = Field(default_factory=list)


_FACTS = list(FactsFile.model_fields)
FACTS_KNOWN = f"{', '.join(_FACTS[:-1])} and {_FACTS[-1]}"
"""What a facts file may hold, as help and errors name it."""


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="Directory that a training stage wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="Bundle directory to write; with --all-targets a folder of them.")
    ] = None,
    llm_quant: Annotated[Quantization, typer.Option(help="Format of the language model.")] = Quantization("Q8_0"),
    target: Annotated[Target, typer.Option(help="Board: decides what the encoders become.")] = Target("x86"),
    encoders: Annotated[
        EncoderFormat, typer.Option(help="Format of encoders and names; auto: the fastest one that passes the gate.")
    ] = EncoderFormat("auto"),
    all_boards: Annotated[
        bool, typer.Option("--all-targets", help="Every board; prints a table (the bundles are kept with --out).")
    ] = False,
    table: Annotated[
        Path | None, typer.Option(help="With --all-targets: write the table here, and beside it as .json.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the bundle.")] = "nano",
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    facts: Annotated[Path | None, typer.Option(help=f"JSON with {FACTS_KNOWN} for the model card.")] = None,
    probe: Annotated[
        list[Path] | None, typer.Option(help="Binaural recording to compare graphs on; may be repeated.")
    ] = None,
    gate_data: Annotated[
        Path | None, typer.Option(help="Rendered stems (shard-*) for the accuracy gate; made sounds without.")
    ] = None,
    gate_scenes: Annotated[int, typer.Option(help="Scenes of the gate from --gate-data.", min=3)] = GATE_SCENES,
    calibration_data: Annotated[
        Path | None,
        typer.Option(help="Rendered training stems (shard-*) for the scales of int8-static; made sounds without."),
    ] = None,
    loader: Annotated[str, typer.Option(help="Who reads the checkpoint (group earshot.networks).")] = "default",
) -> None:
    """Turn a trained model into a bundle: ONNX encoders, GGUF language model, manifest, model card."""
    _check_use(out, all_boards, table)
    _check_named(name, version)
    _check_apart(gate_data, calibration_data)
    stated = read_facts(facts)
    scenes = read_scenes(gate_data, gate_scenes)
    calibration = gate_scenes_of(calibration_data, CALIBRATION_SINGLES, CALIBRATION_PAIRS)
    networks = load_networks(checkpoint, loader)
    described = BundleFacts(
        name, version, stated.licences or UNKNOWN_LICENCE, stated.accuracy, stated.speed, stated.commands, stated.failures,
        stated.targets,
    )  # fmt: skip
    settings = ExportSettings(llm_quant.value, target.value, encoders.value, scenes, calibration)
    try:
        if all_boards:
            rows, refused = all_targets(networks, probe_audio(probe or ()), described, settings, out, _say)
            _tell_all(rows, refused, table)
        elif out is not None:
            report = export_bundle(networks, out, described, probe_audio(probe or ()), settings, _say)
            _tell(report, out)
    except ValueError as error:
        raise InputError(f"{checkpoint}: cannot be exported: {error}") from error


def _check_use(out: Path | None, all_boards: bool, table: Path | None) -> None:
    """What must be known before minutes are spent."""
    if out is None and not all_boards:
        raise UsageError("--out is missing: give the bundle directory to write")
    if table is not None and not all_boards:
        raise UsageError(f"--table {table}: only with --all-targets")
    if table is not None:
        _check_table(table)
    if out is not None:
        for directory in [out / board for board in RECIPES] if all_boards else [out]:
            check_place(directory)


def _check_table(table: Path) -> None:
    """The table and its JSON must have a place, each its own."""
    if not table.absolute().parent.is_dir():
        raise UsageError(f"--table {table}: there is no folder {table.absolute().parent}")
    if table.is_dir():
        raise UsageError(f"--table {table}: is a folder; name a file in it, as {table / 'targets.md'}")
    if table.suffix == ".json":
        raise UsageError(f"--table {table}: its JSON is written beside it as .json; give another ending, as targets.md")


def _check_named(name: str, version: str) -> None:
    """What the manifest will refuse when all is made."""
    for option, value, kind, right in (
        ("--name", name, BundleName, "letters, digits, '.', '_' and '-', at most 64, as nano-2"),
        ("--version", version, BundleVersion, "a digit first, as 0.1.0"),
    ):
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            raise UsageError(f"{option} {value!r}: give {right}") from error


def _check_apart(gate_data: Path | None, calibration_data: Path | None) -> None:
    """Scales that were taken from the scenes of the gate would flatter its figures."""
    if gate_data is not None and calibration_data is not None and gate_data.resolve() == calibration_data.resolve():
        raise UsageError(
            f"--calibration-data {calibration_data}: is the --gate-data; give training stems, or leave it out"
        )


def read_scenes(folder: Path | None, count: int) -> list[GateScene]:
    """Scenes of the gate: two thirds with one source, one third with two.

    Raises
    ------
    InputError
        When the folder holds no rendered stems.
    """
    if folder is None:
        return gate_scenes_of(None, MADE_SINGLES, MADE_PAIRS)
    return gate_scenes_of(folder, count - count // 3, count // 3)


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
        raise InputError(f"{path}: {where}: {first['msg']}; {FACTS_KNOWN} are known") from error


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _tell(report: ExportReport, out: Path) -> None:
    """A table for people, then one JSON document as the last line."""
    for encoder in report.encoders:
        typer.echo(f"{encoder.graph:10} {encoder.kept:12} {encoder.reason}{_costs(encoder)}")
    if report.names_error is not None:
        typer.echo(f"names with weights in 16 bits differ from the network by {report.names_error:.1e}")
    typer.echo(f"{'llm':10} {report.llm.quantization:12} logits follow the network by {report.llm_correlation:.5f}")
    for name, value in report.figures.items():
        typer.echo(f"{name:20} {value:8.3f}   float {report.reference[name]:8.3f}")
    size_bytes = sum(entry.size for entry in report.manifest.files.values())
    typer.echo(f"{out}: {size_bytes / 1e6:.1f} MB")
    document = {
        "out": str(out),
        "size_bytes": size_bytes,
        "encoders": [_finite(asdict(encoder)) for encoder in report.encoders],
        "llm": {"quantization": report.llm.quantization, "tensor_types": report.llm.tensor_types},
        "graph_error": report.graph_error,
        "names_error": report.names_error,
        "llm_correlation": report.llm_correlation,
        "gate": {"reference": report.reference, "figures": report.figures},
    }
    typer.echo(json.dumps(document))


def _costs(encoder: QuantReport) -> str:
    if not encoder.costs:
        return ""
    digits = 3 if encoder.unit == "ms" else 0
    costs = (f"{cost:.{digits}f} {encoding}" for encoding, cost in encoder.costs.items())
    return f" ({encoder.unit}: {', '.join(costs)})"


def _tell_all(rows: list[Row], refused: Mapping[str, str], table: Path | None) -> None:
    """The table of all boards, into a file as well, and one JSON document as the last line.

    Raises
    ------
    ValueError
        When a board has no bundle; all that is known of the others has been told then.
    UsageError
        When the table cannot be written.
    """
    text = markdown(rows)
    document = {"targets": [row.texts() for row in rows], "rows": [row.as_dict() for row in rows], "refused": refused}
    typer.echo(text)
    typer.echo(json.dumps(document))  # before the files, for minutes have been spent on it
    if table is not None:
        try:
            table.write_text(text, "utf-8")
            table.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        except OSError as error:
            raise UsageError(f"--table {table}: cannot be written ({error.strerror})") from error
    if refused:
        raise ValueError("; ".join(f"{board}: {reason}" for board, reason in refused.items()))


def _finite(values: dict[str, object]) -> dict[str, object]:
    """JSON knows no NaN and no infinity: they become null."""
    return {k: None if isinstance(v, float) and not abs(v) < 1e30 else v for k, v in values.items()}
