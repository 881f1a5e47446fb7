"""Near field: what a head changes when a source comes close, beyond the law of distance.

Distance variation function after Kan, Jin and van Schaik ("A psychophysical evaluation of near-field head-related
transfer functions synthesized using a distance variation function", JASA 125, 2009): the ratio of the pressure on a
rigid sphere for a near and for a far source (Duda & Martens, "Range dependence of the response of a spherical head
model", JASA 104, 1998, eq. 1), applied to the far response of any head. Only its magnitude is used, at minimum phase: the
interaural delay hardly depends on distance, the level difference greatly.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S

RADIUS_M = 0.0875
REFERENCE_M = 1.4
"""Distance at which heads are measured, more or less."""
NEAR_M = 1.0
"""Nothing is changed beyond it: the function is within 1 dB of 1."""
CLOSEST_M = 0.2
TAPS = 32
_DISTANCES_M = np.geomspace(CLOSEST_M, NEAR_M, 20)
_INCIDENCES = np.deg2rad(np.arange(0.0, 181.0, 5.0))
_ORDERS = 60
_BINS = 129

FloatArray = NDArray[np.float64]


def sphere_pressure(frequency_hz: FloatArray, incidence: FloatArray, distance_m: FloatArray) -> FloatArray:
    """Magnitude of the pressure on a rigid sphere over that at its centre without the sphere (Duda & Martens, eq. 1).

    Parameters
    ----------
    frequency_hz : float [F]
        Above 0.
    incidence : float [A]
        Angle between source and ear, radians.
    distance_m : float [D]
        Of the source from the centre, more than the radius.

    Returns
    -------
    float [D, A, F]
    """
    mu = 2 * np.pi * frequency_hz * RADIUS_M / SPEED_OF_SOUND_M_S
    ratio = (distance_m / RADIUS_M)[:, None]
    order = np.arange(_ORDERS)[:, None, None]
    with np.errstate(all="ignore"):
        near, surface = _hankel(order, mu * ratio, False), _hankel(order, mu[None], True)
        terms = (
            (2 * order + 1) * near / surface
        )  # [orders, D, F]; high orders over- and underflow where they add nothing
    terms = np.where(np.isfinite(terms), terms, 0.0)
    legendre = eval_legendre(np.arange(_ORDERS)[:, None], np.cos(incidence))
    series = np.einsum("na,ndf->daf", legendre, terms)
    return np.asarray(np.abs(series) * (ratio / mu)[:, None, :])


def _hankel(order: NDArray[np.intp], x: FloatArray, derivative: bool) -> NDArray[np.complex128]:
    return np.asarray(spherical_jn(order, x, derivative) - 1j * spherical_yn(order, x, derivative))


def near_filters(incidence: FloatArray, distance_m: FloatArray) -> NDArray[np.float32]:
    """Filters that turn the far response of an ear into a near one.

    Parameters
    ----------
    incidence : float [N]
        Angle between source and ear axis, radians, 0 to pi.
    distance_m : float [N]
        Held at ``CLOSEST_M`` below it.

    Returns
    -------
    float32 [N, TAPS]
        A single 1 in front where the source is ``NEAR_M`` away or farther.
    """
    table = _table()
    row = np.abs(np.log(_DISTANCES_M) - np.log(np.clip(distance_m, CLOSEST_M, NEAR_M))[:, None]).argmin(axis=1)
    column = np.rint(incidence / (_INCIDENCES[1])).astype(int)
    return np.asarray(np.where((distance_m < NEAR_M)[:, None], table[row, column], _UNCHANGED), np.float32)


_UNCHANGED = np.eye(1, TAPS)[0]


@functools.lru_cache(maxsize=1)
def _table() -> FloatArray:
    """Filters for all distances and incidences of the grid, [D, A, TAPS]."""
    frequency = np.asarray(np.fft.rfftfreq(2 * (_BINS - 1), 1 / SAMPLE_RATE_HZ), np.float64)
    frequency[0] = 20.0
    pressure = sphere_pressure(frequency, _INCIDENCES, np.append(_DISTANCES_M, REFERENCE_M))
    gain = pressure[:-1] / pressure[-1:]
    # Minimum phase by folding the cepstrum (Oppenheim & Schafer).
    size = 2 * (_BINS - 1)
    cepstrum = np.fft.irfft(np.log(gain), size)
    fold = np.zeros(size)
    fold[0], fold[1 : size // 2], fold[size // 2] = 1.0, 2.0, 1.0
    return np.asarray(np.fft.irfft(np.exp(np.fft.rfft(cepstrum * fold)), size)[..., :TAPS])
