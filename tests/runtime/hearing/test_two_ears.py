"""When both ears are heard again: at once, once, whichever ear it was; never for what two ears hear."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.firmware_sim.sounds import loop
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.demo.head import Room, binaural
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.two_ears import CLEAN_FRAMES, LEAST_S, TwoEars
from earshot.runtime.interfaces.loading import open_encoders
from tests.runtime.hearing.sounds import Samples, bursts, noise


def told_s(samples: Samples, stage: TwoEars | None = None) -> list[float]:
    """Starts of the frames with which places begin anew, seconds."""
    ears = stage or TwoEars()
    starts = range(0, samples.shape[1] - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    return [start / 16_000 for start in starts if ears.process(samples[:, start : start + FRAME_SAMPLES])]


def joined(*parts: Samples) -> Samples:
    return np.concatenate(parts, axis=1)


def one_ear(duration_s: float, dead: int = 0, its_noise: float = 0.0) -> Samples:
    ears = noise(duration_s, 0.1, 0.1, seed=7)
    ears[dead] = noise(duration_s, its_noise, its_noise, seed=8)[dead]
    return ears


def one_ear_twice(duration_s: float) -> Samples:
    return np.repeat(noise(duration_s, seed=9)[:1], 2, axis=0)


@pytest.mark.parametrize(
    "fault", [one_ear(2.0), one_ear(2.0, dead=1), one_ear(2.0, its_noise=1e-4), one_ear_twice(2.0)]
)
@pytest.mark.parametrize("offsets", [(0.0, 0.0), (0.002, -0.001)])
def test_the_end_is_told_once_and_within_two_frames(fault: Samples, offsets: tuple[float, float]) -> None:
    heard = joined(noise(1.0), fault, noise(2.0, seed=1)) + np.array(offsets, np.float32)[:, None]
    (at_s,) = told_s(heard)
    assert 3.0 < at_s <= 3.0 + CLEAN_FRAMES * FRAME_S


def test_what_two_ears_hear_is_no_fault() -> None:
    beside_the_head, quiet = noise(2.0, 0.3, 0.01), noise(1.0, 1e-4, 1e-4)
    assert told_s(joined(bursts(), beside_the_head, quiet, noise(2.0, seed=3))) == []


def test_a_dropout_of_one_ear_shorter_than_the_memory_is_worth_is_none() -> None:
    assert told_s(joined(noise(1.0), one_ear(0.8 * LEAST_S), noise(1.0, seed=1))) == []


def test_in_the_pauses_of_a_sound_the_noise_of_a_dead_ear_is_not_that_ear() -> None:
    pause, its_noise = noise(0.4, 3e-4, 3e-4, seed=4), 3e-4
    syllables = joined(*[joined(one_ear(0.2, its_noise=its_noise), pause) for _ in range(4)])
    assert told_s(joined(noise(1.0), syllables)) == []
    (at_s,) = told_s(joined(noise(1.0), syllables, noise(1.0, seed=1)))
    assert at_s > 1.0 + syllables.shape[1] / 16_000


def test_silence_and_lost_sound_say_nothing() -> None:
    lost = np.zeros((2, 8_000), np.float32)
    assert told_s(joined(noise(1.0), lost, noise(1.0))) == []
    (at_s,) = told_s(joined(one_ear_twice(1.0), lost, one_ear_twice(0.2), lost, noise(1.0)))
    assert at_s > 2.2


def test_exchanged_ears_make_no_difference() -> None:
    heard = joined(noise(1.0), one_ear(1.0, its_noise=1e-5), noise(1.0, 0.2, 0.05), one_ear_twice(1.0), noise(1.0))
    assert told_s(heard[::-1]) == told_s(heard) != []


def test_reset_equals_a_fresh_object() -> None:
    used = TwoEars()
    told_s(one_ear(2.0, its_noise=1e-3), used)
    used.reset()
    heard = joined(noise(0.2), one_ear(1.0, its_noise=1e-5), noise(1.0))
    assert told_s(noise(0.2), used) == []
    assert told_s(heard, used) == told_s(heard)


@pytest.fixture(scope="module")
def shipped() -> Encoders:
    return open_encoders(None)[1]


@pytest.mark.parametrize("azimuth_deg", [60.0, -40.0])
def test_a_sound_has_its_place_when_an_ear_comes_back(shipped: Encoders, azimuth_deg: float) -> None:
    """Crickets round the demo head; the right ear is dead from 2 to 5 s."""
    sound = binaural(loop("crickets")[:96_000] * 0.05, azimuth_deg, 0.0, 1.5, Room(reflection=0.0, order=0))[:, :96_000]
    heard = (sound + np.random.default_rng(0).normal(0.0, 1e-3, sound.shape)).astype(np.float32)
    heard[1, 32_100:80_100] = 0.0
    snapshots = Hearing(shipped).process(AudioChunk(heard, 0))
    places = [(shot.time_s, [track.azimuth_deg for track in shot.tracks if track.active]) for shot in snapshots]
    before = next(azimuths[0] for time_s, azimuths in reversed(places) if time_s < 2.0 and azimuths)
    assert abs(before - azimuth_deg) <= 20.0
    near = [any(abs(azimuth - before) <= 20.0 for azimuth in azimuths) for time_s, azimuths in places if time_s > 5.01]
    assert near.index(True) <= 2, "six to eight tenths of a second when the encoders still remember one ear"
