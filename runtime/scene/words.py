"""Numbers of the scene as words: directions, clock positions, distances.

Pure functions, shared by the runtime (answers, alerts, radar) and by training (question generation), so that
the model learns exactly the phrases that the product speaks. Azimuth is positive to the LEFT. Left and right
are treated alike at every rounding boundary: a mirrored scene gives the mirrored words.
"""

import math

from earshot.runtime.geometry import wrap_deg

__all__ = [
    "SECTORS",
    "clock_position",
    "direction_words",
    "distance_words",
    "doubtful_direction_words",
    "place_words",
    "sector8",
]

SECTORS = ("front", "front left", "left", "back left", "back", "back right", "right", "front right")
"""The eight sectors, counter-clockwise from the front (in order of rising azimuth)."""

_STRAIGHT_DEG = 7.5  # people point with about 5 degrees of error in front; the model is no better
_SIDE_DEG = 10.0  # half width of "directly to your left"
_BEHIND_DEG = 150.0  # from here on "behind you" says more than a number of degrees
_LEVEL_DEG = 15.0  # binaural elevation is too vague to mention below this
_HIGH_DEG = 35.0
_OVERHEAD_DEG = 70.0  # azimuth means nothing near the poles


def direction_words(azimuth_deg: float, elevation_deg: float = 0.0) -> str:
    """Say a direction, as it follows "is": ``"about 30 degrees to your left"``.

    Parameters
    ----------
    azimuth_deg : float
        Any angle in degrees; positive = left. Spoken in steps of 5 degrees.
    elevation_deg : float
        -90 to 90 degrees. Less than 15 degrees off the horizon is not mentioned.

    Returns
    -------
    str
        E.g. ``"straight ahead"``, ``"directly to your left"``, ``"behind you, slightly to the right"``,
        ``"about 30 degrees to your left, slightly above you"``, ``"directly above you"``.
    """
    if abs(elevation_deg) >= _OVERHEAD_DEG:
        return f"directly {_height(elevation_deg)} you"
    level = _azimuth_words(azimuth_deg)
    if abs(elevation_deg) < _LEVEL_DEG:
        return level
    slightly = "slightly " if abs(elevation_deg) < _HIGH_DEG else ""
    return f"{level}, {slightly}{_height(elevation_deg)} you"


def doubtful_direction_words(azimuth_deg: float, elevation_deg: float = 0.0) -> str:
    """Say a direction that may as well be its mirror image, front for back: ``"about 30 degrees to your left, in front or behind"``.

    Parameters
    ----------
    azimuth_deg : float
        Either of the two; both are said alike.
    elevation_deg : float
        As for `direction_words`.
    """
    azimuth = wrap_deg(azimuth_deg)
    frontal = azimuth if abs(azimuth) <= 90.0 else math.copysign(180.0 - abs(azimuth), azimuth)
    if abs(elevation_deg) >= _OVERHEAD_DEG:
        return direction_words(frontal, elevation_deg)
    if abs(frontal) < _STRAIGHT_DEG:
        level = direction_words(0.0, elevation_deg)
        return level.replace("straight ahead", "straight ahead or directly behind you")
    return f"{direction_words(frontal, elevation_deg)}, in front or behind"


def sector8(azimuth_deg: float) -> str:
    """Name of the 45-degree sector that an azimuth lies in; one of `SECTORS`."""
    azimuth = wrap_deg(azimuth_deg)
    steps = _steps(abs(azimuth), 45.0)
    return SECTORS[steps if azimuth > 0 else -steps]


def clock_position(azimuth_deg: float) -> str:
    """Hour of a clock face seen from above, 12 = ahead: -60 degrees is ``"2 o'clock"``."""
    azimuth = wrap_deg(azimuth_deg)
    steps = _steps(abs(azimuth), 30.0)
    hour = (12 - steps if azimuth > 0 else steps) or 12
    return f"{hour} o'clock"


def distance_words(distance_m: float) -> str:
    """Say a distance: ``"right next to you"``, ``"about half a metre away"``, ``"about 2 metres away"``.

    Steps: half metres to 3 m, whole metres to 10 m, then 5 m, since the ear's error grows with distance
    (Zahorik et al., "Auditory distance perception in humans", 2005).

    Raises
    ------
    ValueError
        If the distance is negative or not finite.
    """
    if not math.isfinite(distance_m) or distance_m < 0:
        raise ValueError(f"distance_m is {distance_m}; it must be finite and not negative")
    if distance_m < 0.3:
        return "right next to you"
    metres = _spoken_metres(distance_m)
    if metres == 0.5:
        return "about half a metre away"
    return f"about {metres:g} {'metre' if metres == 1 else 'metres'} away"


def place_words(azimuth_deg: float, elevation_deg: float, distance_m: float, ambiguous: bool = False) -> str:
    """Say a place: ``"about 30 degrees to your left, in front or behind, about 2 metres away"``.

    Parameters
    ----------
    azimuth_deg, elevation_deg : float
        As for `direction_words`.
    distance_m : float
        As for `distance_words`.
    ambiguous : bool
        It may as well be at the mirror place, front for back.
    """
    direction = (doubtful_direction_words if ambiguous else direction_words)(azimuth_deg, elevation_deg)
    return f"{direction}, {distance_words(distance_m)}"


def _azimuth_words(azimuth_deg: float) -> str:
    azimuth = wrap_deg(azimuth_deg)
    magnitude, side = abs(azimuth), "left" if azimuth > 0 else "right"
    if magnitude < _STRAIGHT_DEG:
        return "straight ahead"
    if magnitude > 180.0 - _STRAIGHT_DEG:
        return "directly behind you"
    if magnitude >= _BEHIND_DEG:
        return f"behind you, slightly to the {side}"
    if abs(magnitude - 90.0) < _SIDE_DEG:
        return f"directly to your {side}"
    words = f"about {5 * _steps(magnitude, 5.0)} degrees to your {side}"
    return words if magnitude < 90.0 else f"{words}, behind you"


def _height(elevation_deg: float) -> str:
    return "above" if elevation_deg > 0 else "below"


def _spoken_metres(distance_m: float) -> float:
    """Round to the step that suits the distance; at least half a metre."""
    step = 0.5 if distance_m < 2.75 else 1.0 if distance_m < 9.5 else 5.0
    return max(0.5, step * _steps(distance_m, step))


def _steps(magnitude: float, step: float) -> int:
    """Number of steps in a magnitude, rounded half up (not half to even: all steps are equally wide)."""
    return math.floor(magnitude / step + 0.5)
