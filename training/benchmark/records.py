"""Plain records of clips: what the statistics and plots are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from earshot.runtime.labels import by_key
from earshot.runtime.scene.sources import SourceEstimate
from earshot.training.benchmark.statistics import clip_record

if TYPE_CHECKING:
    from earshot.training.benchmark.clips import Clip


def record_of(clip: Clip, heard: Sequence[SourceEstimate]) -> dict[str, Any]:
    """Record of the first source of a clip and of the surest track heard in it."""
    source = clip.sources[0]
    point = source["trajectory"][0]
    best = max(heard, key=lambda estimate: estimate.confidence, default=None)
    return clip_record(
        clip.scene,
        {"label": by_key(source["label"]).name, **point},
        None if best is None else best.model_dump(),
        t60_s=clip.room.get("t60_s"),
        snr_db=clip.snr_db,
        sources=len(clip.sources),
    )
