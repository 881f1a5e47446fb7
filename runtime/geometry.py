"""Directions on the sphere: the one place for angle arithmetic.

Convention (SOFA, AES69): azimuth in degrees, 0 = front, positive = LEFT (counter-clockwise), in (-180, 180];
elevation in degrees, positive = up; x = front, y = left, z = up. All functions are pure and broadcast.
"""

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["angle_between_azimuths", "angles_of", "great_circle_deg", "unit_vector", "wrap_deg"]

Array = NDArray[np.float64]


@overload
def wrap_deg(angle_deg: float) -> float: ...
@overload
def wrap_deg(angle_deg: NDArray[Any]) -> Array: ...
def wrap_deg(angle_deg: float | NDArray[Any]) -> float | Array:
    """Wrap an angle into (-180, 180].

    Parameters
    ----------
    angle_deg : float or array
        Any finite angle in degrees.

    Returns
    -------
    float or array
        The equal angle in (-180, 180]; an angle already in this range is returned unchanged.
    """
    angle = np.asarray(angle_deg, dtype=np.float64)
    wrapped = 180.0 - np.mod(180.0 - angle, 360.0)
    wrapped = np.where(wrapped <= -180.0, 180.0, wrapped)  # np.mod may round up to exactly 360
    wrapped = np.where((angle > -180.0) & (angle <= 180.0), angle, wrapped)
    return wrapped if wrapped.ndim else float(wrapped)


@overload
def angle_between_azimuths(first_deg: float, second_deg: float) -> float: ...
@overload
def angle_between_azimuths(first_deg: NDArray[Any], second_deg: float | NDArray[Any]) -> Array: ...
@overload
def angle_between_azimuths(first_deg: float, second_deg: NDArray[Any]) -> Array: ...
def angle_between_azimuths(first_deg: float | NDArray[Any], second_deg: float | NDArray[Any]) -> float | Array:
    """Absolute angle between two azimuths the short way round, in degrees, 0 to 180."""
    difference = wrap_deg(np.asarray(first_deg, dtype=np.float64) - np.asarray(second_deg, dtype=np.float64))
    angle = np.abs(difference)
    return angle if angle.ndim else float(angle)


def angle_between_cones(first_deg: float, second_deg: float) -> float:
    """Angle between an azimuth and the nearer of another one and its mirror image, front and back exchanged; degrees, 0 to 90.

    Of two directions on one cone around the axis of the ears the differences of the ears are nearly the same (cone of confusion,
    Woodworth and Schlosberg 1954).
    """
    return min(
        angle_between_azimuths(first_deg, second_deg), angle_between_azimuths(first_deg, wrap_deg(180.0 - second_deg))
    )


def unit_vector(azimuth_deg: ArrayLike, elevation_deg: ArrayLike = 0.0) -> Array:
    """Unit vector of a direction.

    Parameters
    ----------
    azimuth_deg, elevation_deg : array_like
        Degrees; shapes that broadcast to ``[...]``.

    Returns
    -------
    array, shape [..., 3]
        x = front, y = left, z = up; length 1.
    """
    azimuth, elevation = np.broadcast_arrays(
        np.deg2rad(np.asarray(azimuth_deg, dtype=np.float64)),
        np.deg2rad(np.asarray(elevation_deg, dtype=np.float64)),
    )
    level = np.cos(elevation)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=-1)


def angles_of(vector: ArrayLike) -> tuple[Array, Array]:
    """Azimuth and elevation of vectors of any length.

    Parameters
    ----------
    vector : array_like, shape [..., 3]
        x = front, y = left, z = up. The zero vector gives (0, 0).

    Returns
    -------
    azimuth_deg : array, shape [...]
        In (-180, 180].
    elevation_deg : array, shape [...]
        In [-90, 90].
    """
    x, y, z = np.moveaxis(np.asarray(vector, dtype=np.float64), -1, 0)
    azimuth = wrap_deg(np.asarray(np.rad2deg(np.arctan2(y, x))))
    elevation = np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    return np.asarray(azimuth), np.asarray(elevation)


def great_circle_deg(
    azimuth_deg: ArrayLike,
    elevation_deg: ArrayLike,
    other_azimuth_deg: ArrayLike,
    other_elevation_deg: ArrayLike,
) -> Array:
    """Angle between two directions on the sphere.

    Taken from the vector product (Vincenty's form), so that it stays exact for nearly equal and nearly
    opposite directions, where the arc cosine of the scalar product does not.

    Returns
    -------
    array, shape [...]
        Degrees, 0 to 180.
    """
    first = unit_vector(azimuth_deg, elevation_deg)
    second = unit_vector(other_azimuth_deg, other_elevation_deg)
    sine = np.linalg.norm(np.cross(first, second), axis=-1)
    cosine = np.sum(first * second, axis=-1)
    return np.asarray(np.rad2deg(np.arctan2(sine, cosine)))
