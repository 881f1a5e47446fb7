"""A watch: a condition on the scene that is worth an alert, as data that can be read, edited and written as TOML."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from earshot.runtime.errors import UsageError
from earshot.runtime.labels import by_key, load_labels
from earshot.runtime.scene.sectors import Sector

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

MAX_FILE_BYTES: Final = 1_000_000
_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class WatchEvent(str, Enum):
    """What has to happen."""

    APPEARS = "appears"
    APPROACHES = "approaches"
    RECEDES = "recedes"
    STOPS = "stops"


class WatchRule(BaseModel):
    """One watch; a table `[[watch]]` of a rules file.

    Attributes
    ----------
    text : str
        As it was said.
    labels : tuple of str
        Keys of classes; empty for any sound.
    event : WatchEvent
    sector : Sector or None
        Where, as the head is turned; None for anywhere.
    within_m : float or None
        Nearer than this, metres.
    min_confidence : float
        Least confidence of a track, 0 to 1.
    least_rate : float
        For "approaches" and "recedes": change of the distance per second, as a share of it.
    hold_s : float
        The condition must hold for so long, seconds; pauses of up to a second are bridged.
    release_s : float
        It must have been untrue for so long before it counts as happening anew (or, for "stops", as having stopped).
    min_interval_s : float
        Least time between two alerts, seconds.
    max_per_hour : int
    quiet_hours : str or None
        Local time without alerts, e.g. "22:00-07:00".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    text: str = Field(min_length=1, max_length=300)
    labels: tuple[str, ...] = ()
    event: WatchEvent = WatchEvent.APPEARS
    sector: Sector | None = None
    within_m: float | None = Field(default=None, gt=0.0, le=50.0)
    min_confidence: float = Field(default=0.25, ge=0.0, le=1.0)
    least_rate: float = Field(default=0.08, gt=0.0, le=2.0)
    hold_s: float = Field(default=0.2, ge=0.0, le=3600.0)
    release_s: float = Field(default=5.0, ge=0.1, le=3600.0)
    min_interval_s: float = Field(default=30.0, ge=0.0, le=86_400.0)
    max_per_hour: int = Field(default=12, ge=1, le=3600)
    quiet_hours: str | None = None

    @field_validator("labels")
    @classmethod
    def _known(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        known = {label.key for label in load_labels()}
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(f"no class is called {unknown[0]!r}")
        return labels

    @field_validator("quiet_hours")
    @classmethod
    def _a_span(cls, quiet: str | None) -> str | None:
        if quiet is not None and not _QUIET.fullmatch(quiet):
            raise ValueError(f'{quiet!r} is no time of day; write "22:00-07:00"')
        return quiet

    @property
    def words(self) -> str:
        """The condition as a sentence, from its fields alone."""
        nouns = [by_key(key).article for key in self.labels]
        what = (" or ".join(nouns) if len(nouns) <= 4 else f"one of {len(nouns)} sounds") if nouns else "any sound"
        place = f" {self.sector.words}" if self.sector else ""
        near = f" within {self.within_m:g} m" if self.within_m else ""
        hold = f" for {self.hold_s:g} s" if self.hold_s >= 2 else ""
        silence = f", silent for {self.release_s:g} s" if self.event is WatchEvent.STOPS else ""
        quiet = f", not from {self.quiet_hours.replace('-', ' to ')}" if self.quiet_hours else ""
        limits = f"at most every {self.min_interval_s:g} s and {self.max_per_hour} times an hour{quiet}"
        return f"when {what} {self.event.value}{place}{near}{hold}{silence}; {limits}"

    def is_quiet(self, wall_s: float) -> bool:
        """Whether the wall clock (seconds since 1970) stands within the quiet hours."""
        if self.quiet_hours is None:
            return False
        start_h, start_m, end_h, end_m = map(int, re.findall(r"\d+", self.quiet_hours))
        at = datetime.fromtimestamp(wall_s)
        now, start, end = at.hour * 60 + at.minute, start_h * 60 + start_m, end_h * 60 + end_m
        return start <= now < end if start <= end else now >= start or now < end

    def as_dict(self) -> dict[str, Any]:
        """All fields that are set, as plain values."""
        return self.model_dump(mode="json", exclude_none=True)


def rules_to_toml(rules: Sequence[WatchRule]) -> str:
    """The text of a rules file; `rules_from_toml` of it gives equal rules."""
    return "\n".join("\n".join([f"# {rule.words}", "[[watch]]", *_lines(rule.as_dict()), ""]) for rule in rules)


def rules_from_toml(text: str, place: str = "rules") -> list[WatchRule]:
    """Read rules.

    Parameters
    ----------
    text : str
        TOML with tables `[[watch]]`.
    place : str
        What messages call it.

    Raises
    ------
    UsageError
        When it is no TOML, holds no rule, or a key or value that means nothing.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{place}: no valid TOML: {error}") from error
    tables = document.pop("watch", [])
    if document or not isinstance(tables, list) or not tables:
        raise UsageError(f"{place}: rules are tables [[watch]]; 'earshot watch TEXT --show' writes one")
    return [_rule(table, f"{place}: watch {number}") for number, table in enumerate(tables, 1)]


def read_rules(path: Path) -> list[WatchRule]:
    """Read a rules file.

    Raises
    ------
    UsageError
        When it cannot be read or holds anything that means nothing.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path}: too big for rules; {MAX_FILE_BYTES} bytes are the most")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"{path}: cannot be read ({reason})") from error
    return rules_from_toml(text, str(path))


def _rule(table: Any, place: str) -> WatchRule:
    try:
        return WatchRule.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UsageError(
                f"{place}: unknown key {name!r}; known are: {', '.join(WatchRule.model_fields)}"
            ) from error
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{place}: {name}: {message[:1].lower()}{message[1:]}") from error


def _lines(fields: dict[str, Any]) -> list[str]:
    """TOML of plain values; JSON strings, numbers and lists are TOML but for one control character."""
    return [f"{name} = {_toml(value)}" for name, value in fields.items()]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_lines(value)) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
