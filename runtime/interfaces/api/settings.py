"""Where the server listens, who may talk to it, and how much it puts up with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from earshot.runtime.errors import UsageError

DEFAULT_PORT = 8765
MIN_TOKEN = 16
"""Characters; shorter ones can be guessed."""


@dataclass(frozen=True)
class Limits:
    """Bounds on what clients may take.

    Attributes
    ----------
    message_bytes, body_bytes, upload_bytes : int
        Largest WebSocket message, JSON body and uploaded recording.
    upload_audio_s : float
        Longest recording; a compressed one may be small and yet hours long. Seconds.
    connections, clients, uploads : int
        Open connections of all kinds, WebSocket clients, and recordings held in memory at a time.
    client_events : int
        Events that may wait for a slow client before it is dropped.
    client_questions : int
        Questions that one client may have on the way.
    client_errors : int
        Mistakes after which a WebSocket client is closed.
    requests_per_s, requests_burst : float
        Requests per address, and commands per client: steady rate and what may come at once.
    first_request_s, connection_s, receive_s, answer_s : float
        Longest wait for the request of a new connection, life of one that is no WebSocket, time to send a body, and
        time to answer. Seconds.
    """

    message_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    upload_bytes: int = 32 * 1024 * 1024
    upload_audio_s: float = 600.0
    connections: int = 64
    clients: int = 32
    uploads: int = 2
    client_events: int = 256
    client_questions: int = 4
    client_errors: int = 20
    requests_per_s: float = 20.0
    requests_burst: float = 60.0
    first_request_s: float = 10.0
    connection_s: float = 180.0
    receive_s: float = 60.0
    answer_s: float = 60.0


@dataclass(frozen=True)
class ApiSettings:
    """One server.

    Attributes
    ----------
    host : str
        Address to listen on.
    port : int
        0 takes a free one.
    token : str or None
        What clients must show; needed for any address but loopback.
    limits : Limits
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    limits: Limits = Limits()

    def check(self) -> None:
        """Refuse what would be open to everybody.

        Raises
        ------
        UsageError
            When the address is not loopback and there is no token, or the token is too short or cannot stand in a header.
        """
        if self.token is None and not is_loopback(self.host):
            how = f"give --token (or EARSHOT_TOKEN) of at least {MIN_TOKEN} characters"
            raise UsageError(f"--host {self.host}: others could listen in; {how}, or stay at 127.0.0.1")
        if self.token is not None and not _is_good(self.token):
            raise UsageError(f"the token cannot be used: take at least {MIN_TOKEN} printable ASCII characters")


def _is_good(token: str) -> bool:
    """Long enough, and the same bytes in every header."""
    return len(token) >= MIN_TOKEN and token.isascii() and token.isprintable() and token == token.strip()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
