"""Says what goes wrong on the way from the device, each thing at once when it is new and then in sums.

The findings have the form of `earshot.runtime.audio.health.Finding`. Unlike a broken ear, a bad link comes and
goes for hours: the same finding is said again when it goes on, at most every 10 s, with how much there was.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from earshot.runtime.audio.health import Finding

REPEAT_S = 10.0
_MOST_WAITING = 256

TEXTS: Final[dict[str, str]] = {
    "packet-loss": "{amount:.0f} packet{s} lost on the way, heard as silence; bring the device closer or use a cable",
    "damaged-packets": "{amount:.0f} packet{s} damaged on the way and dropped; check cable, radio or power supply",
    "duplicate-packets": "{amount:.0f} packet{s} came twice; the second was dropped",
    "late-packets": "{amount:.0f} packet{s} came too late and were dropped; the network is slow or busy",
    "reordered-packets": "{amount:.0f} packet{s} came out of order and were put back in place",
    "jitter": "packets come up to {ms:.0f} ms late; nothing is lost, answers lag by as much",
    "unsupported-packets": "{amount:.0f} packet{s} of another version; update Earshot or the device's firmware",
    "unusable-packets": "{amount:.0f} packet{s} with sound that cannot be used ({why}) ignored",
    "no-packets": "bytes come but no packets are in them; if it is bare sound, add ?format=s16le",
    "packets-as-samples": "these bytes are packets, not bare sound; leave out ?format=s16le",
    "reboot": "the device restarted; listening goes on",
    "missing-sound": "the device left out {amount:.2f} s of sound; it may be overloaded or too hot",
    "clock-drift": "the device's clock runs {ppm:.0f} ppm {way}; corrected",
    "rate-mismatch": "the device says {says} Hz but samples at about {does:.0f} Hz; corrected",
    "pace": "sound comes at {speed:.2f} times true time; clocks cannot be compared",
    "stall": "no sound has come for {amount:.1f} s; check that the device is on and near",
    "resumed": "sound is back after {amount:.1f} s",
    "disconnected": "{why}; looking for the device again",
    "reconnected": "connected to the device again",
    "second-sender": "{why} sends sound as well; only the first device is heard",
    "low-battery": "the device's battery is at {percent} %; charge it soon",
    "hot": "the device is at {celsius:.0f} degrees Celsius; it may slow down, let it cool",
    "device-fault": "the device reports a fault: {what}",
    "weak-radio": "the device's radio signal is weak ({dbm} dBm); bring it closer",
}


class Reporter:
    """Collects what happened and turns it into findings.

    `say` may be called for every packet; memory and the number of findings stay small.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything; equals a fresh object."""
        self._ready: deque[Finding] = deque(maxlen=_MOST_WAITING)
        self._said_at_s: dict[str, float] = {}
        self._open: dict[str, tuple[float, float, dict[str, object]]] = {}  # amount, since, values

    def say(self, id_: str, now_s: float, stream_s: float, amount: float = 1.0, **values: Any) -> None:
        """Something happened.

        Parameters
        ----------
        id_ : str
            Key of `TEXTS`.
        now_s : float
            Receiver's clock.
        stream_s : float
            Stream time.
        amount : float
            Added up while the finding waits to be said again.
        **values
            For the text; the latest count.
        """
        before, since_s, _ = self._open.get(id_, (0.0, stream_s, {}))
        self._open[id_] = (before + amount, since_s, values)
        self.poll(now_s)

    def poll(self, now_s: float) -> None:
        """Say what has waited long enough."""
        for id_ in [id_ for id_ in self._open if now_s - self._said_at_s.get(id_, -REPEAT_S) >= REPEAT_S]:
            self._said_at_s[id_] = now_s
            self._conclude(id_)

    def flush(self) -> None:
        """Say everything; the stream has ended."""
        for id_ in list(self._open):
            self._conclude(id_)

    def take(self) -> list[Finding]:
        """Findings since the last call, in order."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def _conclude(self, id_: str) -> None:
        amount, since_s, values = self._open.pop(id_)
        text = TEXTS[id_].format(amount=amount, s="" if round(amount) == 1 else "s", **values)
        self._ready.append(Finding(id_, " ".join(text.split()), since_s))
