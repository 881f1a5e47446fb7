"""MODEL_CARD.md, made at export from the figures that also stand in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from earshot.export.bundle import BundleFacts
from earshot.export.choose import QuantReport
from earshot.export.gate import METRICS, Limits
from earshot.export.gguf_llm import GgufReport

_WHAT = """An Earshot bundle: hears two ears at 16 kHz, says what sounds where, and answers questions
about the last 10 seconds."""
_USE = """Telling a person, or a program that a person oversees, what sounds around them and where: hearing aids and headphones,
assistance, monitoring of a room, research. It hears on the device and keeps no sound. Not for recognising who speaks, and not where
a missed or misplaced sound can do harm."""
_LIMITS = """Sounds outside the 61 classes are missed or misnamed. Four sources at once at most. Trained on
rendered scenes: expect larger errors in large reverberant halls and with heads unlike those it was trained
with. Not for safety-critical use."""
_NOT_MEASURED = "Not measured at export."
_MADE_OF = {
    "int8": "matrix products, activations scaled anew in every step",
    "int8-static": "matrix products and convolutions, activations scaled as calibration scenes made them",
}


def model_card(
    facts: BundleFacts,
    llm: GgufReport,
    encoders: Sequence[QuantReport],
    reference: Mapping[str, float] | None = None,
    figures: Mapping[str, float] | None = None,
    scenes: int = 0,
    limits: Limits = METRICS,
) -> str:
    """Text of the model card.

    Parameters
    ----------
    facts : BundleFacts
        Name, licences and measured figures.
    llm : GgufReport
        What the language model's file holds.
    encoders : sequence of QuantReport
        What became of each encoder.
    reference, figures : mapping of float, optional
        The gate's figures of the float model and of this bundle.
    scenes : int
        How many scenes the gate heard.
    limits : mapping of Metric
        What it allowed to be lost.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        f"# {facts.name} {facts.version}",
        _WHAT,
        "## Parts",
        table(("part", "format", "note"), [*map(_encoder_row, encoders), _llm_row(llm)]),
        "## Accuracy",
        _figures(facts.accuracy, facts.commands),
        "## Speed",
        _figures(facts.speed, facts.commands),
        "## Targets",
        _targets(facts.targets),
        "## Gate",
        _gate(reference or {}, figures or {}, scenes, limits),
        "## Intended use",
        _USE,
        "## Limits",
        _LIMITS,
        *_failures(facts.failures),
        "## Licences",
        table(("what", "licence"), sorted(facts.licences.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _encoder_row(report: QuantReport) -> tuple[str, str, str]:
    note = report.reason
    if report.kept in _MADE_OF:
        note = f"{report.quantized_nodes} {_MADE_OF[report.kept]}; {report.snr_db:.1f} dB against float32"
    return f"{report.graph}.onnx", report.kept, note


def _targets(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of `earshot export --all-targets`, as it was measured then."""
    if not rows:
        return _NOT_MEASURED
    return table(tuple(rows[0]), [tuple(row.values()) for row in rows])


def _gate(reference: Mapping[str, float], figures: Mapping[str, float], scenes: int, limits: Limits) -> str:
    """What the float model can do and what this bundle can, on the same scenes."""
    if not figures:
        return _NOT_MEASURED
    rows = [
        (name, f"{reference[name]:.3f}", f"{figures[name]:.3f}", f"{limits[name].allowed:.3f}")
        for name in limits
        if name in figures
    ]
    head = (f"{scenes} scenes", "float32 and F16", "this bundle", "loss allowed")
    return table(head, rows)


def _llm_row(llm: GgufReport) -> tuple[str, str, str]:
    types = ", ".join(f"{count} {name}" for name, count in llm.tensor_types.items())
    note = f"{llm.architecture}, hidden {llm.hidden}, context {llm.context}; tensors: {types}"
    return "llm.gguf", llm.quantization, note


def _figures(figures: Mapping[str, float], commands: Mapping[str, str]) -> str:
    if not figures:
        return _NOT_MEASURED
    rows = [(name, f"{value:.4g}", _command(name, commands)) for name, value in sorted(figures.items())]
    return table(("figure", "value", "measured by"), rows)


def _command(figure: str, commands: Mapping[str, str]) -> str:
    """The command whose figures begin like this one; the longest beginning decides."""
    beginnings = [name for name in commands if figure.startswith(name)]
    return f"`{commands[max(beginnings, key=len)]}`" if beginnings else ""


def _failures(examples: Sequence[str]) -> list[str]:
    return ["## Failure cases", "\n".join(f"- {example}" for example in examples)] if examples else []


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
