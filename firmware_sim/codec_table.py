"""`earshot simulate --codec-table`: what codings of hearables do to the difference of the ears, and to directions.

The same clips with one known source, plain and coded, are heard by the live path. Both ways every clip is judged by its
surest source; what moved between the two is the codec's doing, however right or wrong the listener was before.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from earshot.firmware_sim.codings import CODINGS, Coding, coded
from earshot.firmware_sim.stem_clips import RATE_HZ, StemClip, single_clips
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.errors import UsageError
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.labels import by_key
from earshot.runtime.scene.sources import SourceEstimate, summarize

BANDS_HZ = ((100, 500), (500, 1500), (1500, 4000), (4000, 8000))
"""The first two hold the delay between the ears, the last two their level difference (duplex theory, Rayleigh 1907)."""
UNHEARD_DEG = 90.0
"""What silence is worth: the mean error of a guess."""
MOVED_DEG = 10.0
_LATERAL_LIMIT_DEG = 75.0
_WINDOW, _HOP = 512, 320
_FLOOR_DB = 30.0
_CHUNK = 1600


@dataclass(frozen=True)
class Heard:
    """A clip as the listener heard it: its surest source, or None."""

    clip: StemClip
    source: SourceEstimate | None

    @property
    def error_deg(self) -> float:
        """Of the azimuth; a guess when nothing was heard."""
        return UNHEARD_DEG if self.source is None else _apart(self.source.azimuth_deg, self.clip.azimuth_deg)

    @property
    def right(self) -> bool:
        """Whether it has the right class."""
        return self.source is not None and self.source.label == by_key(self.clip.key).name


def hear(encoders: Encoders, clip: StemClip, audio: NDArray[np.float32]) -> Heard:
    """Hear a clip in one of its forms from a fresh start."""
    hearing = Hearing(encoders)
    snapshots = []
    for start in range(0, audio.shape[1], _CHUNK):
        snapshots += hearing.process(AudioChunk(audio[:, start : start + _CHUNK], start))
    return Heard(clip, max(summarize(snapshots), key=lambda source: source.confidence, default=None))


def figures_of(heard: Sequence[Heard]) -> dict[str, float | None]:
    """How right the clips were heard; None for what no clip tells."""
    found = [(h.source.azimuth_deg, h.clip.azimuth_deg) for h in heard if h.source is not None]
    sides = [abs(_lateral_deg(azimuth) - _lateral_deg(truth)) for azimuth, truth in found]
    clear = [(azimuth, truth) for azimuth, truth in found if abs(_lateral_deg(truth)) < _LATERAL_LIMIT_DEG]
    flipped = [np.cos(np.deg2rad(azimuth)) * np.cos(np.deg2rad(truth)) < 0 for azimuth, truth in clear]
    return {
        "heard": _mean([h.source is not None for h in heard]),
        "top1": _mean([h.right for h in heard]),
        "azimuth_median_deg": float(np.median([h.error_deg for h in heard])),
        "azimuth_mean_deg": _mean([h.error_deg for h in heard]),
        "lateral_mean_deg": _mean(sides),
        "front_back_confusions": _mean(flipped),
    }


def moves_of(before: Sequence[Heard], after: Sequence[Heard]) -> dict[str, float | None]:
    """How far the same clips moved, of those heard both times."""
    pairs = [(a.source, b.source) for a, b in zip(before, after, strict=True)]
    moves = [_apart(a.azimuth_deg, b.azimuth_deg) for a, b in pairs if a is not None and b is not None]
    return {
        "moved_median_deg": float(np.median(moves)) if moves else None,
        "moved_over_10deg": _mean([move > MOVED_DEG for move in moves]),
    }


def interaural_errors(plain: NDArray[np.float32], other: NDArray[np.float32]) -> list[tuple[float, float]]:
    """How much the difference of the ears changes.

    Parameters
    ----------
    plain, other : ndarray, float32 [2, n]
        The same sound, at the same time.

    Returns
    -------
    list of (float, float)
        For each band of `BANDS_HZ`: mean absolute change of the level difference, dB, and of the phase difference,
        degrees (its lines by their power), over the frames of 32 ms that are at most 30 dB below the loudest of the
        band.
    """
    before, after = _spectra(plain), _spectra(other)
    lines_hz = np.fft.rfftfreq(_WINDOW, 1 / RATE_HZ)
    errors = []
    for low_hz, high_hz in BANDS_HZ:
        band = (lines_hz >= low_hz) & (lines_hz < high_hz)
        errors.append(_band_errors(before[..., band], after[..., band]))
    return errors


def _spectra(samples: NDArray[np.float32]) -> NDArray[np.complex128]:
    """Spectra of short frames: [2, frames, lines]."""
    pieces = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW, axis=1)[:, ::_HOP]
    return np.asarray(np.fft.rfft(pieces * np.hanning(_WINDOW)))


def _band_errors(before: NDArray[np.complex128], after: NDArray[np.complex128]) -> tuple[float, float]:
    powers, others = ((np.abs(s) ** 2).sum(axis=-1) + 1e-12 for s in (before, after))
    loud = powers.sum(axis=0) > powers.sum(axis=0).max() * 10 ** (-_FLOOR_DB / 10)
    level_db = 10 * np.log10(others[0] / others[1] * powers[1] / powers[0])
    turned = (after[0] * after[1].conj()) * (before[0] * before[1].conj()).conj()
    phase_rad = np.angle((turned / (np.abs(turned) ** 0.5 + 1e-12)).sum(axis=-1))
    return float(np.abs(level_db[loud]).mean()), float(np.rad2deg(np.abs(phase_rad[loud]).mean()))


def codec_table(encoders: Encoders, clips: Sequence[StemClip], codings: Sequence[Coding]) -> dict[str, Any]:
    """Hear all clips plain and in each coding."""
    plain = [hear(encoders, clip, clip.audio) for clip in clips]
    # The silent console of a pipe shows nothing, so that the last line stays the document.
    shown = progress(codings, description="codings", console=Console(stderr=True), transient=True)
    rows = [_row(encoders, plain, coding) for coding in shown]
    return {"kind": "codec-table", "clips": len(clips), "plain": figures_of(plain), "codings": rows}


def _row(encoders: Encoders, plain: Sequence[Heard], coding: Coding) -> dict[str, Any]:
    coded_clips = [coded(h.clip.audio, coding) for h in plain]
    heard = [hear(encoders, h.clip, audio) for h, (audio, _) in zip(plain, coded_clips, strict=True)]
    errors = np.array(
        [interaural_errors(h.clip.audio, audio) for h, (audio, _) in zip(plain, coded_clips, strict=True)]
    )
    level_db, phase_deg = errors.mean(axis=0).round(2).T.tolist()
    return {
        "coding": coding.name,
        "kbps": round(float(np.mean([kbps for _, kbps in coded_clips])), 1),
        **figures_of(heard),
        **moves_of(plain, heard),
        "level_error_db": level_db,
        "phase_error_deg": phase_deg,
    }


def table_of(document: Mapping[str, Any]) -> Table:
    """The table for people."""
    title = f"codings of hearables; {document['clips']} clips with one source each"
    table = Table(title=title, title_justify="left")
    table.add_column("coding")
    bands = ", ".join(f"{low / 1000:g}-{high / 1000:g}" for low, high in BANDS_HZ)
    headings = ("kbit/s", "azimuth median, mean", "lateral", "front/back", "top-1", "heard", "moved median, > 10°")
    for heading in (*headings, f"level dB in {bands} kHz", "phase degrees"):
        table.add_column(heading, justify="right")
    for row in ({"coding": "plain", **document["plain"]}, *document["codings"]):
        table.add_row(*_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    moved = f"{_number(row, 'moved_median_deg')}°, {_share(row, 'moved_over_10deg')}" if "kbps" in row else ""
    return [
        row["coding"],
        f"{row['kbps']:.0f}" if "kbps" in row else "",
        f"{_number(row, 'azimuth_median_deg')}°, {_number(row, 'azimuth_mean_deg')}°",
        f"{_number(row, 'lateral_mean_deg')}°",
        _share(row, "front_back_confusions"),
        _share(row, "top1"),
        _share(row, "heard"),
        moved,
        ", ".join(f"{value:.1f}" for value in row.get("level_error_db", ())),
        ", ".join(f"{value:.0f}" for value in row.get("phase_error_deg", ())),
    ]


def _number(row: Mapping[str, Any], key: str) -> str:
    return "-" if row[key] is None else f"{row[key]:.1f}"


def _share(row: Mapping[str, Any], key: str) -> str:
    return "-" if row[key] is None else f"{row[key]:.0%}"


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _apart(azimuth_deg: float, other_deg: float) -> float:
    return float(angle_between_azimuths(azimuth_deg, other_deg))


def _lateral_deg(azimuth_deg: float) -> float:
    """Angle from the plane between the ears: what delay and level tell without front and back."""
    return float(np.rad2deg(np.arcsin(np.sin(np.deg2rad(azimuth_deg)))))


def show_codec_table(data: Path | None, clips: int, bundle: Path | None) -> None:
    """What `earshot simulate --codec-table` prints; the last line is one JSON document.

    Raises
    ------
    UsageError
        When no data are given, or the package av is not installed.
    InputError
        When the folder holds no rendered stems.
    BundleError
        When the bundle is missing or refused.
    """
    if data is None:
        raise UsageError("--codec-table needs --data: rendered stems, as 'earshot synth stems DIR' makes them")
    chosen = single_clips(data, clips)
    directory, encoders = open_encoders(bundle)
    document = {**codec_table(encoders, chosen, CODINGS), "bundle": directory.name}
    Console().print(table_of(document))
    typer.echo(json_module.dumps(document))
