"""Which number of which OSC message is the yaw of the head, in which unit, and to which side it counts.

Nobody has fixed this, so the table is what the programs at the other end document or do: SPARTA and COMPASS (`/yaw`,
`/ypr`), the EAR Production Suite, which reads most of the others, the presets of the nvsonic Head Tracker bridge,
Supperware's Bridgehead (`/yaw` or `/quaternion`), the IEM SceneRotator, Mach1. What is sent to a SceneRotator turns the
scene, not the head, so it counts the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from earshot.runtime.audio.osc import OscMessage
from earshot.runtime.geometry import wrap_deg

MOST_DEG = 3600.0
"""Ten turns, for trackers that count on; more is no yaw."""

Axes = Callable[[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class YawForm:
    """Where the yaw stands in a message.

    Attributes
    ----------
    argument : int
        0 = the first.
    arguments : int or None
        The message has so many; None for any number.
    left : bool
        Whether it grows while the head turns to the left; scenes turn the other way.
    degrees : bool
        Else radians.
    """

    argument: int = 0
    arguments: int | None = 1
    left: bool = True
    degrees: bool = True

    def yaw_deg(self, message: OscMessage) -> float | None:
        """Degrees in (-180, 180], positive = left; None when there is none."""
        if len(message.arguments) <= self.argument or self.arguments not in (None, len(message.arguments)):
            return None
        value = message.arguments[self.argument]
        if value is None:
            return None
        return _sane_deg((1.0 if self.left else -1.0) * (value if self.degrees else value * 180.0 / math.pi))


@dataclass(frozen=True)
class QuaternionForm:
    """A quaternion w, x, y, z whose turn about the vertical is the yaw.

    Attributes
    ----------
    axes : callable
        The last three as they come -> those about front, left and up.
    left : bool
        False for the turn of a scene, which undoes that of the head.
    """

    axes: Axes
    left: bool = True

    def yaw_deg(self, message: OscMessage) -> float | None:
        """Degrees in (-180, 180], positive = left; None when there is none."""
        numbers = [value for value in message.arguments if value is not None and abs(value) <= 2.0]
        if len(message.arguments) != 4 or len(numbers) != 4 or not 0.5 < math.hypot(*numbers) < 2.0:
            return None
        norm = math.hypot(*numbers)
        w, *rest = (value / norm for value in numbers)
        x, y, z = self.axes(rest[0], rest[1], rest[2])
        if not self.left:
            x, y, z = -x, -y, -z
        return _sane_deg(math.degrees(math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))))


Form = YawForm | QuaternionForm


def _ambisonic(x: float, y: float, z: float) -> tuple[float, float, float]:
    return x, y, z


def _unity(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Unity: x right, y up, z front, and left-handed."""
    return -z, x, -y


FORMS: Final[dict[str, Form]] = {
    "/yaw": YawForm(),
    "/ypr": YawForm(0, 3),
    "/head/yaw": YawForm(),
    "/head/ypr": YawForm(0, 3),
    "/hedrot/yaw": YawForm(),
    "/rotation": YawForm(1, 3),
    "/head_pose": YawForm(5, 7),
    "/rendering/htrpy": YawForm(2, 3, left=False),
    "/orientation": YawForm(0, 3, left=False),
    "/scenerotator/yaw": YawForm(left=False),
    "/scenerotator/ypr": YawForm(0, 3, left=False),
    "/quaternion": QuaternionForm(_ambisonic),
    "/quaternions": QuaternionForm(_unity),
    "/scenerotator/quaternions": QuaternionForm(_ambisonic, left=False),
}
"""By address in small letters, without a slash at its end."""


def address_key(address: str) -> str:
    """How an address is compared: IEM's plug-ins take any case, nvsonic's bridge ends with a slash."""
    return address.rstrip("/").lower()


def _sane_deg(angle_deg: float) -> float | None:
    """Wrapped to (-180, 180]; None for what is no angle of a head."""
    return float(wrap_deg(angle_deg)) if abs(angle_deg) <= MOST_DEG else None  # not-a-number compares false
