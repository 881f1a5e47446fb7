"""Directions and distances are spoken the way a person would, and mirrored scenes get mirrored words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.scene.words import (
    SECTORS,
    clock_position,
    direction_words,
    distance_words,
    doubtful_direction_words,
    place_words,
    sector8,
)

azimuths = st.floats(-180, 180, exclude_min=True)
elevations = st.floats(-90, 90)


def mirrored(words: str) -> str:
    """Swap left and right."""
    swap = {"left": "right", "right": "left"}
    return re.sub(r"left|right", lambda match: swap[match.group()], words)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "words"),
    [
        (0, 0, "straight ahead"),
        (-5, 0, "straight ahead"),
        (30, 0, "about 30 degrees to your left"),
        (-32, 5, "about 30 degrees to your right"),
        (90, 0, "directly to your left"),
        (-120, 0, "about 120 degrees to your right, behind you"),
        (160, 0, "behind you, slightly to the left"),
        (-160, 0, "behind you, slightly to the right"),
        (180, 0, "directly behind you"),
        (-178, 0, "directly behind you"),
        (30, 20, "about 30 degrees to your left, slightly above you"),
        (30, 50, "about 30 degrees to your left, above you"),
        (0, -40, "straight ahead, below you"),
        (77, 80, "directly above you"),
        (77, -80, "directly below you"),
        (390, 0, "about 30 degrees to your left"),
    ],
)
def test_directions(azimuth: float, elevation: float, words: str) -> None:
    assert direction_words(azimuth, elevation) == words


@given(azimuths, elevations)
def test_a_mirrored_direction_has_mirrored_words(azimuth: float, elevation: float) -> None:
    assert direction_words(-azimuth, elevation) == mirrored(direction_words(azimuth, elevation))
    assert sector8(-azimuth) == mirrored(sector8(azimuth))


@given(azimuths)
def test_spoken_degrees_are_within_half_a_step(azimuth: float) -> None:
    spoken = re.search(r"about (\d+) degrees", direction_words(azimuth))
    if spoken:
        assert abs(int(spoken[1]) - abs(azimuth)) <= 2.5 + 1e-9


@given(azimuths)
def test_a_full_turn_changes_no_word(azimuth: float) -> None:
    whole = round(azimuth)  # a fraction may not survive adding 360
    assert direction_words(whole + 360) == direction_words(whole)
    assert sector8(whole - 360) == sector8(whole)
    assert clock_position(whole + 720) == clock_position(whole)


@pytest.mark.parametrize(("index", "sector"), list(enumerate(SECTORS)))
def test_sector_centres_and_edges(index: int, sector: str) -> None:
    assert {sector8(45 * index + offset) for offset in (-22.4, 0, 22.4)} == {sector}


@pytest.mark.parametrize(
    ("azimuth", "hour"),
    [(0, 12), (-30, 1), (-60, 2), (-90, 3), (180, 6), (90, 9), (30, 11), (14, 12), (-14, 12), (16, 11)],
)
def test_clock_positions_run_to_the_right(azimuth: float, hour: int) -> None:
    assert clock_position(azimuth) == f"{hour} o'clock"


@given(azimuths)
def test_clock_position_is_within_half_an_hour(azimuth: float) -> None:
    hour = int(clock_position(azimuth).split()[0])
    assert angle_between_azimuths(-30.0 * hour, azimuth) <= 15 + 1e-9


@given(azimuths)
def test_mirrored_clock_positions_add_up_to_twelve(azimuth: float) -> None:
    hours = [int(clock_position(angle).split()[0]) for angle in (azimuth, -azimuth)]
    assert sum(hours) % 12 == 0


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0, "right next to you"),
        (0.4, "about half a metre away"),
        (1.1, "about 1 metre away"),
        (1.6, "about 1.5 metres away"),
        (2.1, "about 2 metres away"),
        (3.4, "about 3 metres away"),
        (9.6, "about 10 metres away"),
        (17, "about 15 metres away"),
    ],
)
def test_distances(distance: float, words: str) -> None:
    assert distance_words(distance) == words


@given(st.floats(0.3, 100), st.floats(0.3, 100))
def test_a_longer_distance_never_sounds_shorter(first: float, second: float) -> None:
    def metres(distance: float) -> float:
        return float(distance_words(distance).replace("half a", "0.5").split()[1])

    near, far = sorted((first, second))
    assert metres(near) <= metres(far)


@pytest.mark.parametrize("distance", [-0.1, float("nan"), float("inf")])
def test_impossible_distances_are_refused(distance: float) -> None:
    with pytest.raises(ValueError, match="distance_m"):
        distance_words(distance)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "words"),
    [
        (30, 0, "about 30 degrees to your left, in front or behind"),
        (150, 0, "about 30 degrees to your left, in front or behind"),
        (-135, 20, "about 45 degrees to your right, slightly above you, in front or behind"),
        (2, 0, "straight ahead or directly behind you"),
        (180, 0, "straight ahead or directly behind you"),
        (-176, 20, "straight ahead or directly behind you, slightly above you"),
        (30, 80, "directly above you"),
    ],
)
def test_a_doubt_about_front_and_back_is_said(azimuth: float, elevation: float, words: str) -> None:
    assert doubtful_direction_words(azimuth, elevation) == words


@given(azimuths, elevations)
def test_of_two_mirror_places_front_for_back_the_same_is_said(azimuth: float, elevation: float) -> None:
    mirror = round(180.0 - azimuth, 9)
    assert doubtful_direction_words(round(azimuth, 9), elevation) == doubtful_direction_words(mirror, elevation)


def test_a_place_is_a_direction_and_a_distance() -> None:
    assert place_words(90.0, 0.0, 2.0) == "directly to your left, about 2 metres away"
    assert place_words(150.0, 0.0, 2.0, ambiguous=True) == (
        "about 30 degrees to your left, in front or behind, about 2 metres away"
    )
