"""What was heard, as the head looks now: places turn, and what other yaws say settles front and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from earshot.runtime.geometry import angle_between_azimuths, angles_of, wrap_deg
from earshot.runtime.hearing.objects import DIRECTION, POSTERIOR, object_rows
from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.hearing.seen import seen_from_now
from earshot.runtime.hearing.tokens import Tokens, pool_frames
from tests.runtime.hearing.frames import Heard, frame
from tests.runtime.hearing.test_tokens import random_frames

DOG = 12


def heard_at(azimuths_deg: Sequence[float], mirrored: float = 0.0, activity: float = 0.95) -> Tokens:
    """One token for each azimuth, of one class."""
    dogs = [Heard(DOG, azimuth_deg, mirrored=mirrored, activity=activity) for azimuth_deg in azimuths_deg]
    return pool_frames([frame(number + 1, [dogs[number // 10]]) for number in range(10 * len(dogs))])


def azimuth_now(tokens: Tokens, turned_deg: Sequence[float]) -> tuple[float, float]:
    """Azimuth of the dog by its posterior and by its direction."""
    row = object_rows(seen_from_now(tokens, turned_deg))[DOG]
    return lobe_azimuth_deg(row[POSTERIOR]), float(angles_of(row[DIRECTION])[0])


@pytest.mark.parametrize("by_deg", [30.0, -90.0, 180.0])
def test_places_of_the_slots_turn_and_nothing_else_does(by_deg: float) -> None:
    frames = random_frames(20)
    frames[10:] = [replace(frame, slot_class=np.full(4, -1)) for frame in frames[10:]]
    tokens = pool_frames(frames)
    seen = seen_from_now(tokens, (by_deg, 0.0))
    before, after = tokens.slots[0, 0], seen.slots[0, 0]
    np.testing.assert_allclose(after[66:102], np.roll(before[66:102], int(by_deg / 10)), rtol=1e-5)
    flat = complex(before[102], before[103]) * np.exp(1j * np.deg2rad(by_deg))
    assert complex(after[102], after[103]) == pytest.approx(flat, abs=1e-5)
    np.testing.assert_array_equal(np.delete(after, range(66, 104)), np.delete(before, range(66, 104)))
    assert not seen.slots[0, 1:].any(), "an empty slot stays empty"
    np.testing.assert_array_equal(seen.slots[1], tokens.slots[1])
    np.testing.assert_array_equal(seen.semantic, tokens.semantic)
    np.testing.assert_array_equal(seen.scene, tokens.scene)


def test_a_head_that_hardly_moves_turns_nothing() -> None:
    tokens = pool_frames(random_frames(30))
    assert seen_from_now(tokens, (1.9, -1.9, 0.0)) is tokens


@pytest.mark.parametrize("azimuth_deg", [20.0, -50.0, 150.0, 180.0])
@pytest.mark.parametrize("turn_deg", [30.0, -60.0])
def test_a_turn_tells_front_from_back(azimuth_deg: float, turn_deg: float) -> None:
    """Each view by itself takes the dog for its mirror image; only the true side is the same place in all of them."""
    seen_deg = [azimuth_deg, azimuth_deg, azimuth_deg - turn_deg, azimuth_deg - turn_deg]
    tokens = heard_at([180.0 - angle for angle in seen_deg], mirrored=0.45)
    turned_deg = (-turn_deg, -turn_deg, 0.0, 0.0)
    for found_deg in azimuth_now(tokens, turned_deg):
        assert angle_between_azimuths(found_deg, wrap_deg(azimuth_deg - turn_deg)) < 15.0


def test_views_of_one_yaw_decide_nothing() -> None:
    tokens = heard_at([140.0, 140.0], mirrored=0.45)
    np.testing.assert_allclose(
        seen_from_now(tokens, (90.0, 90.0)).slots[..., 66:102],
        np.roll(tokens.slots[..., 66:102], 9, axis=-1),
        rtol=1e-5,
    )


def test_what_was_silent_has_no_say() -> None:
    loud, silent = heard_at([40.0]), heard_at([-100.0], activity=0.0)
    tokens = Tokens.join([silent, loud])
    np.testing.assert_allclose(seen_from_now(tokens, (30.0, 0.0)).slots[1], loud.slots[0], rtol=1e-6)
