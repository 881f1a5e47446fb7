"""The summary of a clip: one entry per source, in the JSON of the contract."""

from __future__ import annotations

import pytest

from earshot.runtime.hearing.tracks import Tracker
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.sources import summarize
from tests.runtime.hearing.frames import Heard, frame
from tests.runtime.hearing.test_tracks import track

BARK = [[Heard(10, azimuth_deg=40.0)]] * 20
SILENCE = [[]] * 50


def test_json_has_exactly_the_fields_of_the_contract() -> None:
    source = summarize(track(BARK))[0].model_dump()
    assert list(source) == [
        "label",
        "confidence",
        "azimuth_deg",
        "elevation_deg",
        "distance_m",
        "onset_s",
        "offset_s",
    ]
    assert source["label"] == load_labels()[10].name
    assert source["azimuth_deg"] == pytest.approx(40.0, abs=1.0)
    assert source["distance_m"] == pytest.approx(2.0, abs=0.01)
    assert (source["onset_s"], source["offset_s"]) == (0.0, 0.8)
    assert 0.65 < source["confidence"] < 0.9


def test_what_lasts_is_surer_and_nears_its_probability() -> None:
    confidences = [summarize(track([[Heard(10)]] * frames))[0].confidence for frames in (5, 20, 100)]
    assert confidences == sorted(confidences)
    assert confidences[0] < 0.4
    assert confidences[-1] == pytest.approx(0.9, abs=0.02)


def test_a_name_that_was_likely_for_a_moment_is_less_sure_than_one_that_lasted() -> None:
    moment, lasting = Heard(4, azimuth_deg=40.0, probability=0.95), Heard(10, azimuth_deg=-40.0, probability=0.7)
    sources = summarize(track([[moment, lasting]] * 6 + [[None, lasting]] * 60))
    assert max(sources, key=lambda source: source.confidence).label == load_labels()[10].name


def test_a_dog_that_barks_twice_from_one_place_is_one_source() -> None:
    sources = summarize(track(BARK + SILENCE + BARK))
    assert len(sources) == 1
    assert sources[0].offset_s == pytest.approx(3.6)


def test_the_same_class_from_another_place_is_another_source() -> None:
    elsewhere = [[Heard(10, azimuth_deg=-60.0)]] * 20
    assert [round(s.azimuth_deg, -1) for s in summarize(track(BARK + SILENCE + elsewhere))] == [40.0, -60.0]


def test_directions_agree_across_the_back() -> None:
    left, right = ([[Heard(10, azimuth_deg=a)]] * 20 for a in (172.0, -172.0))
    sources = summarize(track(left + SILENCE + right))
    assert len(sources) == 1
    assert abs(sources[0].azimuth_deg) > 175.0


def test_sources_come_in_order_of_onset() -> None:
    scene = [[None, Heard(4)]] * 10 + [[Heard(2), Heard(4)]] * 20
    assert [s.label for s in summarize(track(scene))] == [load_labels()[4].name, load_labels()[2].name]


def test_a_long_pause_at_the_end_does_not_stretch_a_source() -> None:
    held = [[Heard(10, azimuth_deg=-170.0, activity=0.01)]] * 30
    source = summarize(track(BARK + held))[0]
    assert source.offset_s == pytest.approx(0.8)
    assert source.azimuth_deg == pytest.approx(40.0, abs=1.0)


def test_silence_has_no_sources() -> None:
    assert summarize(track(SILENCE)) == []


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (Heard(4, azimuth_deg=50.0, probability=0.4), 1),
        (Heard(4, azimuth_deg=50.0, probability=0.8), 2),
        (Heard(4, azimuth_deg=-50.0, probability=0.4), 2),
    ],
    ids=["the same sound under a second name", "two sure sounds in one place", "an unsure sound elsewhere"],
)
def test_one_sound_under_two_names_is_one_source(second: Heard, expected: int) -> None:
    sources = summarize(track([[Heard(10, azimuth_deg=40.0), second]] * 25))
    assert len(sources) == expected
    assert load_labels()[10].name in {source.label for source in sources}


def test_what_is_hardly_likely_is_told_of_only_while_nothing_is_surer() -> None:
    hardly = Heard(4, azimuth_deg=-80.0, probability=0.1)
    assert [s.label for s in summarize(track([[hardly]] * 25))] == [load_labels()[4].name]
    sure = Heard(10, azimuth_deg=40.0)
    assert [s.label for s in summarize(track([[sure, hardly]] * 25))] == [load_labels()[10].name]


@pytest.mark.parametrize(
    ("probability", "yaw_deg", "expected"),
    [(0.7, None, 1), (0.85, None, 2), (0.7, 0.0, 2)],
    ids=["less sure: the same sound", "as sure: another sound", "the head tells front from back"],
)
def test_a_less_sure_name_front_and_back_exchanged_is_no_second_source(
    probability: float, yaw_deg: float | None, expected: int
) -> None:
    across = Heard(4, azimuth_deg=140.0, probability=probability)
    tracker, heard = Tracker(), [Heard(10, azimuth_deg=40.0), across]
    sources = summarize(s for number in range(1, 51) for s in tracker.process(frame(number, heard), yaw_deg))
    assert len(sources) == expected
    assert max(sources, key=lambda source: source.confidence).azimuth_deg == pytest.approx(40.0, abs=1.0)
