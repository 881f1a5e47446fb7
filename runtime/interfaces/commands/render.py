"""`earshot render`: a picture of what was heard in a recording, for papers and bug reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.audio.file import FileSource
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.interfaces.asking import HEARING_CHUNK_SAMPLES
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.outputs import check_out
from earshot.runtime.interfaces.scene_picture import FORMATS, paths_of, save_picture


def render(
    audio: Annotated[Path, typer.Argument(help="Binaural WAV, FLAC or OGG file.")],
    out: Annotated[Path, typer.Option(help=f"Picture to write: {', '.join(FORMATS)}.")] = Path("scene.png"),
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
) -> None:
    """Draw direction against time, one line for each source that was heard."""
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"--out {out}: a picture ends in {', '.join(FORMATS)}")
    check_out(out, audio)
    paths = paths_of(hear(audio, bundle))
    save_picture(paths, out, title=audio.name)
    typer.echo(f"{len(paths)} source{'' if len(paths) == 1 else 's'} drawn: {out}")


def hear(audio: Path, bundle: Path | None) -> list[SceneSnapshot]:
    """All snapshots of a recording, ten a second."""
    _, encoders = open_encoders(bundle)
    hearing = Hearing(encoders)
    snapshots: list[SceneSnapshot] = []
    with FileSource(audio, chunk_samples=HEARING_CHUNK_SAMPLES) as source:
        for chunk in source:
            snapshots += hearing.process(chunk)
    return snapshots
