"""`earshot demo`: three sounds made on the spot are heard by the live path, drawn, and asked about."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from earshot.runtime.audio.source import ArraySource, AudioSource
from earshot.runtime.demo.questions import DemoQuestion, demo_questions
from earshot.runtime.demo.scene import DEMO_S, DEMO_SOURCES, render_demo
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing, HearingWindow
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.radar import render_radar
from earshot.runtime.language.answerer import Answer, Answerer
from earshot.runtime.language.heard import embed
from earshot.runtime.scene.sources import SourceEstimate, summarize


def demo(
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Do not wait for the sound to play.")] = False,
) -> None:
    """Hear a built-in scene, see its radar and ask about it."""
    console = Console(highlight=False)
    directory, encoders = open_encoders(bundle)
    console.print(f"Hearing {DEMO_S:.0f} s of sound, synthesised here; every answer is the model's own.\n")
    source = ArraySource(render_demo(), pace="fast" if fast else "real", name="demo scene")
    window = watch(encoders, source, console)
    heard = summarize(window.snapshots)
    console.print(Text(render_radar(heard)))
    console.print(comparison(heard, [s.truth() for s in DEMO_SOURCES]))
    answerer = Answerer(directory)
    answerer.load()
    try:
        ask_all(demo_questions(DEMO_SOURCES), encoders, answerer, window, console)
    finally:
        answerer.close()


def watch(encoders: Encoders, source: AudioSource, console: Console) -> HearingWindow:
    """Hear a source to its end; on a terminal the radar moves meanwhile.

    Returns
    -------
    HearingWindow
        The last 10 s.
    """
    hearing = Hearing(encoders)
    live = Live(console=console, transient=True, refresh_per_second=10) if console.is_terminal else None
    with source, live or nullcontext():
        for chunk in source:
            for snapshot in hearing.process(chunk):
                if live is not None:
                    live.update(_picture(snapshot))
    return hearing.window()


def comparison(heard: Sequence[SourceEstimate], truth: Sequence[SourceEstimate]) -> Table:
    """What was heard and what was there, side by side in order of onset."""
    table = Table(title="heard, and the truth")
    for heading in ("", "label", "azimuth", "elevation", "distance", "time"):
        table.add_column(heading)
    for kind, sources in (("heard", heard), ("truth", truth)):
        for s in sources:
            place = f"{s.azimuth_deg:.0f} deg", f"{s.elevation_deg:.0f} deg", f"{s.distance_m:.1f} m"
            table.add_row(kind, s.label, *place, f"{s.onset_s:.1f}-{s.offset_s:.1f} s")
        table.add_section()
    return table


def ask_all(
    questions: Sequence[DemoQuestion],
    encoders: Encoders,
    answerer: Answerer,
    window: HearingWindow,
    console: Console,
) -> list[Answer]:
    """Put the questions to the model and print question, answer, truth and time."""
    answers = []
    for question in questions:
        heard = embed(encoders, window, question.text, question.choices)
        answer = answerer.answer(question.text, heard, question.choices)
        answers.append(answer)
        console.print(Text(f"\n[{question.level}] {question.text}"))
        if question.choices:
            console.print(Text(f"     {' / '.join(question.choices)}"))
        console.print(Text(f"     answer  {answer.text}"))
        for doubt in answer.doubts:
            console.print(Text(f"     not certain: {doubt}"))
        console.print(Text(f"     truth   {question.truth}"))
        timing = f"first token {1000 * answer.first_token_s:.0f} ms, answer {1000 * answer.answer_s:.0f} ms"
        console.print(Text(f"     {timing}", style="dim"))
    return answers


def _picture(snapshot: SceneSnapshot) -> Text:
    sounding = [track for track in snapshot.tracks if track.active]
    return Text(f"{snapshot.time_s:4.1f} s\n{render_radar(sounding)}")
