"""MODEL_CARD.md, made at export from the figures that also stand in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from earshot.export.bundle import BundleFacts
from earshot.export.gguf_llm import GgufReport
from earshot.export.quantize import QuantReport

_WHAT = """An Earshot bundle: hears two ears at 16 kHz, says what sounds where, and answers questions
about the last 10 seconds."""
_LIMITS = """Sounds outside the 61 classes are missed or misnamed. Four sources at once at most. Trained on
rendered scenes: expect larger errors in large reverberant halls and with heads unlike those it was trained
with. Not for safety-critical use."""
_NOT_MEASURED = "Not measured at export."


def model_card(facts: BundleFacts, llm: GgufReport, encoders: Sequence[QuantReport]) -> str:
    """Text of the model card.

    Parameters
    ----------
    facts : BundleFacts
        Name, licences and measured figures.
    llm : GgufReport
        What the language model's file holds.
    encoders : sequence of QuantReport
        What became of each encoder.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        f"# {facts.name} {facts.version}",
        _WHAT,
        "## Parts",
        _table(("part", "format", "note"), [*map(_encoder_row, encoders), _llm_row(llm)]),
        "## Accuracy",
        _figures(facts.accuracy),
        "## Speed",
        _figures(facts.speed),
        "## Limits",
        _LIMITS,
        "## Licences",
        _table(("what", "licence"), sorted(facts.licences.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _encoder_row(report: QuantReport) -> tuple[str, str, str]:
    note = report.reason
    if report.quantized_nodes:
        note = f"{report.quantized_nodes} matrix products, {report.snr_db:.1f} dB against float32"
    return f"{report.graph}.onnx", report.kept, note


def _llm_row(llm: GgufReport) -> tuple[str, str, str]:
    types = ", ".join(f"{count} {name}" for name, count in llm.tensor_types.items())
    note = f"{llm.architecture}, hidden {llm.hidden}, context {llm.context}; tensors: {types}"
    return "llm.gguf", llm.quantization, note


def _figures(figures: Mapping[str, float]) -> str:
    if not figures:
        return _NOT_MEASURED
    return _table(("figure", "value"), [(name, f"{value:.4g}") for name, value in sorted(figures.items())])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
