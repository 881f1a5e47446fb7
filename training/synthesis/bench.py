"""How fast scenes are rendered: the figure that says whether synthesis limits training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from earshot.training.synthesis.render import World, render_scene
from earshot.training.synthesis.scenes import SceneSettings


def measure(
    world: World, settings: SceneSettings, count: int, advance: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Render scenes on this thread and take the time.

    Parameters
    ----------
    world : World
        Sounds, heads, rooms.
    settings : SceneSettings
    count : int
        Scenes to render; one more is rendered first, so that recordings are read and plans made.
    advance : callable
        Called after each scene.

    Returns
    -------
    dict
        ``scenes_per_second_and_core`` and ``audio_seconds_per_second_and_core`` by the processor time that was used (so
        that other work on the machine does not count), ``scenes_per_second`` by the clock, and what was rendered.
    """
    render_scene(world, settings, 0, "warm-up", "train")
    wall, cpu = time.perf_counter(), time.process_time()
    for seed in range(1, count + 1):
        render_scene(world, settings, seed, f"bench-{seed}", "train")
        advance()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "scenes": count,
        "duration_s": settings.duration_s,
        "sources": settings.sources,
        "heads": len(world.heads),
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "scenes_per_second": round(count / wall, 3),
        "scenes_per_second_and_core": round(count / cpu, 3),
        "audio_seconds_per_second_and_core": round(count * settings.duration_s / cpu, 2),
    }
