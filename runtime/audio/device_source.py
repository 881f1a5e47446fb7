"""What all sources with a hearable behind them have in common, wherever its bytes come from."""

from __future__ import annotations

from typing_extensions import Self

from earshot.runtime.audio.capture import OnCaptureEvent
from earshot.runtime.audio.device_state import DeviceState, HeadPose, yaw_among
from earshot.runtime.audio.drift import ClockState
from earshot.runtime.audio.link_events import LinkEvents
from earshot.runtime.audio.receiver import Receiver, ReceiverCounts

POSE_LASTS_S = 0.5
"""A head may have turned away when no pose has come for this long."""


class DeviceSource(LinkEvents):
    """Base of sources that hear a device through a `Receiver`; a subclass gives `name`, `open`, `close`, `__iter__`.

    Parameters
    ----------
    receiver : Receiver
    on_event : callable, optional
        See `LinkEvents`.

    Attributes
    ----------
    receiver : Receiver
        What hears the device; a subclass may take a new one when it opens.
    """

    def __init__(self, receiver: Receiver, on_event: OnCaptureEvent | None = None) -> None:
        super().__init__(on_event)
        self.receiver = receiver

    @property
    def name(self) -> str:
        """What a message calls this source."""
        raise NotImplementedError

    @property
    def counts(self) -> ReceiverCounts:
        """Totals of packets and missing sound."""
        return self.receiver.counts

    @property
    def clock(self) -> ClockState:
        """What is known about the device's clock."""
        return self.receiver.clock

    @property
    def device(self) -> DeviceState:
        """What the device last said about itself."""
        return self.receiver.device

    @property
    def poses(self) -> tuple[HeadPose, ...]:
        """Latest poses of the head (up to 2048), by stream time."""
        return tuple(self.receiver.poses)

    def yaw_at(self, time_s: float) -> float | None:
        """Yaw of the head at a stream time, degrees in (-180, 180], positive = left; None without a pose near that time."""
        return yaw_among(self.receiver.poses, time_s, POSE_LASTS_S)

    def open(self) -> None:
        """Reach the device; see `AudioSource`."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave it; see `AudioSource`."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
