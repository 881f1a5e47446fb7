"""Collections of spatial scenes, from the DCASE challenges: four channels, annotated in frames of 100 ms.

Only sounds are taken from them, not places: an excerpt in which one source sounds is heard from the first channel
(the omnidirectional one of Ambisonics, or a microphone of the array; see :mod:`earshot.training.synthesis.events`).
Such sounds carry the reverberation of their room.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from earshot.runtime.errors import InputError
from earshot.training.synthesis.layout_parts import (
    TEST_FOLD,
    VALIDATION_FOLD,
    EventRow,
    audio_info,
    training_fold,
)
from earshot.training.synthesis.lone_events import LabelledEvent, cut_at, lone_events

FRAMES_PER_S = 10
CHANNELS = 4
TRAINING = 0
"""Stands for the training fold that a group's name falls into."""

# Class of every index; None: the label table has no class for it, or it stands for several (bells, domestic sounds).
STARSS_CLASSES = (
    "speech",  # female
    "speech",  # male
    "clapping",
    None,  # telephone
    "laughing",
    None,  # domestic sounds
    "footsteps",
    None,  # door, open or close
    None,  # music
    None,  # musical instrument
    None,  # water tap
    None,  # bell
    "door_knock",
)
# Alarm, baby, crash, dog, (engine,) female scream, female speech, (fire,) footsteps, knocking, male scream, male speech,
# ringing phone, piano; those in brackets in 2020 only.
TAU_2020_CLASSES = (
    *(None, "crying_baby", None, "dog", "engine", None, "speech"),
    *("crackling_fire", "footsteps", "door_knock", None, "speech", None, None),
)
TAU_2021_CLASSES = (
    *(None, "crying_baby", None, "dog", None, "speech"),
    *("footsteps", "door_knock", None, "speech", None, None),
)


@dataclass(frozen=True)
class SpatialSet:
    """What differs between the collections.

    Attributes
    ----------
    name : str
        Name of the layout.
    classes : tuple
        Class key by index of the annotation; None for what has no class.
    folds : mapping of int to int
        Our fold of each of the collection's, or `TRAINING`.
    rooms_by_fold : bool
        Rooms are counted anew in every fold.
    """

    name: str
    classes: tuple[str | None, ...]
    folds: Mapping[int, int]
    rooms_by_fold: bool


STARSS = SpatialSet("starss", STARSS_CLASSES, {3: TRAINING, 4: VALIDATION_FOLD}, False)
TAU_2020 = SpatialSet(
    "tau-nigens-2020",
    TAU_2020_CLASSES,
    {1: TEST_FOLD, 2: VALIDATION_FOLD, 3: TRAINING, 4: TRAINING, 5: TRAINING, 6: TRAINING},
    True,
)
TAU_2021 = SpatialSet(
    "tau-nigens-2021",
    TAU_2021_CLASSES,
    {1: TRAINING, 2: TRAINING, 3: TRAINING, 4: TRAINING, 5: VALIDATION_FOLD, 6: TEST_FOLD},
    True,
)


def starss(root: Path) -> Iterator[EventRow]:
    """STARSS22 and STARSS23 (Politis et al. 2022, Shimada et al. 2023): ``metadata_dev/``, ``foa_dev/`` or ``mic_dev/``.

    Recordings are named ``foldF_roomR_mixM``, in sub-folders such as ``dev-train-sony``. Groups are rooms; fold 3 of
    the collection goes to folds 1 to 3, its fold 4 (for tests) to 4.

    Raises
    ------
    InputError
        A folder or a recording is missing, or a file breaks the layout.
    """
    return _read(root, STARSS)


def tau_nigens_2020(root: Path) -> Iterator[EventRow]:
    """TAU-NIGENS Spatial Sound Events 2020 (Politis et al. 2020): folders as `starss`, 14 classes.

    Its folds 3 to 6 are for training, 2 goes to 4, 1 to 5. Recordings of different years share sounds in other folds:
    list one year only in a manifest. Raises as `starss`.
    """
    return _read(root, TAU_2020)


