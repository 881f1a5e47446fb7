"""A scenario: what sounds where around a turning head, which device hears it, and what goes wrong. Read from TOML.

A typing mistake in a scenario would quietly simulate something else, so every key must be known.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from earshot.firmware_sim.faults import KIND_INFO, KINDS, LONGEST_STALL_S, Fault, Kind, Schedule, draw_faults
from earshot.firmware_sim.sounds import SOUNDS
from earshot.runtime.demo.head import Room
from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.geometry import angles_of, unit_vector, wrap_deg
from earshot.runtime.labels import load_labels

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

MAX_BYTES = 1_000_000
SBC_RATES_HZ = (16_000, 32_000, 44_100, 48_000)
_Metres = Annotated[float, Field(gt=0, le=1000)]
_Triple = tuple[_Metres, _Metres, _Metres]
_GainDb = Annotated[float, Field(ge=-120, le=60)]
_Offset = Annotated[float, Field(ge=-1, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PathPoint(_Part):
    """Place of a source at a time: world azimuth (positive = left of where the head looked at yaw 0), in degrees."""

    time_s: float = Field(default=0.0, ge=0)
    azimuth_deg: float = Field(default=0.0, ge=-360, le=360)
    elevation_deg: float = Field(default=0.0, ge=-90, le=90)
    distance_m: float = Field(default=2.0, ge=0.2, le=60)


class YawPoint(_Part):
    """Head yaw at a time, degrees, positive = turned left; turns of more than 180 degrees are written on beyond it."""

    time_s: float = Field(default=0.0, ge=0)
    yaw_deg: float = Field(default=0.0, ge=-1e6, le=1e6)


class Source(_Part):
    """Something that sounds.

    `level_db` is the root mean square at 1 m re full scale. The sound is the procedural one of the label unless
    `sound` names another or `file` a mono recording beside the scenario.
    """

    label: str
    sound: str | None = None
    file: str | None = None
    level_db: float = Field(default=-30.0, ge=-90, le=0)
    onset_s: float = Field(default=0.0, ge=0)
    offset_s: float | None = Field(default=None, gt=0)
    path: tuple[PathPoint, ...] = Field(default=(PathPoint(),), min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        labels = [label.key for label in load_labels()]
        if self.label not in labels:
            raise ValueError(f"label {self.label!r} is unknown{_nearest(self.label, labels)}")
        sound = self.sound or self.label
        if self.file is None and sound not in SOUNDS:
            raise ValueError(f"there is no sound {sound!r}{_nearest(sound, list(SOUNDS))}; or name a file")
        if self.offset_s is not None and self.offset_s <= self.onset_s:
            raise ValueError(f"offset_s {self.offset_s:g} is not after onset_s {self.onset_s:g}")
        _check_times([point.time_s for point in self.path], "path")
        return self

    def place(self, time_s: float) -> tuple[float, float, float]:
        """World azimuth, elevation (degrees) and distance (metres) at a time; straight lines between the points."""
        times = [point.time_s for point in self.path]
        points = np.array([unit_vector(p.azimuth_deg, p.elevation_deg) * p.distance_m for p in self.path])
        at = np.array([np.interp(time_s, times, points[:, axis]) for axis in range(3)])
        azimuth, elevation = angles_of(at)
        return float(azimuth), float(elevation), max(0.2, float(np.linalg.norm(at)))

    def sounds_at(self, time_s: float) -> bool:
        """Whether it sounds at a time."""
        return self.onset_s <= time_s and (self.offset_s is None or time_s < self.offset_s)


class RoomPart(_Part):
    """A box around the listener; without it there are no reflections."""

    size_m: _Triple = (5.2, 4.4, 2.6)
    listener_m: _Triple = (2.3, 2.1, 1.3)
    reflection: float = Field(default=0.55, ge=0, le=0.95)
    order: int = Field(default=2, ge=0, le=3)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not all(0 < place < size for place, size in zip(self.listener_m, self.size_m, strict=True)):
            raise ValueError("listener_m lies outside of size_m")
        return self

    def room(self) -> Room:
        """As the renderer takes it."""
        return Room(self.size_m, self.listener_m, self.reflection, self.order)


class Device(_Part):
    """The hearable: converter, microphones, power. Levels in dB re full scale."""

    name: str = Field(default="simulated hearable", max_length=24)
    sample_rate_hz: int = Field(default=16_000, ge=8000, le=96_000)
    frames_per_packet: int = Field(default=320, ge=16, le=8192)
    bits: int = Field(default=16, ge=8, le=24)
    self_noise_db: float = Field(default=-80.0, ge=-140, le=0)
    gain_db: tuple[_GainDb, _GainDb] = (0.0, 0.0)
    dc: tuple[_Offset, _Offset] = (0.0, 0.0)
    clip_level: float = Field(default=1.0, gt=0, le=1)
    codec: Literal["none", "sbc"] = "none"
    sbc_bitpool: int = Field(default=53, ge=8, le=64)
    clock_ppm: float = Field(default=0.0, ge=-1000, le=1000)
    battery_percent: float = Field(default=90.0, ge=0, le=100)
    battery_hours: float = Field(default=6.0, gt=0)
    temperature_c: float = Field(default=33.0, ge=-40, le=125)

    @model_validator(mode="after")
    def _check_codec(self) -> Self:
        if self.codec == "sbc" and self.sample_rate_hz not in SBC_RATES_HZ:
            rates = ", ".join(map(str, SBC_RATES_HZ))
            raise ValueError(f'codec "sbc" has no {self.sample_rate_hz} Hz; sample_rate_hz may be {rates}')
        return self


class Link(_Part):
    """The way to the listener when nothing is wrong with it."""

    latency_ms: float = Field(default=5.0, ge=0, le=1000)
    jitter_ms: float = Field(default=1.0, ge=0, le=1000)
    loss: float = Field(default=0.0, ge=0, le=1)


class FaultPart(_Part):
    """One entry of the fault schedule."""

    kind: Kind
    start_s: float = Field(ge=0)
    duration_s: float = Field(default=0.0, ge=0)
    value: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_kind(cls, data: Any) -> Any:
        kind = data.get("kind") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind not in KINDS:
            raise ValueError(f"there is no fault {kind!r}{_nearest(kind, list(KINDS))}")
        return data

    @model_validator(mode="after")
    def _check(self) -> Self:
        info = KIND_INFO[self.kind]
        if self.value is not None and not info.low <= self.value <= info.high:
            raise ValueError(f"{self.kind} {self.value:g} is outside of {info.low:g} to {info.high:g}")
        if self.kind == "stall" and self.duration_s > LONGEST_STALL_S:
            raise ValueError(f"a stall lasts {LONGEST_STALL_S:g} s at most")
        if self.kind != "reboot" and self.duration_s == 0:
            raise ValueError(f"{self.kind} needs duration_s")
        return self

    def fault(self) -> Fault:
        """As the schedule takes it."""
        value = KIND_INFO[self.kind].usual if self.value is None else self.value
        return Fault(self.kind, self.start_s, self.start_s + self.duration_s, value)


class RandomFaults(_Part):
    """Faults drawn from the scenario's seed."""

    per_hour: float = Field(ge=0, le=3600)
    kinds: tuple[Kind, ...] = Field(default=KINDS, min_length=1)


