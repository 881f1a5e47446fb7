"""The demo's own renderer: a spherical head with the right cues, a repeatable scene, truths that are true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.demo.head import Room, binaural, ear_delays_s
from earshot.runtime.demo.questions import demo_questions
from earshot.runtime.demo.scene import DEMO_SOURCES, render_demo
from earshot.runtime.demo.sounds import alarm_beeps, bird_song, knocks

OUTDOORS = Room(order=0)


def click(samples: int = 1024) -> np.ndarray:
    signal = np.zeros(samples)
    signal[10] = 1.0
    return signal


def high_level_db(ears: np.ndarray) -> np.ndarray:
    """Level of each ear above 4 kHz."""
    spectrum = np.abs(np.fft.rfft(ears, axis=-1)) ** 2
    return 10 * np.log10(spectrum[:, spectrum.shape[1] // 2 :].sum(axis=1))


def test_interaural_delay_is_woodworths() -> None:
    left_s, right_s = ear_delays_s(90.0)
    assert right_s - left_s == pytest.approx(0.0875 / 343 * (np.pi / 2 + 1), rel=1e-6)
    assert ear_delays_s(0.0)[0] == pytest.approx(ear_delays_s(0.0)[1])


@settings(max_examples=15, deadline=None)
@given(st.floats(-179.0, 180.0), st.floats(-40.0, 60.0), st.floats(0.3, 4.0))
def test_a_mirrored_place_swaps_the_ears(azimuth_deg: float, elevation_deg: float, distance_m: float) -> None:
    plain = binaural(click(), azimuth_deg, elevation_deg, distance_m, OUTDOORS)
    mirrored = binaural(click(), -azimuth_deg, elevation_deg, distance_m, OUTDOORS)
    np.testing.assert_allclose(plain, mirrored[::-1], atol=1e-9)


def test_the_near_ear_is_earlier_and_brighter() -> None:
    ears = binaural(click(), 80.0, 0.0, 1.0, OUTDOORS)
    assert np.abs(ears[0]).argmax() < np.abs(ears[1]).argmax()
    assert np.diff(high_level_db(ears))[0] < -10.0


def test_twice_as_far_is_six_decibels_softer() -> None:
    near, far = (np.abs(binaural(click(), 0.0, 0.0, d, OUTDOORS)[0]).max() for d in (1.0, 2.0))
    assert 20 * np.log10(near / far) == pytest.approx(6.0, abs=0.5)


def test_sounds_from_behind_lose_their_highs() -> None:
    front, back = (high_level_db(binaural(click(), a, 0.0, 1.0, OUTDOORS))[0] for a in (0.0, 180.0))
    assert front - back == pytest.approx(7.0, abs=2.5)


def test_a_room_adds_reflections_after_the_direct_sound() -> None:
    dry = binaural(click(), 30.0, 0.0, 1.5, OUTDOORS)
    wet = binaural(click(), 30.0, 0.0, 1.5, Room())
    direct_ends = int(np.abs(dry[0]).argmax()) + 8
    np.testing.assert_allclose(wet[:, :direct_ends], dry[:, :direct_ends], atol=0.05)
    assert (wet[:, direct_ends:] ** 2).sum() > 5 * (dry[:, direct_ends:] ** 2).sum()


@pytest.mark.parametrize("sound", [alarm_beeps, knocks, bird_song])
def test_sounds_are_as_long_as_asked_finite_and_repeatable(sound: object) -> None:
    once, again = sound(1.3), sound(1.3)
    assert once.shape == (round(1.3 * 16_000),)
    assert 0.3 < np.abs(once).max() <= 1.3
    np.testing.assert_array_equal(once, again)


def test_the_scene_is_repeatable_and_loud_on_the_right_sides() -> None:
    scene = render_demo()
    assert scene.shape == (2, 128_000)
    assert scene.dtype == np.float32
    assert np.abs(scene).max() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(scene, render_demo())
    alarm = scene[:, 86_000:120_000].std(axis=1)
    knock = scene[:, 50_000:80_000].std(axis=1)
    assert alarm[0] > alarm[1]
    assert knock[1] > knock[0]


def test_questions_cover_all_levels_and_their_truth_follows_the_scene() -> None:
    questions = demo_questions(DEMO_SOURCES)
    assert len(questions) >= 6
    assert {q.level for q in questions} == {"L1", "L2", "L3"}
    assert all(q.truth in q.choices for q in questions if q.choices)
    mirrored = tuple(replace(s, azimuth_deg=-s.azimuth_deg) for s in DEMO_SOURCES)
    exchanged = zip(questions, demo_questions(mirrored), strict=True)
    changed = [one.text for one, other in exchanged if one.truth != other.truth]
    assert any("switch off" in text for text in changed)
    assert any("to the left of" in text for text in changed)
    assert not any("closer" in text or "started last" in text for text in changed)
    turns = {q.text: q.truth for q in questions if "in front of me" in q.text}
    assert turns == {"If I turn 60 degrees left, what is in front of me?": "the alarm clock"}


def test_questions_need_three_sources() -> None:
    with pytest.raises(ValueError, match="2 sources given, 3 needed"):
        demo_questions(DEMO_SOURCES[:2])
