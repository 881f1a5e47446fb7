"""AudioSet with strong labels: clips of YouTube videos in which the start and end of every sound are annotated.

The collection holds the labels; its clips are brought by whoever downloads them, so that some are always missing.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from earshot.runtime.errors import InputError
from earshot.training.synthesis.class_names import audioset_key
from earshot.training.synthesis.layout_parts import (
    AUDIO_SUFFIXES,
    VALIDATION_FOLD,
    EventRow,
    audio_info,
    table_rows,
    training_fold,
)
from earshot.training.synthesis.lone_events import LabelledEvent, cut_at, lone_events

TABLES = ("audioset_train_strong.tsv", "audioset_eval_strong.tsv")
COLUMNS = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
NAME_MAPS = ("mid_to_display_name.tsv", "class_labels_indices.csv")
LONGEST_S = 11.0
"""A segment lasts 10 s; a longer file is a whole video, to whose start the annotated times do not refer."""


def audioset(root: Path) -> Iterator[EventRow]:
    """AudioSet strong (Hershey et al. 2021): ``audioset_{train,eval}_strong.tsv``, a map of names, clips anywhere below.

    The map is ``mid_to_display_name.tsv`` (of the strong labels) or ``class_labels_indices.csv`` (of the 527 classes).
    A clip is named after its segment: ``YTID_STARTMS``, ``YTID``, ``YTID_START`` or ``YTID_START_END`` (seconds or
    milliseconds), also with a ``Y`` before it. Segments without a clip are left out. An event is taken if only its
    class sounds meanwhile. Groups are YouTube videos; the training part goes to folds 1 to 3, the evaluation part to 4.

    Raises
    ------
    InputError
        A table or the map of names is missing or breaks the layout, no clip is there, or one is no segment.
    """
    tables = [root / name for name in TABLES if (root / name).is_file()]
    if not tables:
        raise InputError(f"{root}: no {' or '.join(TABLES)}; give the folder that holds the strong labels")
    names = _display_names(root)
    clips = {path.stem: path for path in sorted(root.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES}
    segments = found = 0
    for table in tables:
        for segment, events in _segments(table, names).items():
            segments += 1
            path = next((clips[stem] for stem in clip_stems(segment) if stem in clips), None)
            if path is not None:
                found += 1
                yield from _excerpts(path, segment, events, training=table.name == TABLES[0])
    if not found:
        raise InputError(f"{root}: no sound of any of the {segments} segments; name them SEGMENT_ID.wav, below here")


def clip_stems(segment: str) -> Iterator[str]:
    """Names without suffix that tools give to the clip of a segment ``YTID_STARTMS``, the surest ones first."""
    video, _, start = segment.rpartition("_")
    first, last = int(start), int(start) + 10_000
    spans = [start, f"{start}_{last}"]
    for form in ("{:.3f}", "{:.1f}", "{:.0f}"):
        spans += [form.format(first / 1000), f"{form.format(first / 1000)}_{form.format(last / 1000)}"]
    for name in (*(f"{video}_{span}" for span in spans), video):
        yield name
        yield f"Y{name}"


def _segments(table: Path, names: dict[str, str]) -> dict[str, list[LabelledEvent]]:
    """Events of every segment."""
    segments: defaultdict[str, list[LabelledEvent]] = defaultdict(list)
    for number, row in table_rows(table, COLUMNS, delimiter="\t"):
        where = f"{table}, line {number}"
        if not re.fullmatch(r".+_\d+", row["segment_id"]):
            raise InputError(f"{where}: segment {row['segment_id']!r}; expected YTID_STARTMS")
        start_s, end_s = _times(row["start_time_seconds"], row["end_time_seconds"], where)
        key = audioset_key(names.get(row["label"], ""))
        segments[row["segment_id"]].append(LabelledEvent(start_s, end_s, key, key or row["label"]))
    return segments


def _times(start: str, end: str, where: str) -> tuple[float, float]:
    try:
        start_s, end_s = round(float(start), 3), round(float(end), 3)
    except ValueError:
        start_s = end_s = math.nan
    if not 0.0 <= start_s <= end_s < math.inf:
        raise InputError(f"{where}: from {start!r} to {end!r}; expected seconds, 0 <= start <= end")
    return start_s, end_s


def _excerpts(path: Path, segment: str, events: list[LabelledEvent], training: bool) -> Iterator[EventRow]:
    lone = lone_events(events)
    if not lone:
        return
    duration_s = audio_info(path).duration_s
    if duration_s > LONGEST_S:
        raise InputError(f"{path}: {duration_s:.1f} s long; expected the segment of at most 10 s that {segment} names")
    group = f"youtube-{segment.rpartition('_')[0]}"
    fold = training_fold(group) if training else VALIDATION_FOLD
    for event in cut_at(lone, duration_s):
        assert event.key is not None
        yield EventRow(path, event.key, group, fold, span_s=(event.start_s, event.end_s))


def _display_names(root: Path) -> dict[str, str]:
    """Display name of every machine id that the maps in the folder tell of."""
    maps = [root / name for name in NAME_MAPS if (root / name).is_file()]
    if not maps:
        raise InputError(f"{root}: no {' or '.join(NAME_MAPS)}; put the one that comes with AudioSet beside the labels")
    names: dict[str, str] = {}
    for path in reversed(maps):  # where both tell of an id, the map of the strong labels has the last word
        names |= _tab_separated(path) if path.suffix == ".tsv" else _csv_names(path)
    return names


def _csv_names(path: Path) -> dict[str, str]:
    return {row["mid"]: row["display_name"] for _, row in table_rows(path, ("mid", "display_name"))}


def _tab_separated(path: Path) -> dict[str, str]:
    """Lines of an id, a tab and a name; a head line, which some copies have, is no id."""
    try:
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a readable text ({error})") from error
    names = {line[0]: line[1].strip() for line in lines if len(line) == 2 and line[0].startswith("/")}
    if not names:
        raise InputError(f"{path}: no lines MID, tab, display name")
    return names