def tau_nigens_2021(root: Path) -> Iterator[EventRow]:
    """TAU-NIGENS Spatial Sound Events 2021 (Politis et al. 2021): folders as `starss`, 12 classes.

    Its folds 1 to 4 are for training, 5 goes to 4, 6 to 5. Unlike the others it holds interfering sounds that its
    annotation does not tell of, so that an excerpt may have one. Raises as `starss`.
    """
    return _read(root, TAU_2021)


def _read(root: Path, kind: SpatialSet) -> Iterator[EventRow]:
    metadata = root / "metadata_dev"
    tables = sorted(path for path in metadata.rglob("*.csv") if not path.name.startswith("."))
    if not tables:
        raise InputError(f"{metadata}: missing or without csv files; give the folder that holds metadata_dev")
    sounds = next((root / name for name in ("foa_dev", "mic_dev") if (root / name).is_dir()), None)
    if sounds is None:
        raise InputError(f"{root}: no foa_dev or mic_dev; put the recordings of one of them beside metadata_dev")
    for table in tables:
        path = (sounds / table.relative_to(metadata)).with_suffix(".wav")
        group, fold = _group(table, kind)
        for event in cut_at(lone_events(_events(table, kind)), _duration_s(path, table)):
            assert event.key is not None
            yield EventRow(path, event.key, group, fold, span_s=(event.start_s, event.end_s))


def _group(table: Path, kind: SpatialSet) -> tuple[str, int]:
    """Room and fold of a recording, by its name."""
    named = re.fullmatch(r"fold(\d+)_room(\d+)_mix\d+(_ov\d+)?", table.stem)
    if named is None:
        raise InputError(f"{table}: not named foldF_roomR_mixM.csv")
    number, room = int(named[1]), int(named[2])
    if number not in kind.folds:
        raise InputError(f"{table}: fold {number} is none of {', '.join(map(str, kind.folds))} of layout {kind.name!r}")
    group = f"{kind.name}-fold{number}-room{room}" if kind.rooms_by_fold else f"{kind.name}-room{room}"
    return group, kind.folds[number] or training_fold(group)


def _duration_s(path: Path, table: Path) -> float:
    if not path.is_file():
        raise InputError(f"{table}: its recording {path} is missing")
    info = audio_info(path)
    if info.channels != CHANNELS:
        raise InputError(f"{path}: {info.channels} channels; recordings of foa_dev and mic_dev have {CHANNELS}")
    return info.duration_s


def _events(table: Path, kind: SpatialSet) -> Iterator[LabelledEvent]:
    """An event of one frame for every line."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.reader(file), start=1):
                if row:
                    yield _event(row, f"{table}, line {number}", kind)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not a readable csv ({error})") from error


def _event(row: list[str], where: str, kind: SpatialSet) -> LabelledEvent:
    if len(row) not in (5, 6):
        raise InputError(f"{where}: {len(row)} columns; expected frame,class,source,azimuth,elevation[,distance]")
    try:
        frame, index, source = (int(field) for field in row[:3])
    except ValueError as error:
        raise InputError(f"{where}: frame, class and source are whole numbers ({error})") from error
    if frame < 0:
        raise InputError(f"{where}: frame {frame}; the first one is 0")
    if not 0 <= index < len(kind.classes):
        others = ", ".join(other.name for other in (STARSS, TAU_2020, TAU_2021) if other is not kind)
        raise InputError(
            f"{where}: class {index} is none of 0 to {len(kind.classes) - 1} of layout {kind.name!r}; there are {others}"
        )
    # Two sources of a class are two sounds from two places: an excerpt with both would be heard from one.
    return LabelledEvent(
        frame / FRAMES_PER_S, (frame + 1) / FRAMES_PER_S, kind.classes[index], f"class {index}, source {source}"
    )
