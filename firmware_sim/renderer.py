"""Renders a scenario to both ears, block by block, so that a day needs no more memory than a minute.

Each source is cut into overlapping windows; each window is heard through the impulse response of the place where
the source stands in its middle, by the runtime's parametric head (`earshot.runtime.demo.head`). Windows overlap
by half and add up to one, so a moving source glides from response to response.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from earshot.firmware_sim.scenario import Scenario, Source
from earshot.firmware_sim.sounds import loop
from earshot.runtime.demo.head import SAMPLE_RATE_HZ, Room, binaural
from earshot.runtime.errors import InputError
from earshot.runtime.geometry import wrap_deg

HOP = 1024
"""64 ms: how often a direction changes."""
_WINDOW = 2 * HOP
_RESPONSE = 3201
_FFT = 5400
"""At least window + response - 1, with small factors."""
_CACHE = 256
_AZIMUTH_STEP_DEG, _ELEVATION_STEP_DEG, _DISTANCE_STEP = 2.0, 5.0, 0.03
_LONGEST_FILE_S = 600.0

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]


class ResponseCache:
    """Spectra of binaural impulse responses, on a grid fine enough for ears, the latest 256 of them.

    Parameters
    ----------
    room : Room
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._known: OrderedDict[tuple[int, int, int], NDArray[np.complex64]] = OrderedDict()

    def spectrum(self, azimuth_deg: float, elevation_deg: float, distance_m: float) -> NDArray[np.complex64]:
        """Spectrum [2, bins] for a place relative to the head."""
        key = (
            round(wrap_deg(azimuth_deg) / _AZIMUTH_STEP_DEG),
            round(elevation_deg / _ELEVATION_STEP_DEG),
            round(np.log(distance_m) / _DISTANCE_STEP),
        )
        if key not in self._known:
            azimuth, elevation = key[0] * _AZIMUTH_STEP_DEG, key[1] * _ELEVATION_STEP_DEG
            response = binaural(np.ones(1), azimuth, elevation, float(np.exp(key[2] * _DISTANCE_STEP)), self._room)
            self._known[key] = np.fft.rfft(response[:, :_RESPONSE], _FFT).astype(np.complex64)
            if len(self._known) > _CACHE:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


class Voice:
    """A source and its sound."""

    def __init__(self, source: Source, scenario: Scenario, seed: int) -> None:
        self.source = source
        sound = loop(source.sound or source.label, seed) if source.file is None else _recording(source, scenario)
        self._sound = sound * 10 ** (source.level_db / 20)

    def window(self, start: int) -> Floats | None:
        """Samples [_WINDOW] from a place on, faded by the window; None when silent."""
        place = start + np.arange(_WINDOW)
        return self._at(place) * _FADE if self._sounds(place).any() else None

    def samples(self, start: int, count: int) -> Floats:
        """Samples [count] from a place on, at 1 m; zeros where it is silent."""
        return self._at(start + np.arange(count))

    def _sounds(self, place: NDArray[np.int64]) -> NDArray[np.bool_]:
        off_s = self.source.offset_s if self.source.offset_s is not None else np.inf
        onset = round(self.source.onset_s * SAMPLE_RATE_HZ)
        return (place >= max(0, onset)) & (place < off_s * SAMPLE_RATE_HZ)

    def _at(self, place: NDArray[np.int64]) -> Floats:
        onset = round(self.source.onset_s * SAMPLE_RATE_HZ)
        return np.asarray(self._sound[(place - onset) % len(self._sound)] * self._sounds(place))


_FADE = np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW))


class SceneRenderer:
    """Both ear signals of a scenario in true time, endless.

    Parameters
    ----------
    scenario : Scenario

    Notes
    -----
    The room turns with the head: reflections keep their places relative to it, only the sources stay in the world.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._voices = [Voice(source, scenario, scenario.seed + k) for k, source in enumerate(scenario.sources)]
        room = scenario.room.room() if scenario.room is not None else Room(reflection=0.0, order=0)
        self._responses = ResponseCache(room)

    def blocks(self) -> Iterator[Samples]:
        """Blocks float32 [2, 1024] at 16 kHz, for as long as anybody asks."""
        tail = np.zeros((2, _FFT))
        start = -HOP  # so that the first window is already half in
        while True:
            tail += self._heard(start)
            if start >= 0:
                yield tail[:, :HOP].astype(np.float32)
            tail = np.concatenate([tail[:, HOP:], np.zeros((2, HOP))], axis=1)
            start += HOP

    def _heard(self, start: int) -> Floats:
        """What the windows from a place on add, [2, _FFT]."""
        middle_s = max(0, start + HOP) / SAMPLE_RATE_HZ
        yaw_deg = self._scenario.yaw_deg(middle_s)
        total: NDArray[np.complex128] | None = None
        for voice in self._voices:
            window = voice.window(start)
            if window is not None:
                azimuth_deg, elevation_deg, distance_m = voice.source.place(middle_s)
                response = self._responses.spectrum(azimuth_deg - yaw_deg, elevation_deg, distance_m)
                ears = np.fft.rfft(window, _FFT) * response
                total = ears if total is None else total + ears
        heard: Floats = np.zeros((2, _FFT)) if total is None else np.fft.irfft(total, _FFT)
        if self._scenario.ambience_db is not None:
            heard[:, :_WINDOW] += self._ambience(start, 10 ** (self._scenario.ambience_db / 20))
        return heard

    def _ambience(self, start: int, level: float) -> Floats:
        """Diffuse noise, pink, more alike between the ears at low frequencies (Cook et al., 1955: sin kd / kd)."""
        rng = np.random.default_rng([self._scenario.seed, 0xA3B, start + HOP])
        frequency_hz = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE_HZ)
        white = rng.standard_normal((3, _WINDOW))
        alike = np.sqrt(np.maximum(0.0, np.sinc(2 * frequency_hz * 0.175 / 343.0)))
        common, left, right = np.fft.rfft(white) / np.sqrt(np.maximum(frequency_hz, 50.0) / 50.0)
        own = np.sqrt(1 - alike**2)
        noise = np.fft.irfft(np.stack([alike * common + own * left, alike * common + own * right]), _WINDOW)
        loudness = float(np.sqrt(np.mean(1 / (np.maximum(frequency_hz, 50.0) / 50.0))))
        return np.asarray(noise * np.sqrt(_FADE) * level / loudness)


def _recording(source: Source, scenario: Scenario) -> Floats:
    """A mono file at 16 kHz with root mean square 1."""
    path = scenario.folder / str(source.file)
    try:
        info = soundfile.info(str(path))
        if info.duration > _LONGEST_FILE_S:
            raise InputError(f"{path}: {info.duration:.0f} s long; a scenario's sound may have {_LONGEST_FILE_S:.0f} s")
        samples, rate_hz = soundfile.read(str(path), always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{path}: cannot be read as sound ({' '.join(str(error).split())})") from error
    mono = soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
    level = float(np.sqrt(np.mean(mono**2))) if len(mono) else 0.0
    if not level > 0:
        raise InputError(f"{path}: holds no sound")
    return np.asarray(mono / level, np.float64)
