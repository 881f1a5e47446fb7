"""Where a named one of several overlapping sounds is: by what a listener tells of it, and by what it finds when asked by name.

As "AURA" and "BAT" ask of two sounds: eight directions of 45 degrees around the head. What is not told of under its name counts as
wrong, and as 90 degrees, the mean error of a guess. Asked by name, as a question does, a listener always finds a direction; it is not
told more than the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.asked import ask_by_name
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.hearing.objects import POSTERIOR, class_of, object_rows, strongest_first
from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.labels import by_key, class_id
from earshot.runtime.scene.sources import SourceEstimate
from earshot.training.benchmark.clips import CHANCE_AZIMUTH_ERROR_DEG, Clip, cut
from earshot.training.synthesis.dataset import Shard, iterate_scenes

LEAST_OVERLAP_S = 0.5
_SECTOR_DEG = 45.0


def three_source_clips(shards: list[Shard], limit: int) -> Iterator[Clip]:
    """Triples of stems that all sound together for at least half a second."""
    made = 0
    for shard, row in iterate_scenes(shards):
        sources = shard.scenes[row]["sources"]
        for left_out in range(len(sources)):
            keep = [number for number in range(len(sources)) if number != left_out]
            ends, onsets = ([sources[i][key] for i in keep] for key in ("offset_s", "onset_s"))
            if len(keep) != 3 or min(ends) - max(onsets) < LEAST_OVERLAP_S:
                continue
            if made >= limit:
                return
            yield cut(shard, row, keep)
            made += 1


def named_errors_deg(clip: Clip, heard: Sequence[SourceEstimate]) -> list[tuple[float, float | None]]:
    """Azimuth of each source of a clip and of what is told under its name (the surest), degrees; None where nothing is."""
    pairs: list[tuple[float, float | None]] = []
    for source in clip.sources:
        named = [e for e in heard if e.label == by_key(source["label"]).name]
        told = max(named, key=lambda e: e.confidence).azimuth_deg if named else None
        pairs.append((float(source["trajectory"][0]["azimuth_deg"]), told))
    return pairs


def asked_errors_deg(clip: Clip, encoders: Encoders, window: HearingWindow) -> list[tuple[float, float | None]]:
    """Azimuth of each source of a clip and of what is found under its name, degrees; None for a clip without a whole token."""
    found = object_rows(window.tokens)
    wanted = [label for label in dict.fromkeys(class_id(s["label"]) for s in clip.sources) if label not in found]
    found |= {class_of(row): row for row in ask_by_name(encoders, window.frames, wanted, strongest_first(found))}
    azimuths = {label: lobe_azimuth_deg(row[POSTERIOR]) for label, row in found.items()}
    return [(float(s["trajectory"][0]["azimuth_deg"]), azimuths.get(class_id(s["label"]))) for s in clip.sources]


def summarize_named(pairs: Iterable[tuple[float, float | None]]) -> dict[str, float]:
    """Figures of true and told azimuths.

    Returns
    -------
    dict
        ``sounds``; ``told`` share told of under their name; ``eight_way`` share in the right of eight directions;
        ``azimuth_median_deg`` over all, and ``azimuth_median_told_deg`` over those told of.
    """
    pairs = list(pairs)
    errors = [
        CHANCE_AZIMUTH_ERROR_DEG if told is None else float(angle_between_azimuths(told, true)) for true, told in pairs
    ]
    found = [error for error, (_, told) in zip(errors, pairs, strict=True) if told is not None]
    return {
        "sounds": len(pairs),
        "told": len(found) / max(1, len(pairs)),
        "eight_way": float(np.mean([told is not None and sector(told) == sector(true) for true, told in pairs])),
        "azimuth_median_deg": float(np.median(errors)),
        "azimuth_median_told_deg": float(np.median(found)) if found else CHANCE_AZIMUTH_ERROR_DEG,
    }


def sector(azimuth_deg: float) -> int:
    """Which of eight directions an azimuth is, 0 = front, counted to the left."""
    return round(azimuth_deg / _SECTOR_DEG) % 8
