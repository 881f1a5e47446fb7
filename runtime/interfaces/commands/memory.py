"""`earshot memory show|forget`: what `earshot listen --remember` has kept, and how to be rid of it."""

from __future__ import annotations

import json as json_module
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.errors import UsageError
from earshot.runtime.labels import by_key
from earshot.runtime.scene.episodes import Episode
from earshot.runtime.scene.memory import SceneMemory, default_memory_path
from earshot.runtime.scene.naming import name_sounds
from earshot.runtime.scene.timespans import DURATION, duration_words, seconds_of
from earshot.runtime.scene.words import place_words

memory = typer.Typer(help="Show or forget what 'earshot listen --remember' has kept.", no_args_is_help=True)

MemoryPath = Annotated[Path | None, typer.Option("--memory", help="The memory; the usual one by default.")]


@memory.command()
def show(
    last: Annotated[str | None, typer.Option(help='Only this long back: "10 minutes", "2 hours".')] = None,
    sound: Annotated[str | None, typer.Option(help='Only this sound: "dog", "someone".')] = None,
    memory: MemoryPath = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List what is remembered, in order of time."""
    since_s = None if last is None else time.time() - duration_s(last, "--last")
    keys = () if sound is None else _keys(sound)
    kept = SceneMemory(memory or default_memory_path())
    kept.open(create=False)
    try:
        episodes, count, used = kept.episodes(since_s, labels=keys), kept.count(), kept.used_bytes()
    finally:
        kept.close()
    for episode in episodes:
        typer.echo(json_module.dumps(episode.as_dict()) if json else _line(episode))
    if not json:
        shown = f"{len(episodes)} sound{'' if len(episodes) == 1 else 's'} shown"
        stored = f"{count} stored events (beginnings, moves and ends)"
        typer.echo(f"{shown}; {stored}, {used / 1000:.0f} kB in {kept.path}", err=True)


@memory.command()
def forget(
    older_than: Annotated[
        str | None, typer.Option(help='Only what began longer ago: "2 days". All without it.')
    ] = None,
    memory: MemoryPath = None,
) -> None:
    """Delete what is remembered, for good: the bytes are overwritten. Also while a listener is running."""
    before_s = None if older_than is None else time.time() - duration_s(older_than, "--older-than")
    kept = SceneMemory(memory or default_memory_path())
    kept.open(create=False)
    try:
        gone = kept.forget(before_s)
    finally:
        kept.close()
    typer.echo(f"{gone} events forgotten; {kept.path}")


def duration_s(text: str, option: str) -> float:
    """A duration such as "10 minutes" in seconds.

    Raises
    ------
    UsageError
        When it is none.
    """
    match = DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(f'{option} {text}: no duration; write "10 minutes", "2 hours" or "3 days"')
    return seconds_of(match["number"], match["unit"])


def _keys(sound: str) -> tuple[str, ...]:
    named = name_sounds(sound, either=True)
    if named is None:
        raise UsageError(f"--sound {sound}: not in the table of sounds; try one like 'dog' or 'alarm clock'")
    return named.keys


def _line(episode: Episode) -> str:
    started = datetime.fromtimestamp(episode.started_s)
    lasting = "no end" if episode.ended_s is None else duration_words(episode.ended_s - episode.started_s)
    ends = (episode.places[0], episode.places[-1])
    way = dict.fromkeys(place_words(p.azimuth_deg, p.elevation_deg, p.distance_m, p.ambiguous) for p in ends)
    return f"{started:%Y-%m-%d %H:%M:%S}  {lasting:<11} {by_key(episode.label).spoken}: {'; then '.join(way)}"
