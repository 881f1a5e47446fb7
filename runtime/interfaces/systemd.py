"""The user service: its unit file as text, where it belongs, and whether it is there.

The sandbox holds what was checked to be harmless for sound and for the native libraries. Left out on purpose:
`MemoryDenyWriteExecute=` (PortAudio's callbacks are made at run time), `RestrictRealtime=` (the sound server may give
its thread real-time priority), `PrivateDevices=` (hides sound cards) and what a user's own systemd may not do.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from earshot.runtime.errors import UsageError
from earshot.runtime.places import user_folder

UNIT_NAME = "earshot.service"
TOKEN_FILE = "service.env"
"""Beside the configuration; its lines are the environment of the service."""
WATCHDOG_S = 60
_HARDENING = (
    "NoNewPrivileges=yes",
    "PrivateUsers=yes",
    "PrivateTmp=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
    "MemoryMax=1G",
    "TasksMax=256",
)


@dataclass(frozen=True)
class Service:
    """What the service runs.

    Attributes
    ----------
    python : str
        Interpreter with Earshot installed.
    arguments : tuple of str
        Of `earshot serve`.
    writable : tuple of Path
        Folders, besides its own state directory, in which it may write. Named because older versions of systemd give a user's
        service another state directory than the usual one.
    """

    python: str = sys.executable
    arguments: tuple[str, ...] = ()
    writable: tuple[Path, ...] = ()


def unit_text(service: Service) -> str:
    """The unit file.

    Raises
    ------
    UsageError
        When an argument cannot stand in a unit file.
    """
    command = [service.python, "-m", "earshot.runtime.interfaces.cli", "serve", *service.arguments]
    lines = (
        "# Written by 'earshot service install'; run it again to change it.",
        "[Unit]",
        "Description=Earshot, a binaural listener you can ask",
        "After=pipewire.service pulseaudio.service sound.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={' '.join(_quoted(part) for part in command)}",
        "# EARSHOT_TOKEN=... for an address that others can reach; never on the command line, which all can read.",
        f"EnvironmentFile=-%E/earshot/{TOKEN_FILE}",
        "Environment=OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1",
        "# Ready with the first frame of sound, and started again when none has come for a minute.",
        "TimeoutStartSec=60",
        f"WatchdogSec={WATCHDOG_S}",
        "Restart=always",
        "RestartSec=5",
        "RestartPreventExitStatus=2 4",
        "TimeoutStopSec=15",
        "StateDirectory=earshot",
        *_HARDENING,
        *(f"ReadWritePaths={_quoted_path(folder)}" for folder in service.writable),
        "",
        "[Install]",
        "WantedBy=default.target",
    )
    return "\n".join(lines) + "\n"


def unit_path() -> Path:
    """Where a user's own units lie; errors as `user_folder`."""
    return user_folder("XDG_CONFIG_HOME", ".config") / "systemd" / "user" / UNIT_NAME


def write_unit(path: Path, text: str) -> bool:
    """Write the unit, unless exactly this is there; True when it was written.

    Raises
    ------
    UsageError
        When it cannot be written.
    """
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error
    return True


def command_of(text: str) -> Sequence[str]:
    """The command that a unit file runs; empty when it has none."""
    for line in text.splitlines():
        if line.startswith("ExecStart="):
            return shlex.split(line.removeprefix("ExecStart=").replace("%%", "%").replace("$$", "$"))
    return ()


def _quoted(part: str) -> str:
    """One argument by the rules of systemd.syntax(7) and systemd.service(5)."""
    if not part.isprintable():
        raise UsageError(f"{part!r} holds characters that a service cannot take")
    escaped = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if not part or set(part) - _PLAIN else escaped


def _quoted_path(path: Path) -> str:
    """A path by the same rules where no variables are replaced; one that need not be there."""
    if not str(path).isprintable():
        raise UsageError(f"{str(path)!r} holds characters that a service cannot take")
    return '"-' + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@,+%$")
