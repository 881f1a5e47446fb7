"""Hearing benchmark: a bundle, run as in use, on sources in heads, rooms and recordings that training never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.geometry import angle_between_azimuths, unit_vector
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.labels import by_key
from earshot.runtime.scene.sources import SourceEstimate, summarize
from earshot.training.benchmark.answers import demand_places
from earshot.training.benchmark.baselines import Listen, baseline_listener
from earshot.training.benchmark.clips import CHANCE_AZIMUTH_ERROR_DEG, Clip, single_source_clips, two_source_clips
from earshot.training.benchmark.named import asked_errors_deg, named_errors_deg, summarize_named, three_source_clips
from earshot.training.benchmark.records import record_of
from earshot.training.benchmark.statistics import CLIP_STATISTICS, FACTORS, factor_table, interval, lateral_deg, plain
from earshot.training.benchmark.stems import open_stems

LEVEL_DEG = 45.0
EAR_HEIGHT_DEG = 30.0
"""A frontal source is at most so far above or below the ears: people, whose figures are to be met, were asked about such ones."""
Errors = tuple[float, float | None]


class BundleEars:
    """The hearing of a loaded bundle, by the live path; it can be asked by name about the clip heard last.

    Parameters
    ----------
    encoders : Encoders
    """

    def __init__(self, encoders: Encoders) -> None:
        self._encoders = encoders
        self._hearing = Hearing(encoders)

    def __call__(self, audio: NDArray[np.float32]) -> list[SourceEstimate]:
        """Sources heard in a clip [2, samples]."""
        self._hearing.reset()
        snapshots = []
        for start in range(0, audio.shape[1], 1600):
            snapshots += self._hearing.process(AudioChunk(audio[:, start : start + 1600], start))
        return summarize(snapshots)

    def asked_errors_deg(self, clip: Clip) -> list[Errors]:
        """Azimuth of each source of the clip heard last, and of what is found under its name."""
        return asked_errors_deg(clip, self._encoders, self._hearing.window())


@dataclass(frozen=True)
class Judged:
    """One single-source clip, judged."""

    truth_azimuth_deg: float
    truth_elevation_deg: float
    azimuth_deg: float | None
    correct_class: bool
    distance_error_m: float | None
    t60_s: float
    direction_error_deg: float = CHANCE_AZIMUTH_ERROR_DEG
    elevation_deg: float = 0.0

    @property
    def lateral_error_deg(self) -> float:
        """Between the lateral angles of what was heard and of the truth; see `lateral_deg`."""
        heard_deg = lateral_deg(self.azimuth_deg or 0.0, self.elevation_deg)
        return abs(heard_deg - lateral_deg(self.truth_azimuth_deg, self.truth_elevation_deg))

    @property
    def frontal(self) -> bool:
        """Whether the source is in front, at about the height of the ears."""
        return abs(self.truth_azimuth_deg) <= 90.0 and abs(self.truth_elevation_deg) <= EAR_HEIGHT_DEG


def judge_single(clip: Clip, heard: list[SourceEstimate]) -> Judged:
    """Compare the surest track of a clip with its only source."""
    source = clip.sources[0]
    point = source["trajectory"][0]
    t60 = float(clip.room.get("t60_s") or 0.0)
    if not heard:
        return Judged(point["azimuth_deg"], point["elevation_deg"], None, False, None, t60)
    best = max(heard, key=lambda s: s.confidence)
    distance = None if point["distance_m"] is None else abs(best.distance_m - point["distance_m"])
    truth = unit_vector(point["azimuth_deg"], point["elevation_deg"])
    cosine = float(np.clip(truth @ unit_vector(best.azimuth_deg, best.elevation_deg), -1.0, 1.0))
    return Judged(
        truth_azimuth_deg=point["azimuth_deg"],
        truth_elevation_deg=point["elevation_deg"],
        azimuth_deg=best.azimuth_deg,
        correct_class=best.label == by_key(source["label"]).name,
        distance_error_m=distance,
        t60_s=t60,
        direction_error_deg=float(np.rad2deg(np.arccos(cosine))),
        elevation_deg=best.elevation_deg,
    )


def summarize_single(judged: list[Judged]) -> dict[str, float]:
    """Figures of the single-source table; clips in which nothing was heard count as errors of a guess."""
    found = [j for j in judged if j.azimuth_deg is not None]
    errors = [
        CHANCE_AZIMUTH_ERROR_DEG
        if j.azimuth_deg is None
        else float(angle_between_azimuths(j.azimuth_deg, j.truth_azimuth_deg))
        for j in judged
    ]
    lateral = [j.lateral_error_deg for j in found]
    frontal = [j.lateral_error_deg for j in found if j.frontal]
    clear = [j for j in found if abs(lateral_deg(j.truth_azimuth_deg)) < 75]
    flipped = [np.cos(np.deg2rad(j.azimuth_deg or 0)) * np.cos(np.deg2rad(j.truth_azimuth_deg)) < 0 for j in clear]
    distances = [j.distance_error_m for j in found if j.distance_error_m is not None]
    return {
        "clips": len(judged),
        "heard": len(found) / len(judged),
        "top1": float(np.mean([j.correct_class for j in judged])),
        "azimuth_mean_deg": float(np.mean(errors)),
        "azimuth_median_deg": float(np.median(errors)),
        "direction_mean_deg": float(np.mean([j.direction_error_deg for j in judged])),
        "azimuth_over_20deg": float(np.mean(np.array(errors) > 20)),
        "lateral_mean_deg": float(np.mean(lateral)) if lateral else 90.0,
        "lateral_rms_frontal_deg": float(np.sqrt(np.mean(np.square(frontal)))) if frontal else 90.0,
        "front_back_confusions": float(np.mean(flipped)) if flipped else 0.5,
        "distance_over_half_m": float(np.mean(np.array(distances) > 0.5)) if distances else 1.0,
    }


def count_matches(clip: Clip, heard: list[SourceEstimate], within_deg: float = 20.0) -> tuple[int, int, int]:
    """True positives, estimates and truths of a clip: right class and azimuth within ``within_deg`` (greedy by error)."""
    free = list(heard)
    hits = 0
    for source in clip.sources:
        name, azimuth = by_key(source["label"]).name, source["trajectory"][0]["azimuth_deg"]
        same = [e for e in free if e.label == name]
        same.sort(key=lambda e: float(angle_between_azimuths(e.azimuth_deg, azimuth)))
        if same and angle_between_azimuths(same[0].azimuth_deg, azimuth) <= within_deg:
            hits += 1
            free.remove(same[0])
    return hits, len(heard), len(clip.sources)


def run_hearing(
    bundle: Path | None,
    data: Path,
    singles: int = 1000,
    pairs: int = 300,
    triples: int = 150,
    baseline: str | None = None,
    recordings: Path | None = None,
    plots: Path | None = None,
    seldnet: Path | None = None,
) -> dict[str, Any]:
    """Score a bundle, or a baseline or a SELDnet on the same clips.

    Parameters
    ----------
    bundle : Path or None
        Bundle folder; not needed for another system.
    data : Path
        Folder of validation stem shards.
    singles, pairs, triples : int
        Number of single-source clips and of two and three overlapping sources.
    baseline : {"gcc", "random", "majority"}, optional
        Score this instead of the bundle.
    recordings : Path, optional
        Folder with ``hrtf/``, whose training heads ``gcc`` looks up.
    plots : Path, optional
        Folder for plots.
    seldnet : Path, optional
        Score the network of this run directory of ``earshot train seldnet``.

    Returns
    -------
    dict
        ``system``, ``single`` (all), ``single_level`` (sources within 45 degrees of ear height: near the zenith an azimuth
        means little), ``single_measured`` (measured rooms), ``single_dry`` (T60 < 0.3 s), ``pairs`` (F1),
        ``named_of_two`` and ``named_of_three``, for a bundle ``asked_of_two`` and ``asked_of_three`` (see `named`), ``intervals`` (95 %, by scene) and ``by_factor`` of the single-source figures.

    Raises
    ------
    InputError
        There are no stems of scenes that stand still.
    """
    demand_places(plots=plots)
    shards = [shard for shard in open_stems(data) if shard.stands_still]
    clips = list(single_source_clips(shards, singles))
    if not clips:
        raise InputError(f"{data}: something moves in every shard; still ones are scored: earshot synth stems FOLDER")
    system, listen = _listener(bundle, baseline, clips, recordings, seldnet)
    records, figures = _singles(clips, listen)
    two = _several(list(two_source_clips(shards, pairs)), listen, "two sources")
    three = _several(list(three_source_clips(shards, triples)), listen, "three")
    if plots is not None:
        _draw(records, plots)
    return {
        "system": system,
        **figures,
        "pairs": two.matches(),
        "named_of_two": summarize_named(two.named) if two.named else None,
        "named_of_three": summarize_named(three.named) if three.named else None,
        **{
            f"asked_of_{name}": summarize_named(part.asked)
            for name, part in (("two", two), ("three", three))
            if part.asked
        },
        "intervals": {name: interval(records, figure).to_json() for name, figure in CLIP_STATISTICS.items()},
        "by_factor": {factor: plain(factor_table(records, factor)) for factor in FACTORS if factor != "sources"},
    }


def _singles(clips: list[Clip], listen: Listen) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Records of the clips of one source, and their figures under all conditions."""
    judged: list[Judged] = []
    measured: list[Judged] = []
    records: list[dict[str, Any]] = []
    for clip in track(clips, description="single sources", console=Console(stderr=True)):
        heard = listen(clip.audio)
        judged.append(judge_single(clip, heard))
        records.append(record_of(clip, heard))
        if clip.room["kind"] == "brir":
            measured.append(judged[-1])
    level = [j for j in judged if abs(j.truth_elevation_deg) <= LEVEL_DEG]
    dry = [j for j in judged if j.t60_s < 0.3]
    conditions = {"single_level": level, "single_measured": measured, "single_dry": dry}
    parts = {name: summarize_single(part) if part else None for name, part in conditions.items()}
    return records, {"single": summarize_single(judged), **parts}


