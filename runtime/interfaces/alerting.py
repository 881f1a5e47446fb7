"""Where alerts go: lines for people, JSON for programs, and a command of the user's own.

The command is a list of arguments, never a shell line: nothing that was heard or said can become a command.
"""

from __future__ import annotations

import queue
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.telling import JsonTeller, PlainTeller, Teller
from earshot.runtime.scene.watching import Alert

COMMAND_TIMEOUT_S = 10.0
_MAX_WAITING = 8


class AlertTeller(Teller, Protocol):
    """A teller that can tell alerts."""

    def alert(self, alert: Alert) -> None:
        """A watch has fired."""


class JsonAlerts(JsonTeller):
    """One JSON object per line; an alert is `{"event": "alert", ...}`."""

    def alert(self, alert: Alert) -> None:
        """Write an alert with all fields of its track."""
        self._write(alert.as_dict())


class PlainAlerts(PlainTeller):
    """Lines that a person can follow."""

    def alert(self, alert: Alert) -> None:
        """Write time and words."""
        self._lines.write(f"{alert.time_s:7.1f} s  ALERT  {alert.text}")


class NotificationCommand:
    """Runs a command for each alert, one at a time, on a thread of its own.

    Parameters
    ----------
    arguments : sequence of str
        Program and arguments. `{text}`, `{label}`, `{watch}`, `{azimuth_deg}` and `{distance_m}` in them are filled in;
        without any of these the text is added as the last argument.
    tell : callable
        Called with a line when the command fails, from that thread.
    timeout_s : float
        A command that takes longer is ended.

    Raises
    ------
    UsageError
        When there is no such program.
    """

    def __init__(
        self, arguments: Sequence[str], tell: Callable[[str], None], timeout_s: float = COMMAND_TIMEOUT_S
    ) -> None:
        if not arguments or shutil.which(arguments[0]) is None:
            name = arguments[0] if arguments else ""
            raise UsageError(f"--run {name!r}: no such program; name one that is installed, e.g. 'notify-send Earshot'")
        self._arguments = tuple(arguments)
        self._tell = tell
        self._timeout_s = timeout_s
        self._waiting: queue.Queue[Alert | None] = queue.Queue(_MAX_WAITING)
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="notifying", daemon=True)
        self._thread.start()

    def __call__(self, alert: Alert) -> None:
        """Run it soon; never waits. What does not fit is told."""
        try:
            self._waiting.put_nowait(alert)
        except queue.Full:
            self._tell(f"the notification command is too slow, not run for: {alert.text}")

    def close(self) -> None:
        """Finish what waits."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (alert := self._waiting.get()) is not None:
            self._run(filled(self._arguments, alert))

    def _run(self, arguments: list[str]) -> None:
        try:
            done = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._fail(f"took longer than {self._timeout_s:g} s")
        except OSError as error:
            self._fail(error.strerror or str(error))
        else:
            if done.returncode:
                self._fail(f"exit code {done.returncode}")
            else:
                self._failed = False

    def _fail(self, why: str) -> None:
        """Told once, until it works again."""
        if not self._failed:
            self._tell(f"the notification command {self._arguments[0]} failed ({why}); alerts go on here")
        self._failed = True


def split_command(line: str) -> list[str]:
    """A command line as arguments, by the quoting rules of a shell but without one.

    Raises
    ------
    UsageError
        When a quote is left open.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"--run {line}: {str(error).lower()}; quote each argument as in a shell") from error


def filled(arguments: Sequence[str], alert: Alert) -> list[str]:
    """Arguments with the alert in them."""
    values = {
        "{text}": alert.text,
        "{label}": alert.track.label,
        "{watch}": alert.rule.text,
        "{azimuth_deg}": f"{alert.track.azimuth_deg:.0f}",
        "{distance_m}": f"{alert.track.distance_m:.1f}",
    }
    found = False
    result = []
    for argument in arguments:
        found |= any(name in argument for name in values)
        for name, value in values.items():
            argument = argument.replace(name, value)
        result.append(argument)
    return result if found else [*result, alert.text]
