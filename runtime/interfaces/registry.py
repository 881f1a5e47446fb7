"""Which commands there are and how each is loaded, at the moment it is asked for and not before.

Nothing here imports a command: `earshot --help` must stay fast and work where half of the packages are
missing. Runtime commands are functions (or typer apps) in `earshot.runtime.interfaces.commands.<name>`;
commands for making models come from the entry point group `earshot.commands` and need an extra.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

import typer

from earshot.runtime.errors import UsageError

ENTRY_POINT_GROUP = "earshot.commands"
_COMMANDS_PACKAGE = "earshot.runtime.interfaces.commands"


@dataclass(frozen=True)
class CommandInfo:
    """A command as the help shows it.

    Attributes
    ----------
    name, summary : str
    extra : str or None
        Extra of the distribution that brings what it needs; None for the base package.
    is_runtime : bool
        Whether it is a module of the runtime (else an entry point).
    """

    name: str
    summary: str
    extra: str | None = None
    is_runtime: bool = True


COMMANDS: dict[str, CommandInfo] = {
    info.name: info
    for info in (
        CommandInfo("demo", "Hear a built-in scene, see its radar and ask about it."),
        CommandInfo("ask", "Ask a question about a binaural recording."),
        CommandInfo("listen", "Listen live: radar in the terminal or the browser, and questions."),
        CommandInfo("watch", "Be told when something happens: rules in plain language."),
        CommandInfo("memory", "Show or forget what 'listen --remember' has kept."),
        CommandInfo("serve", "Serve scene, events and answers, and the web radar (extra: web).", "web"),
        CommandInfo("service", "Run the listener as a systemd user service (extra: web).", "web"),
        CommandInfo("track", "Print what is where in a recording, ten times a second."),
        CommandInfo("render", "Draw what was heard in a recording: direction against time."),
        CommandInfo("profile", "Measure speed and memory here, or estimate them for a board."),
        CommandInfo("doctor", "Check this installation: libraries, processor, model, audio."),
        CommandInfo("devices", "List the audio inputs."),
        CommandInfo("init", "Check the microphones and write a configuration file."),
        CommandInfo("bundle", "Show or verify a model bundle."),
        CommandInfo("synth", "Make binaural scenes (extra: train).", "train", False),
        CommandInfo("train", "Train a stage of the model (extra: train).", "train", False),
        CommandInfo("bench", "Measure a model on the three-level benchmark (extra: train).", "train", False),
        CommandInfo("export", "Turn a trained model into a bundle (extra: export).", "export", False),
        CommandInfo("simulate", "Run against a simulated hearable or board.", None, False),
    )
}


def load_command(name: str) -> Any:
    """Load a command.

    Parameters
    ----------
    name : str
        As typed; names outside `COMMANDS` are looked for among the entry points.

    Returns
    -------
    command
        A click command, or None when nobody knows the name.

    Raises
    ------
    UsageError
        When it is known but something that it needs is not installed.
    """
    info = COMMANDS.get(name)
    if info is not None and info.is_runtime:
        return _as_command(name, _runtime_target(name))
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            return _as_command(name, _entry_target(entry))
    if info is None:
        return None
    raise UsageError(_remedy_for(info, f"{name!r} is not installed"))


def missing_package(name: str, error: ModuleNotFoundError) -> UsageError | None:
    """What to say when a command stops at an import; None when a module of our own is missing (a bug)."""
    top = (error.name or "").partition(".")[0]
    if top in ("", "earshot"):
        return None
    info = COMMANDS.get(name, CommandInfo(name, ""))
    return UsageError(_remedy_for(info, f"{name!r} needs the package {top}, which is not installed"))


def _remedy_for(info: CommandInfo, what: str) -> str:
    target = f"earshot[{info.extra}]" if info.extra else "earshot"
    return f'{what}; install it with: pip install "{target}"'


def _runtime_target(name: str) -> Any:
    module_name = f"{_COMMANDS_PACKAGE}.{name}"
    try:
        return getattr(import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise _explained(name, module_name, error) from error
    except AttributeError as error:
        raise UsageError(f"{name!r} is not part of this version of Earshot ({module_name} has no {name})") from error


def _entry_target(entry: metadata.EntryPoint) -> Any:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        raise _explained(entry.name, entry.module, error) from error


def _explained(name: str, module_name: str, error: ModuleNotFoundError) -> BaseException:
    """The error to raise instead: a missing extra, a missing part of Earshot, or the bug itself."""
    if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
        return UsageError(f"{name!r} is not part of this installation (no {error.name}); install Earshot again")
    return missing_package(name, error) or error


def _as_command(name: str, target: Any) -> Any:
    """Make a click command of a typer app or a function."""
    app = target
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name=name)(target)
    app._add_completion = False  # the completion options belong to the outermost command
    command = typer.main.get_command(app)
    command.name = name
    return command
