"""Sound of moving things at the ears of a moving, turning head.

The direct sound and the first reflections are followed sample by sample: their delay glides (which gives the Doppler
shift) and their directions change every 16 ms under windows that add up to one, so that nothing clicks. Later
reflections and the diffuse tail are taken anew every 0.7 m or 45 degrees and faded into each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import oaconvolve

from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S, Head
from earshot.training.synthesis.motion import Track, keyframes, travelled_m
from earshot.training.synthesis.near_field import NEAR_M, near_filters
from earshot.training.synthesis.paths import SHORTEST_M, Flight, Scenery, fly
from earshot.training.synthesis.rooms import coherent_noise, diffuse_tail, sum_images

HOP = 256
FOLLOWED = 1
"""Ways with so many reflections are followed; ways with more are late."""
_FFT = 3 * HOP
"""At least window + banded response + near-field filter - 2."""
_OVERSAMPLING = 4
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2 * HOP) / (2 * HOP))).astype(np.float32)

FloatArray = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """A sound and where it comes from.

    Attributes
    ----------
    samples : float32 [n]
        As loud as at one metre.
    emitted_s : float
        When it begins to be emitted; may be before the scene begins.
    place : Track
        Position of the source.
    """

    samples: FloatArray
    emitted_s: float
    place: Track

    @property
    def end_s(self) -> float:
        """When the last sample is emitted."""
        return self.emitted_s + len(self.samples) / SAMPLE_RATE_HZ


def at_the_ears(
    head: Head, scenery: Scenery, voice: Voice, length: int, rng: np.random.Generator
) -> tuple[FloatArray, Flight]:
    """What a voice makes at the ears.

    Parameters
    ----------
    head : Head
    scenery : Scenery
        Space and listener.
    voice : Voice
    length : int
        Samples of the scene.
    rng : numpy.random.Generator
        Draws the diffuse tail.

    Returns
    -------
    audio : float32 [2, length]
    flight : Flight
        When and from where the voice is heard; way 0 is the direct sound.
    """
    flight = fly(scenery, voice.place, voice.emitted_s, voice.end_s)
    noise = _tail_noise(head, scenery, flight, rng)
    if scenery.still and voice.place.still:
        response = _response(head, scenery, voice.place, 0.0, noise, 0)
        return _placed(voice.samples, response, voice.emitted_s, length), flight
    audio = _followed(head, scenery, voice, flight, length)
    return audio + _late(head, scenery, voice, noise, length), flight


def _followed(head: Head, scenery: Scenery, voice: Voice, flight: Flight, length: int) -> FloatArray:
    """Direct sound and first reflections, [2, length]."""
    blocks = -(-length // HOP) + 1
    centre_s = np.arange(blocks) * HOP / SAMPLE_RATE_HZ
    fine = soxr.resample(np.pad(voice.samples, 16), SAMPLE_RATE_HZ, _OVERSAMPLING * SAMPLE_RATE_HZ, quality="HQ")
    total = np.zeros((blocks, 2, _FFT // 2 + 1), np.complex64)
    for way in np.flatnonzero(scenery.space.bounces <= FOLLOWED).tolist():
        warped = _warped(fine, voice, flight, way, length)
        padded = np.pad(warped, (HOP, blocks * HOP - length + HOP))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP][:blocks]
        active = np.flatnonzero(frames.any(axis=1))
        if not len(active):  # heard only when the scene is over
            continue
        spectra = fft.rfft(frames[active] * _WINDOW, _FFT)
        offsets = flight.offset(way, centre_s[active])
        directions = scenery.in_head(offsets, centre_s[active])
        gains = scenery.space.damping[:, way]
        total[active] += spectra[:, None] * _transfer(head, directions, gains, direct=way == 0)
    return _overlapped(fft.irfft(total, _FFT), length)


def _warped(fine: FloatArray, voice: Voice, flight: Flight, way: int, length: int) -> FloatArray:
    """The sound with the gliding delay and level of one way, [length]; four-point Lagrange at four times the rate."""
    out = np.zeros(length, np.float32)
    arrival = flight.arrival_s[way] * SAMPLE_RATE_HZ
    first, last = max(0, int(np.ceil(arrival[0]))), min(length - 1, int(np.floor(arrival[-1])))
    if first > last:
        return out
    heard = np.arange(first, last + 1)
    emitted = np.interp(heard, arrival, flight.emission_s)
    place = ((emitted - voice.emitted_s) * SAMPLE_RATE_HZ + 16) * _OVERSAMPLING
    index = np.clip(place.astype(np.intp), 1, len(fine) - 3)
    x = (place - index).astype(np.float32)
    nodes = (
        -x * (x - 1) * (x - 2) / 6,
        (x + 1) * (x - 1) * (x - 2) / 2,
        -(x + 1) * x * (x - 2) / 2,
        (x + 1) * x * (x - 1) / 6,
    )
    value = sum(weight * fine[index + step] for step, weight in enumerate(nodes, start=-1))
    out[first : last + 1] = value / np.interp(heard, arrival, flight.distance_m[way])
    return out


def _transfer(head: Head, offsets_m: Doubles, gains: Doubles, *, direct: bool) -> NDArray[np.complex64]:
    """Spectra [T, 2, bins] of the head for a way that comes from ``offsets_m`` [T, 3] (head coordinates)."""
    distance = np.maximum(np.linalg.norm(offsets_m, axis=1), SHORTEST_M)
    directions = offsets_m / distance[:, None]
    used, row = np.unique(head.nearest(directions.astype(np.float32)), return_inverse=True)
    responses = np.einsum("b,debt->det", gains.astype(np.float32), head.banded[used])
    spectra = fft.rfft(responses, _FFT)[row]
    close = np.flatnonzero(direct & (distance < NEAR_M))
    if len(close):
        spectra[close] *= fft.rfft(_near(directions[close], distance[close]), _FFT)
    return np.asarray(spectra, np.complex64)


def _near(directions: Doubles, distance_m: Doubles) -> FloatArray:
    """Near-field filters [T, 2, taps] of both ears."""
    to_left = np.arccos(np.clip(directions[:, 1], -1.0, 1.0))
    return np.stack([near_filters(angle, distance_m) for angle in (to_left, np.pi - to_left)], axis=1)


def _overlapped(blocks: FloatArray, length: int) -> FloatArray:
    """Sum of blocks [B, 2, 3 HOP] of which each begins HOP after the one before, the first at -HOP."""
    count = len(blocks)
    out = np.zeros((2, count + 2, HOP), np.float32)
    for part in range(3):
        out[:, part : part + count] += blocks[:, :, part * HOP : (part + 1) * HOP].swapaxes(0, 1)
    return out.reshape(2, -1)[:, HOP : HOP + length]


def _tail_noise(head: Head, scenery: Scenery, flight: Flight, rng: np.random.Generator) -> FloatArray | None:
    """One noise for a whole scene, so that the tail does not change its sound when a response is taken anew."""
    box = scenery.space.box
    if box is None:
        return None
    travel_s = float(flight.distance_m[0].max()) / SPEED_OF_SOUND_M_S
    return coherent_noise(head, int(SAMPLE_RATE_HZ * min(1.6, max(0.08, 1.05 * max(box.t60_s)) + travel_s)), rng)


def _late(head: Head, scenery: Scenery, voice: Voice, noise: FloatArray | None, length: int) -> FloatArray:
    """Later reflections and the tail, faded from one response to the next; [2, length]."""
    out = np.zeros((2, length), np.float32)
    if noise is None:
        return out
    time = voice.emitted_s + np.arange(len(voice.samples)) / SAMPLE_RATE_HZ
    places = [track.at(time[::320]) for track in (voice.place, scenery.listener)]
    turned = float(np.abs(np.diff(scenery.yaw.at(time[::320])[:, 0])).sum())
    knots = voice.emitted_s + keyframes(time[-1] - time[0], sum(map(travelled_m, places)), turned)
    for number, knot in enumerate(knots):
        weight = np.interp(time, knots, np.eye(len(knots))[number]).astype(np.float32)
        sounding = np.flatnonzero(weight)
        begin, end = sounding[0], sounding[-1] + 1
        response = _response(head, scenery, voice.place, float(knot), noise, FOLLOWED + 1)
        out += _placed((voice.samples * weight)[begin:end], response, float(time[begin]), length)
    return out


def _response(
    head: Head, scenery: Scenery, place: Track, time_s: float, noise: FloatArray | None, fewest: int
) -> FloatArray:
    """Impulse response [2, n] at one time, of the ways with ``fewest`` reflections or more, and the tail."""
    moment = np.array([time_s])
    space = scenery.space
    offsets = scenery.in_head(space.images(place.at(moment)) - scenery.listener.at(moment), moment)[:, 0]
    distance = np.maximum(np.linalg.norm(offsets, axis=1), SHORTEST_M)
    directions = offsets / distance[:, None]
    length = noise.shape[-1] if noise is not None else int(distance.max() / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ) + 256
    ways = space.bounces >= max(1, fewest)
    out = sum_images(head, directions[ways].astype(np.float32), distance[ways], space.damping[:, ways], length)
    if fewest == 0:
        direct = sum_images(head, directions[:1].astype(np.float32), distance[:1], space.damping[:, :1], length)
        out += oaconvolve(direct, _near(directions[:1], distance[:1])[0], axes=1)[:, :length].astype(np.float32)
    if noise is not None and space.box is not None:
        out += diffuse_tail(space.box, noise, distance, space.damping)
    return out


def _placed(samples: FloatArray, response: FloatArray, start_s: float, length: int) -> FloatArray:
    """The sound through a response, from ``start_s`` on, cut to the scene."""
    out = np.zeros((2, length), np.float32)
    wet = oaconvolve(np.broadcast_to(samples, (2, len(samples))), response, axes=1)
    start = round(start_s * SAMPLE_RATE_HZ)
    begin, end = max(0, start), min(length, start + wet.shape[1])
    if begin < end:
        out[:, begin:end] = wet[:, begin - start : end - start]
    return out
