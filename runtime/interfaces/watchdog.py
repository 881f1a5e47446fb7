"""Tells systemd that the listener hears: ready with the first frame, alive as long as frames flow.

The protocol is a datagram on a Unix socket (sd_notify(3)). What is counted is sound, not a running process: a
service whose microphone has gone silent for longer than `WatchdogSec=` is started again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from typing_extensions import Self

_DEFAULT_STEP_S = 5.0
_STEPS = 4
"""Looks per watchdog time; systemd asks for at least two."""


class Watchdog:
    """One service's link to systemd.

    Parameters
    ----------
    address : str or None
        Path of the socket, or a name with ``@`` first; None when nobody watches.
    limit_s : float or None
        Time without a sign of life after which systemd acts, seconds.
    """

    def __init__(self, address: str | None, limit_s: float | None = None) -> None:
        self._address = address
        self._frames = 0
        self._ready = False
        self.step_s = _DEFAULT_STEP_S if limit_s is None else limit_s / _STEPS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The link that systemd gave this process, if it did."""
        text = environment.get("WATCHDOG_USEC", "")
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit_s = int(text) / 1e6 if text.isdecimal() and int(text) and meant else None
        return cls(environment.get("NOTIFY_SOCKET") or None, limit_s)

    def frames(self, count: int) -> None:
        """Tell how many frames were heard in all; no more than last time is no sign of life."""
        if count <= self._frames:
            return
        self._frames = count
        if not self._ready:
            self._ready = True
            self._send("READY=1\nSTATUS=listening")
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Tell that the end is meant."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
                link.connect(address)
                link.send(text.encode())
        except OSError:  # systemd has gone; there is nobody to tell
            return