@dataclass
class _Several:
    """What was heard of clips of several sources."""

    clips: int
    counts: NDArray[np.int64]
    named: list[Errors]
    asked: list[Errors]

    def matches(self) -> dict[str, float]:
        """F1, precision and recall of class and direction."""
        hits, estimates, truths = (int(count) for count in self.counts)
        return {
            "clips": self.clips,
            "f1_20deg": 2 * hits / max(1, estimates + truths),
            "precision": hits / max(1, estimates),
            "recall": hits / max(1, truths),
        }


def _several(clips: list[Clip], listen: Listen, description: str) -> _Several:
    """Hear clips of several sources; a bundle is asked by name as well."""
    found = _Several(len(clips), np.zeros(3, np.int64), [], [])
    for clip in track(clips, description=description, console=Console(stderr=True)):
        heard = listen(clip.audio)
        found.counts += count_matches(clip, heard)
        found.named += named_errors_deg(clip, heard)
        if isinstance(listen, BundleEars):
            found.asked += listen.asked_errors_deg(clip)
    return found


def _listener(
    bundle: Path | None, baseline: str | None, clips: list[Clip], recordings: Path | None, seldnet: Path | None
) -> tuple[str, Listen]:
    """Name and ears of what is scored."""
    if baseline is not None and seldnet is not None:
        raise UsageError("--baseline and --seldnet: choose one")
    if baseline is not None:
        truths = [source for clip in clips for source in clip.sources]
        return baseline, baseline_listener(baseline, truths, recordings)
    if seldnet is not None:
        from earshot.training.benchmark.seldnet_system import SeldnetSystem  # torch, which bundles do not need

        network = SeldnetSystem(seldnet)
        return network.name, network.sources
    if bundle is None:
        raise UsageError("name a bundle folder, or a baseline with --baseline, or a network with --seldnet")
    encoders = Encoders()
    encoders.load(bundle)
    return str(bundle), BundleEars(encoders)


def _draw(records: list[dict[str, Any]], folder: Path) -> None:
    from earshot.training.benchmark.plots import plot_azimuth_error, plot_front_back

    plot_azimuth_error(records, folder / "azimuth_error.png")
    plot_front_back(records, folder / "front_back.png")
