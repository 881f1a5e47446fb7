"""One table of a model on all boards: size, what it loses, time here, counted instructions, estimated time there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.export.bundle import BundleFacts
from earshot.export.card import table
from earshot.export.gate import METRICS, Figures, load_encoders, losses
from earshot.export.networks import Networks
from earshot.export.pipeline import Exporter, ExportReport, ExportSettings, Say
from earshot.export.targets import HOST_BOARDS, RECIPES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces import profile_added
from earshot.runtime.interfaces.measure import hops

ROUNDS = 3
_SHORT = {"top1": "top-1", "f1_20deg": "F1", "azimuth_error_deg": "azimuth deg", "answers": "answers"}


@dataclass(frozen=True)
class Row:
    """A board.

    Attributes
    ----------
    board : str
    size_mb : float
        Of the bundle.
    encoders : str
        Number formats of the graphs that hear.
    llm : str
    figures, loss : dict of float
        The gate's figures of the bundle; how much worse than float32 and F16 they are.
    host_ms : float
        Mean processor time of one hop of hearing on the machine of the export.
    board_estimate : dict or None
        Counted on the emulated core: instructions and milliseconds (with its range) of a hop of hearing, and, where the
        language model is counted, of a question to its first token.
    note : str
        Why there is no estimate.
    """

    board: str
    size_mb: float
    encoders: str
    llm: str
    figures: Figures
    loss: Figures
    host_ms: float
    board_estimate: dict[str, Any] | None
    note: str = ""

    def texts(self) -> dict[str, str]:
        """Cells by heading."""
        return {
            "board": self.board,
            "MB": f"{self.size_mb:.1f}",
            "encoders": self.encoders,
            "LLM": self.llm,
            **{_SHORT[name]: self._figure(name) for name in _SHORT if name in self.figures},
            "ms a hop here": f"{self.host_ms:.2f}",
            **_estimate_texts(self.board_estimate, self.note),
        }

    def _figure(self, name: str) -> str:
        """The figure, and its change against the float model."""
        sign = -1.0 if METRICS[name].rising else 1.0
        return f"{self.figures[name]:.3g} ({sign * self.loss.get(name, 0.0) + 0.0:+.3f})"

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def _estimate_texts(estimate: Mapping[str, Any] | None, note: str) -> dict[str, str]:
    blank = {"M instructions a hop": "", "ESTIMATE ms a hop": note, "ESTIMATE ms to first token": ""}
    if estimate is None:
        return blank
    first = estimate["first_token"]
    return {
        "M instructions a hop": f"{estimate['hearing']['instructions'] / 1e6:.2f}",
        "ESTIMATE ms a hop": _range(estimate["hearing"]),
        "ESTIMATE ms to first token": _range(first) if first else "LLM not counted here",
    }


def _range(stage: Mapping[str, float]) -> str:
    low, high = (f"{stage[key]:.2g}" if stage[key] < 100 else f"{stage[key]:.0f}" for key in ("low_ms", "high_ms"))
    return f"{stage['ms']:.3g} ({low}-{high})"


def all_targets(
    networks: Networks,
    audio: NDArray[np.float32],
    facts: BundleFacts,
    settings: ExportSettings,
    out: Path | None = None,
    say: Say = lambda text: None,
) -> tuple[list[Row], dict[str, str]]:
    """Make the bundle of every board and look at it.

    Parameters
    ----------
    networks : Networks
    audio : ndarray, float32 [2, samples]
        16 kHz; what is timed and counted on.
    facts : BundleFacts
    settings : ExportSettings
    out : Path, optional
        Keep the bundles here, one folder for each board.
    say : callable

    Returns
    -------
    rows : list of Row
    refused : dict of str
        Boards whose bundle did not pass a gate, and why; none is written for them.

    Raises
    ------
    ValueError
        When a network does not fit the contract.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        exporter = Exporter(networks, scratch / "work", audio, settings, say)
        exporter.prepare(facts.name)
        rows: list[Row] = []
        refused: dict[str, str] = {}
        for board in RECIPES:
            folder = (out or scratch) / board
            try:
                report = exporter.bundle(board, folder, facts)
            except ValueError as error:  # the others may pass, and minutes have been spent on them
                refused[board] = str(error)
                say(f"{board}: {error}")
                continue
            say(f"{board}: speed")
            rows.append(_row(board, folder, report, audio))
            say(f"{board}: {', '.join(f'{name} {text}' for name, text in rows[-1].texts().items())}")
        return rows, refused


def _row(board: str, folder: Path, report: ExportReport, audio: NDArray[np.float32]) -> Row:
    estimate, note = _estimate(board, folder, audio)
    kept = sorted({encoder.kept for encoder in report.encoders})
    return Row(
        board=board,
        size_mb=round(sum(entry.size for entry in report.manifest.files.values()) / 1e6, 2),
        encoders=kept[0] if len(kept) == 1 else ", ".join(f"{e.graph} {e.kept}" for e in report.encoders),
        llm=report.llm.quantization,
        figures=report.figures,
        loss=losses(report.reference, report.figures),
        host_ms=round(time_hop_ms(folder, audio), 3),
        board_estimate=estimate,
        note=note,
    )


def _estimate(board: str, folder: Path, audio: NDArray[np.float32]) -> tuple[dict[str, Any] | None, str]:
    if board in HOST_BOARDS:
        return None, "this machine's kind"
    try:
        document = profile_added.estimate(board, folder, audio)
    except profile_added.NotSetUpError:
        return None, "not counted: no emulator here"
    stages = document["stages"]
    return {"hearing": stages["hearing"], "first_token": stages.get("first_token")}, ""


def time_hop_ms(folder: Path, audio: NDArray[np.float32]) -> float:
    """Mean processor time of one hop of hearing, the best of a few rounds, milliseconds.

    A median would leave out the names network, which hears in two of ten hops only.
    """
    encoders = load_encoders(folder)
    return min(_mean_ms(Hearing(encoders), audio) for _ in range(ROUNDS))


def _mean_ms(hearing: Hearing, audio: NDArray[np.float32]) -> float:
    times_s = []
    for chunk in hops(audio):
        start_s = time.thread_time()
        hearing.process(chunk)
        times_s.append(time.thread_time() - start_s)
    return 1e3 * float(np.mean(times_s))


def markdown(rows: list[Row]) -> str:
    """The table; of no boards it is empty."""
    texts = [row.texts() for row in rows]
    if not texts:
        return ""
    return table(tuple(texts[0]), [tuple(text.values()) for text in texts]) + "\n"
