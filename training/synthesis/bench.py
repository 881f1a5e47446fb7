"""How fast scenes are rendered: the figure that says whether synthesis limits training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from earshot.training.synthesis.dynamic import render_dynamic
from earshot.training.synthesis.render import World, render_scene
from earshot.training.synthesis.scenes import DynamicSettings, SceneSettings

STILL = SceneSettings()
# Everything moves: the dearest scenes there are with so many sources.
MOVING = DynamicSettings(
    sources=(STILL.sources, STILL.sources), moving_share=1.0, turning_share=1.0, walking_share=1.0, measured_share=0.0
)
MIXED = replace(DynamicSettings(), measured_share=0.0)


def measure(world: World, count: int, advance: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Time the kinds of scenes on this thread.

    Parameters
    ----------
    world : World
        Sounds, heads, rooms.
    count : int
        Scenes of each kind.
    advance : callable
        Called after each scene.

    Returns
    -------
    dict
        By kind: ``static`` (as in stem shards), ``moving`` (every source and the listener) and ``mixed`` (as
        ``earshot synth scenes --dynamic`` draws them). See `timed`.
    """

    def still(seed: int) -> None:
        render_scene(world, STILL, seed, f"bench-{seed}", "train")
        advance()

    def dynamic(settings: DynamicSettings) -> Callable[[int], None]:
        def render(seed: int) -> None:
            render_dynamic(world, settings, seed, f"bench-{seed}", "train")
            advance()

        return render

    kinds = {"static": still, "moving": dynamic(MOVING), "mixed": dynamic(MIXED)}
    return {
        "duration_s": STILL.duration_s,
        "heads": len(world.heads),
        "sources": {"static": STILL.sources, "moving": STILL.sources, "mixed": list(MIXED.sources)},
        **{kind: timed(render, count, STILL.duration_s) for kind, render in kinds.items()},
    }


def timed(render: Callable[[int], None], count: int, duration_s: float) -> dict[str, float]:
    """Render ``count`` scenes of ``duration_s`` after one that is not counted (recordings are read, plans made).

    Returns
    -------
    dict
        ``scenes_per_second_and_core`` and ``audio_seconds_per_second_and_core`` by the processor time that was used (so
        that other work on the machine does not count), ``scenes_per_second`` by the clock, and what was rendered.
    """
    render(0)
    wall, cpu = time.perf_counter(), time.process_time()
    for seed in range(1, count + 1):
        render(seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "scenes": count,
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "scenes_per_second": round(count / wall, 3),
        "scenes_per_second_and_core": round(count / cpu, 3),
        "audio_seconds_per_second_and_core": round(count * duration_s / cpu, 2),
    }
