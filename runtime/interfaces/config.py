"""The configuration file: what `earshot listen` does when an option is not given.

TOML, one table per command. `earshot init` writes one, people edit it, and a key that means nothing is refused with
the name that was probably meant, since a misspelt option that is silently ignored is worse than none.
"""

from __future__ import annotations

import difflib
import json
import sys
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.effort import MOST_THREADS
from earshot.runtime.places import user_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_NAME = "config.toml"


class Ui(str, Enum):
    """How the scene is shown."""

    TERMINAL = "terminal"
    WEB = "web"
    NONE = "none"


class ListenConfig(BaseModel):
    """Table `[listen]`.

    Attributes
    ----------
    source : str or None
        As `--source`; None for the microphone.
    device : str or None
        Name of the microphone, as `earshot devices` lists it; None for the default one.
    bundle : Path or None
        Model bundle; None for the built-in one.
    think : bool
        Whether the model writes its evidence before it answers.
    ui : Ui
        Radar on a terminal, or plain lines.
    yaw : str or None
        As `--yaw`; None for no head tracker.
    threads : int or None
        As `--threads`; None for what the self-test at the start finds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = Field(default=None, min_length=1)
    device: str | None = Field(default=None, min_length=1)
    bundle: Path | None = None
    think: bool = True
    ui: Ui = Ui.TERMINAL
    yaw: str | None = Field(default=None, min_length=1)
    threads: int | None = Field(default=None, ge=1, le=MOST_THREADS)


class Config(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: ListenConfig = ListenConfig()


def default_path() -> Path:
    """Where the file is looked for: the XDG base directory (APPDATA on Windows), folder `earshot`; errors as `user_folder`."""
    variable, fallback = ("APPDATA", "AppData/Roaming") if sys.platform == "win32" else ("XDG_CONFIG_HOME", ".config")
    return user_folder(variable, fallback) / "earshot" / CONFIG_NAME


def read_config(path: Path | None = None) -> Config:
    """Read a configuration.

    Parameters
    ----------
    path : Path or None
        None for the default place, where there may be none.

    Raises
    ------
    UsageError
        When it cannot be read, is no TOML, or holds a key or value that means nothing.
    """
    try:
        place = path or default_path()
    except UsageError:  # nobody at home
        return Config()
    try:
        text = place.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        if path is None:
            return Config()
        raise UsageError(f"{place}: no such file; write one with 'earshot init'") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"{place}: cannot be read ({reason})") from error
    try:
        return Config.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{place}: no valid TOML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{place}: {_explained(error)}") from error


def write_config(path: Path, config: Config, *, overwrite: bool = False) -> None:
    """Write a configuration with a word about each key; what is at its default is written as a comment.

    Raises
    ------
    UsageError
        When there is one already, or the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
            file.write(as_toml(config))
    except FileExistsError as error:
        raise UsageError(f"{path}: exists already; use --force to replace it, or name another with --path") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another place with --path") from error


def as_toml(config: Config) -> str:
    """The text of the file."""
    listen = config.listen
    lines = ["# Earshot: what 'earshot listen' does when an option is not given on the command line.", "", "[listen]"]
    for name, help_text in _HELP.items():
        value = getattr(listen, name)
        is_default = value == ListenConfig.model_fields[name].default
        lines += [
            f"# {help_text}",
            f"{'# ' if is_default else ''}{name} = {_toml(_EXAMPLES.get(name) if value is None else value)}",
        ]
    return "\n".join(lines) + "\n"


_HELP = {
    "source": 'What to hear: "mic" or the path of a recording.',
    "device": "Name of the microphone, or a part of it, as 'earshot devices' lists it.",
    "bundle": "Directory of the model bundle; the built-in one without it.",
    "think": "Write the evidence before the answer.",
    "ui": f"How to show the scene: {' or '.join(Ui)}.",
    "yaw": "Where a head tracker sends the yaw of the head to.",
    "threads": "Threads of the encoders; a self-test at the start chooses without it.",
}
_EXAMPLES = {
    "source": "mic",
    "device": "In-Ear USB",
    "bundle": "/path/to/bundle",
    "yaw": "osc://127.0.0.1:9000",
    "threads": 1,
}


def _toml(value: Any) -> str:
    """A TOML value; JSON strings are TOML strings but for one control character."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    value = value.value if isinstance(value, Enum) else value
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _explained(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    name = ".".join(place)
    if first["type"] != "extra_forbidden":
        return f"{name}: {first['msg'].lower()}"
    known = list(ListenConfig.model_fields) if place[:-1] == ["listen"] else list(Config.model_fields)
    near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
    return f"unknown key {name!r}; {hint}"
