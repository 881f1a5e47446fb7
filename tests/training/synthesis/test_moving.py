"""Physics of moving sound: Doppler, distance law, delays that follow the way, no clicks, rooms that stay themselves."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from earshot.training.synthesis import moving
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S, Head, parametric_head
from earshot.training.synthesis.motion import Track, still
from earshot.training.synthesis.moving import HOP, Voice, at_the_ears
from earshot.training.synthesis.paths import Scenery, fly, space_of
from earshot.training.synthesis.rooms import Shoebox, _image_sources

RADIUS_M = float(np.random.default_rng(1).uniform(0.078, 0.098))
OUTDOORS = {"kind": "free"}
ROOM = {
    "kind": "shoebox",
    "size_m": [6.0, 5.0, 3.0],
    "t60_bands_s": [0.5, 0.5, 0.5],
    "listener_m": [3.0, 2.0, 1.5],
    "facing_deg": 30.0,
}
HERE = np.array([3.0, 2.0, 1.5])


@pytest.fixture(scope="module")
def head() -> Head:
    return parametric_head(np.random.default_rng(1), "sphere")


def scenery(room: dict = OUTDOORS, yaw: Track | None = None) -> Scenery:  # type: ignore[type-arg]
    return Scenery(space_of(room), still(HERE), yaw or still(np.zeros(1)))


def turning(degrees: float, duration_s: float) -> Track:
    return Track(np.array([0.0, duration_s]), np.array([[0.0], [degrees]]))


def line(start: tuple[float, float, float], velocity: tuple[float, float, float], duration_s: float) -> Track:
    """A straight way past the listener, relative to it."""
    first, speed = HERE + np.array(start), np.array(velocity)
    return Track(np.array([-1.0, duration_s]), np.stack([first - speed, first + speed * duration_s]))


def circle(radius_m: float, speed_m_s: float, duration_s: float) -> Track:
    time = np.arange(0.0, duration_s + 0.02, 0.02)
    angle = speed_m_s / radius_m * time
    points = HERE + radius_m * np.stack([np.cos(angle), np.sin(angle), np.zeros(len(time))], axis=1)
    return Track(time, points)


def tone(frequency_hz: float, duration_s: float) -> np.ndarray:
    time = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.sin(2 * np.pi * frequency_hz * time).astype(np.float32)


def noise(duration_s: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(duration_s * SAMPLE_RATE_HZ)).astype(np.float32)


def render(head: Head, where: Scenery, sound: np.ndarray, place: Track, extra_s: float = 0.0) -> np.ndarray:
    length = len(sound) + round(extra_s * SAMPLE_RATE_HZ)
    return at_the_ears(head, where, Voice(sound, 0.0, place), length, np.random.default_rng(0))[0]


@pytest.mark.parametrize("speed_m_s", [15.0, -15.0, 2.0])
def test_an_approaching_tone_is_higher(head: Head, speed_m_s: float) -> None:
    track = line((40.0, 0.0, 0.0), (-speed_m_s, 0.0, 0.0), 1.2)
    heard = render(head, scenery(), tone(1000.0, 1.2), track)[0][8000:16000]
    analytic = np.fft.rfft(heard * np.hanning(8000), 1 << 18)
    measured = np.argmax(np.abs(analytic)) * SAMPLE_RATE_HZ / (1 << 18)
    assert measured == pytest.approx(1000.0 / (1.0 - speed_m_s / SPEED_OF_SOUND_M_S), abs=0.5)


def test_level_follows_the_distance_while_it_shrinks(head: Head) -> None:
    voice = Voice(tone(500.0, 3.0), 0.0, line((9.0, 0.0, 0.0), (-2.0, 0.0, 0.0), 3.0))
    audio, flight = at_the_ears(head, scenery(), voice, 3 * SAMPLE_RATE_HZ, np.random.default_rng(0))
    centres = np.arange(0.5, 2.9, 0.4)
    distance = np.linalg.norm(flight.offset(0, centres), axis=1)
    windows = [audio[0, round(t * SAMPLE_RATE_HZ) - 160 : round(t * SAMPLE_RATE_HZ) + 160] for t in centres]
    level_db = np.array([10 * np.log10((window**2).mean()) for window in windows])
    assert np.ptp(distance) > 4.0
    assert level_db + 20 * np.log10(distance) == pytest.approx(
        np.full(len(centres), level_db[0] + 20 * np.log10(distance[0])), abs=0.3
    )


def transient_db(audio: np.ndarray) -> float:
    """Loudest 4 ms above 2.5 kHz under the level of the whole, dB; for a 400 Hz tone only a click is there."""
    spectrum = np.fft.rfft(audio)
    spectrum[: round(2500 * len(audio) / SAMPLE_RATE_HZ)] = 0.0
    high = np.fft.irfft(spectrum, len(audio))[800:-800]
    frames = high[: len(high) // 64 * 64].reshape(-1, 64)
    return float(10 * np.log10((frames**2).mean(axis=1).max() / (audio**2).mean()))


@pytest.mark.parametrize("room", [OUTDOORS, ROOM], ids=["outdoors", "room"])
def test_a_moving_source_and_a_turning_head_do_not_click(head: Head, room: dict) -> None:  # type: ignore[type-arg]
    soft = tone(400.0, 2.0) * np.hanning(2 * SAMPLE_RATE_HZ).astype(np.float32)
    heard = render(head, scenery(room, turning(-180.0, 2.0)), soft, circle(1.0, 2.0, 2.0))
    assert transient_db(heard[0]) < -60
    assert transient_db(heard[1]) < -60


def test_the_measure_of_clicks_hears_hard_switching(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    hard = np.zeros(2 * HOP, np.float32)
    hard[HOP // 2 : HOP // 2 + HOP] = 1.0  # adds up to one as well, but every block begins at once
    monkeypatch.setattr(moving, "_WINDOW", hard)
    soft = tone(400.0, 2.0) * np.hanning(2 * SAMPLE_RATE_HZ).astype(np.float32)
    heard = render(head, scenery(OUTDOORS, turning(-180.0, 2.0)), soft, circle(1.0, 2.0, 2.0))
    assert transient_db(heard[0]) > -50


def interaural_delay_s(left: np.ndarray, right: np.ndarray) -> float:
    """How much later the right ear hears, below 1.5 kHz."""
    size, fine = 8192, 8
    cross = np.fft.rfft(right, size) * np.conj(np.fft.rfft(left, size))
    cross[round(1500 / SAMPLE_RATE_HZ * size) :] = 0.0
    correlation = np.fft.irfft(cross, fine * size)
    lags = np.arange(-20 * fine, 20 * fine + 1)
    return float(lags[np.argmax(correlation[lags])]) / (fine * SAMPLE_RATE_HZ)


def woodworth_s(azimuth_deg: float) -> float:
    lateral = np.arcsin(np.sin(np.deg2rad(azimuth_deg)))
    return float(RADIUS_M / SPEED_OF_SOUND_M_S * (lateral + np.sin(lateral)))


def test_delays_follow_the_stated_directions(head: Head) -> None:
    voice = Voice(noise(4.0), 0.0, circle(1.0, 2.0, 4.0))
    where = scenery(OUTDOORS, turning(-90.0, 4.0))
    audio, flight = at_the_ears(head, where, voice, 4 * SAMPLE_RATE_HZ, np.random.default_rng(0))
    for centre_s in np.arange(0.3, 3.8, 0.35):
        x, y, _ = where.in_head(flight.offset(0, np.array([centre_s])), np.array([centre_s]))[0]
        stated = float(np.rad2deg(np.arctan2(y, x)))
        middle = round(centre_s * SAMPLE_RATE_HZ)
        left, right = audio[:, middle - 512 : middle + 512]
        # Low frequencies run up to 1.5 times longer than Woodworth's delay (Kuhn 1977); the grid of the head has 6 degrees.
        wanted = woodworth_s(stated)
        assert 0.85 * abs(wanted) - 6e-5 < abs(interaural_delay_s(left, right)) < 1.6 * abs(wanted) + 6e-5
        assert abs(wanted) < 1e-4 or np.sign(interaural_delay_s(left, right)) == np.sign(wanted)


def test_a_head_that_turns_left_hears_the_front_on_its_right(head: Head) -> None:
    where = scenery(OUTDOORS, Track(np.array([0.0, 0.5]), np.array([[0.0], [90.0]])))
    audio, flight = at_the_ears(
        head,
        where,
        Voice(noise(1.0), 0.0, still(HERE + np.array([2.0, 0, 0]))),
        SAMPLE_RATE_HZ,
        np.random.default_rng(0),
    )
    left, right = audio[:, 12_000:14_000]
    assert interaural_delay_s(left, right) == pytest.approx(-RADIUS_M / SPEED_OF_SOUND_M_S * 2.6, abs=2.5e-4)
    assert interaural_delay_s(left, right) < -4e-4
    assert where.in_head(flight.offset(0, np.array([0.8])), np.array([0.8]))[0] == pytest.approx(
        [0.0, -2.0, 0.0], abs=1e-6
    )


@pytest.mark.parametrize("room", [OUTDOORS, ROOM], ids=["outdoors", "room"])
def test_what_hardly_moves_sounds_like_what_stands(head: Head, room: dict) -> None:  # type: ignore[type-arg]
    sound, place = noise(1.5), still(HERE + np.array([0.6, 1.2, 0.1]))
    standing = render(head, scenery(room), sound, place)
    hardly = render(head, scenery(room, turning(1e-3, 1.5)), sound, place)
    for ear in range(2):
        one, other = (np.fft.rfft(signal[ear]) for signal in (standing, hardly))
        edges = [round(f * len(sound) / SAMPLE_RATE_HZ) for f in (100, 500, 1000, 2000, 4000, 7000)]
        for low, high in itertools.pairwise(edges):
            powers = [(np.abs(s[low:high]) ** 2).sum() for s in (one, other)]
            assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(0.0, abs=0.7)
    # Whole samples there, fractions here: alike to a part of a sample.
    slow = [np.convolve(signal[0], np.hanning(16) / 8, "same") for signal in (standing, hardly)]
    assert np.corrcoef(*slow)[0, 1] > 0.97


def reverberation_time_s(response: np.ndarray) -> float:
    """T20 (ISO 3382-1)."""
    energy = np.cumsum((response**2)[::-1])[::-1]
    level_db = 10 * np.log10(energy / energy[0] + 1e-14)
    begin, end = np.argmax(level_db < -5), np.argmax(level_db < -25)
    return float(-60 / np.polyfit(np.arange(begin, end) / SAMPLE_RATE_HZ, level_db[begin:end], 1)[0])


@pytest.mark.parametrize("t60_s", [0.3, 1.2])
def test_rooms_keep_their_reverberation_time_around_moving_sources(head: Head, t60_s: float) -> None:
    room = {**ROOM, "t60_bands_s": [t60_s] * 3}
    click = np.zeros(8000, np.float32)
    click[4000] = 1.0
    heard = render(
        head, scenery(room, turning(40.0, 0.5)), click, line((0.5, 1.0, 0.0), (0.5, -1.5, 0.0), 0.5), 1.1 * t60_s
    )
    assert np.mean([reverberation_time_s(ear[4000:]) for ear in heard]) == pytest.approx(t60_s, rel=0.1)


def test_images_are_those_of_the_reference_implementation() -> None:
    # Both know absorption in bands; the reference interpolates it between octaves, so all bands are alike here.
    room = Shoebox((6.0, 5.0, 3.0), (0.5, 0.5, 0.5), (3.0, 2.0, 1.5), 0.0)
    source = np.array([1.2, 3.4, 1.1])
    space = space_of(ROOM)
    wanted, damping = _image_sources(room, source)
    ours = space.images(source[None])[:, 0]
    assert len(ours) == len(wanted)
    assert ours[0] == pytest.approx(source)
    order = [int(np.argmin(np.linalg.norm(ours - image, axis=1))) for image in wanted]
    assert sorted(order) == list(range(len(ours)))
    assert ours[order] == pytest.approx(wanted)
    assert space.damping[:, order] == pytest.approx(damping, rel=1e-3)


def test_the_ground_answers_later_and_softer(head: Head) -> None:
    place = still(HERE + np.array([4.0, 0.0, 0.0]))
    click = np.zeros(2000, np.float32)
    click[0] = 1.0
    bare = render(head, scenery({"kind": "free", "ground_reflection": None}), click, place)
    ground = render(head, scenery({"kind": "free", "ground_reflection": [0.9, 0.8, 0.7]}), click, place)
    echo = ground - bare
    later = np.argmax(np.abs(echo[0])) - np.argmax(np.abs(bare[0]))
    assert later == pytest.approx((5.0 - 4.0) / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ, abs=4)
    assert 0.2 < (echo**2).sum() / (bare**2).sum() < 0.81 * (4.0 / 5.0) ** 2 * 1.2


def test_arrival_is_emission_plus_travel_to_where_the_listener_is_then() -> None:
    listener = Track(np.array([0.0, 2.0]), np.stack([HERE, HERE + np.array([3.0, 0.0, 0.0])]))
    where = replace(scenery(), listener=listener)
    place = line((50.0, 3.0, 0.0), (-15.0, 0.0, 0.0), 2.0)
    flight = fly(where, place, 0.0, 1.5)
    true_m = np.linalg.norm(place.at(flight.emission_s) - listener.at(flight.arrival_s[0]), axis=1)
    assert flight.arrival_s[0] - flight.emission_s == pytest.approx(true_m / SPEED_OF_SOUND_M_S, abs=1e-7)
    assert (np.diff(flight.arrival_s[0]) > 0).all()


def test_what_arrives_after_the_end_is_not_heard(head: Head) -> None:
    far = Voice(noise(0.05), 0.1, line((60.0, 0.0, 0.0), (0.0, 10.0, 0.0), 1.0))
    audio, flight = at_the_ears(head, scenery(), far, 3200, np.random.default_rng(0))
    assert flight.arrival_s[0, 0] > 0.2
    assert not audio.any()