class Scenario(_Part):
    """All of it; see the classes above for the parts."""

    title: str = ""
    seed: int = Field(default=0, ge=0, lt=2**32)
    duration_s: float = Field(gt=0, le=864_000)
    ambience_db: float | None = Field(default=None, ge=-120, le=0)
    room: RoomPart | None = None
    head: tuple[YawPoint, ...] = Field(default=(YawPoint(),), min_length=1)
    sources: tuple[Source, ...] = ()
    device: Device = Device()
    link: Link = Link()
    faults: tuple[FaultPart, ...] = ()
    random_faults: RandomFaults | None = None
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_times([point.time_s for point in self.head], "head")
        return self

    def yaw_deg(self, time_s: float) -> float:
        """Head yaw at a time, (-180, 180]."""
        times = [point.time_s for point in self.head]
        return wrap_deg(float(np.interp(time_s, times, [point.yaw_deg for point in self.head])))

    def beginning(self, seconds: float) -> Scenario:
        """The first part of it, with the same faults at the same times."""
        drawn = [
            FaultPart(kind=f.kind, start_s=f.start_s, duration_s=f.end_s - f.start_s, value=f.value)
            for f in self._drawn()
        ]
        faults = tuple(part for part in (*self.faults, *drawn) if part.start_s < seconds)
        changes = {"duration_s": seconds, "random_faults": None, "faults": faults}
        return self.model_copy(update=changes)

    def without_faults(self) -> Scenario:
        """The same sounds, device and link, and nothing goes wrong but what the link always does."""
        return self.model_copy(update={"random_faults": None, "faults": ()})

    def schedule(self) -> Schedule:
        """All faults, written down and drawn."""
        return Schedule([*(part.fault() for part in self.faults), *self._drawn()])

    def _drawn(self) -> list[Fault]:
        if self.random_faults is None:
            return []
        return draw_faults(self.seed, self.duration_s, self.random_faults.per_hour, self.random_faults.kinds)

    def truth(self, time_s: float) -> list[tuple[str, float, float, float]]:
        """What sounds at a time: label, azimuth re the head, elevation (degrees), distance (metres)."""
        return [(self.sources[index].label, *place) for index, place in self.sounding(time_s).items()]

    def sounding(self, time_s: float) -> dict[int, tuple[float, float, float]]:
        """Indices of the sources that sound at a time: azimuth re the head, elevation (degrees), distance (metres)."""
        found = {}
        for index, source in enumerate(self.sources):
            if source.sounds_at(time_s):
                azimuth_deg, elevation_deg, distance_m = source.place(time_s)
                found[index] = wrap_deg(azimuth_deg - self.yaw_deg(time_s)), elevation_deg, distance_m
        return found


