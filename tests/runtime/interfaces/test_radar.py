"""The radar as text: fits a small terminal, left is left, near is near."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.interfaces.radar import render_radar
from earshot.runtime.scene.sources import SourceEstimate


def source(azimuth_deg: float, distance_m: float = 2.0, label: str = "Dog") -> SourceEstimate:
    return SourceEstimate(
        label=label,
        confidence=0.8,
        azimuth_deg=azimuth_deg,
        elevation_deg=0.0,
        distance_m=distance_m,
        onset_s=0.0,
        offset_s=1.0,
    )


def place_of(mark: str, picture: str) -> tuple[int, int]:
    """Row and column of a mark inside the picture (33 columns), without title and legend."""
    for row, line in enumerate(picture.splitlines()[1:]):
        column = line[:33].replace("1 m", "   ").replace("2 m", "   ").replace("4 m", "   ").find(mark)
        if column >= 0:
            return row, column
    raise AssertionError(f"{mark} is not in the picture")


def test_fits_eighty_by_twenty_four_with_nine_sources_and_a_long_name() -> None:
    many = [source(40.0 * k - 170.0, 1.0 + k, "Vehicle horn, car horn, honking") for k in range(9)]
    lines = render_radar(many).splitlines()
    assert len(lines) <= 22
    assert max(map(len, lines)) <= 60


def test_front_is_up_and_left_is_left() -> None:
    picture = render_radar([source(0.0), source(90.0), source(180.0, 3.0), source(-90.0)])
    places = [place_of(mark, picture) for mark in "1234"]
    (front, left, back, right), middle = places, (8, 16)
    assert front[0] < middle[0] and front[1] == middle[1]
    assert left[1] < middle[1] and left[0] == middle[0]
    assert back[0] > middle[0] and back[1] == middle[1]
    assert right[1] > middle[1] and right[0] == middle[0]


def test_farther_is_farther_out_up_to_the_rim() -> None:
    columns = [place_of("1", render_radar([source(90.0, d)]))[1] for d in (0.5, 1.0, 2.0, 4.0, 8.0, 100.0)]
    assert columns == sorted(columns, reverse=True)
    assert columns[-1] == columns[-2] == 0


@given(st.floats(-179.9, 180.0), st.floats(0.05, 500.0))
def test_the_listener_is_never_hidden(azimuth_deg: float, distance_m: float) -> None:
    assert "(o o)" in render_radar([source(azimuth_deg, distance_m)])


def test_the_legend_names_direction_distance_and_confidence() -> None:
    picture = render_radar([source(-35.0, 2.14)])
    assert "1 Dog" in picture
    assert "80%" in picture
    assert "35 deg right, 2.1 m" in picture


def test_an_empty_scene_says_so() -> None:
    assert "nothing heard" in render_radar([])
