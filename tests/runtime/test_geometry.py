"""Angles wrap, vectors and angles are each other's inverse, and sphere distances are true distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.geometry import (
    angle_between_azimuths,
    angles_of,
    great_circle_deg,
    unit_vector,
    wrap_deg,
)

angles = st.floats(-1e6, 1e6)
azimuths = st.floats(-180, 180, exclude_min=True)
elevations = st.floats(-89, 89)


@given(angles)
def test_wrapped_angles_are_in_range_and_equal_modulo_a_turn(angle: float) -> None:
    wrapped = wrap_deg(angle)
    assert -180 < wrapped <= 180
    assert np.allclose(unit_vector(wrapped), unit_vector(angle), atol=1e-8)


@given(azimuths)
def test_wrapping_leaves_angles_in_range_untouched(angle: float) -> None:
    assert wrap_deg(angle) == angle


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [(-180, 180), (180, 180), (181, -179), (540, 180), (-540, 180), (360, 0), (np.nextafter(180, 181), 180)],
)
def test_wrapping_at_the_seam(angle: float, wrapped: float) -> None:
    assert wrap_deg(angle) == pytest.approx(wrapped, abs=1e-9)


def test_wrapping_an_array_keeps_its_shape() -> None:
    grid = np.arange(-720.0, 720.0, 5.0).reshape(4, -1)
    assert wrap_deg(grid).shape == grid.shape
    assert np.array_equal(wrap_deg(grid), [[wrap_deg(float(angle)) for angle in row] for row in grid])


@given(azimuths, elevations)
def test_a_direction_survives_the_way_to_a_vector_and_back(azimuth: float, elevation: float) -> None:
    vector = unit_vector(azimuth, elevation)
    assert np.linalg.norm(vector) == pytest.approx(1)
    back_azimuth, back_elevation = angles_of(3.0 * vector)
    assert angle_between_azimuths(float(back_azimuth), azimuth) < 1e-6
    assert float(back_elevation) == pytest.approx(elevation, abs=1e-6)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "vector"),
    [(0, 0, (1, 0, 0)), (90, 0, (0, 1, 0)), (-90, 0, (0, -1, 0)), (180, 0, (-1, 0, 0)), (0, 90, (0, 0, 1))],
)
def test_axes_are_front_left_up(azimuth: float, elevation: float, vector: tuple[float, float, float]) -> None:
    assert np.allclose(unit_vector(azimuth, elevation), vector, atol=1e-12)


def test_azimuth_of_a_vector_straight_back_is_plus_180() -> None:
    assert float(angles_of([-1.0, -0.0, 0.0])[0]) == 180


def test_the_zero_vector_has_harmless_angles() -> None:
    assert [float(angle) for angle in angles_of([0.0, 0.0, 0.0])] == [0, 0]


def test_vectors_of_many_directions_are_stacked_on_the_last_axis() -> None:
    vectors = unit_vector(np.zeros((7, 1)), np.linspace(-90, 90, 5))
    assert vectors.shape == (7, 5, 3)
    assert angles_of(vectors)[1].shape == (7, 5)


@given(azimuths, elevations, azimuths, elevations)
def test_great_circle_is_symmetric_and_at_most_half_a_turn(a: float, b: float, c: float, d: float) -> None:
    there, back = float(great_circle_deg(a, b, c, d)), float(great_circle_deg(c, d, a, b))
    assert there == pytest.approx(back, abs=1e-9)
    assert 0 <= there <= 180


@given(azimuths, elevations, azimuths, elevations, azimuths, elevations)
def test_great_circle_obeys_the_triangle_inequality(a: float, b: float, c: float, d: float, e: float, f: float) -> None:
    assert great_circle_deg(a, b, e, f) <= great_circle_deg(a, b, c, d) + great_circle_deg(c, d, e, f) + 1e-6


@given(azimuths, azimuths)
def test_on_the_horizon_the_great_circle_is_the_angle_between_azimuths(first: float, second: float) -> None:
    assert float(great_circle_deg(first, 0, second, 0)) == pytest.approx(
        angle_between_azimuths(first, second), abs=1e-6
    )


@given(azimuths, azimuths, angles)
def test_turning_the_head_keeps_the_angle_between_two_sounds(first: float, second: float, yaw: float) -> None:
    turned = angle_between_azimuths(first - yaw, second - yaw)
    assert turned == pytest.approx(angle_between_azimuths(first, second), abs=1e-6)


def test_angle_between_azimuths_goes_the_short_way() -> None:
    assert angle_between_azimuths(170.0, -170.0) == pytest.approx(20)
    assert np.allclose(angle_between_azimuths(np.array([0.0, 90.0]), -90.0), [90, 180])