def shipped_scenarios() -> dict[str, Path]:
    """Scenarios that come with the program, by name."""
    folder = Path(str(files("earshot.firmware_sim"))) / "scenarios"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_scenario(name: str, seed: int | None = None) -> Scenario:
    """Read a scenario.

    Parameters
    ----------
    name : str
        Path of a TOML file, or the name of a shipped scenario.
    seed : int, optional
        In place of the file's.

    Raises
    ------
    UsageError
        When there is no such scenario.
    InputError
        When its content is wrong: the first mistake, with its place and the nearest name that would work.
    """
    path = shipped_scenarios().get(name) or Path(name)
    if not path.is_file():
        known = list(shipped_scenarios())
        raise UsageError(f"{name or 'sim:'}: no such scenario{_nearest(name, known)}; shipped are {', '.join(known)}")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: too big for a scenario; {MAX_BYTES} bytes are the most")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no TOML ({' '.join(str(error).split())})") from error
    if "folder" in data:
        raise InputError(f"{path}: unknown key 'folder'")
    if seed is not None:
        data["seed"] = seed
    try:
        scenario = Scenario.model_validate({**data, "folder": path.parent})
    except ValidationError as error:
        raise InputError(f"{path}: {_first_mistake(error)}") from error
    for number, source in enumerate(scenario.sources):
        if source.file is not None and not (path.parent / source.file).is_file():
            raise InputError(f"{path}: sources.{number}.file: there is no {path.parent / source.file}")
    return scenario


def _first_mistake(error: ValidationError) -> str:
    mistakes = error.errors(include_url=False)
    # A key written wrongly is missing as well; the wrong one tells more.
    mistake = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    place = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        name = str(mistake["loc"][-1])
        return f"unknown key {place!r}{_nearest(name, _keys_at(mistake['loc'][:-1]))}"
    text = str(mistake["msg"]).removeprefix("Value error, ")
    return f"{place}: {text}" if place else text


def _keys_at(place: tuple[str | int, ...]) -> list[str]:
    """Keys that are known at a place of the document."""
    parts: dict[str, type[_Part]] = {
        "room": RoomPart,
        "head": YawPoint,
        "sources": Source,
        "path": PathPoint,
        "device": Device,
        "link": Link,
        "faults": FaultPart,
        "random_faults": RandomFaults,
    }
    names = [part for part in place if isinstance(part, str)]
    return [key for key in (parts[names[-1]] if names else Scenario).model_fields if key != "folder"]


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(Path(name).stem, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _check_times(times: list[float], what: str) -> None:
    if any(b <= a for a, b in pairwise(times)):
        raise ValueError(f"the times of {what} do not rise")
