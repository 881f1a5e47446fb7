"""Which number is the yaw, in what and to which side, for the programs that head trackers send to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.osc import OscMessage
from earshot.runtime.audio.osc_yaw import FORMS, QuaternionForm
from earshot.runtime.audio.yaw_endpoint import LASTS_S, parse_yaw
from earshot.runtime.errors import UsageError
from earshot.runtime.geometry import angle_between_azimuths, wrap_deg

ANY = parse_yaw("osc://127.0.0.1:9000")


def yaw(address: str, *arguments: float | None, at: str = "osc://127.0.0.1:9000") -> float | None:
    return parse_yaw(at).yaw_deg(OscMessage(address, arguments))


@pytest.mark.parametrize(
    ("address", "arguments"),
    [
        ("/yaw", (30.0,)),
        ("/yaw/", (30.0,)),
        ("/ypr", (30.0, 5.0, -2.0)),
        ("/head/yaw", (30.0,)),
        ("/hedrot/yaw", (30.0,)),
        ("/rotation", (5.0, 30.0, -2.0)),
        ("/head_pose", (1.0, 0.0, 0.0, 0.0, 5.0, 30.0, -2.0)),
        ("/rendering/htrpy", (-2.0, 5.0, -30.0)),
        ("/orientation", (-30.0, 5.0, -2.0)),
        ("/SceneRotator/yaw", (-30.0,)),
        ("/SceneRotator/ypr", (-30.0, 5.0, -2.0)),
    ],
)
def test_a_head_turned_thirty_degrees_to_the_left(address: str, arguments: tuple[float, ...]) -> None:
    assert yaw(address, *arguments) == pytest.approx(30.0)


@given(st.floats(-179, 179), st.floats(-40, 40), st.floats(0.7, 1.4))
def test_quaternions_of_three_programs_are_the_same_head(yaw_deg: float, pitch_deg: float, norm: float) -> None:
    """Turned to the left about up, then nodded about the axis of the ears (looking up is negative about left)."""
    half_yaw, half_pitch = math.radians(yaw_deg) / 2, -math.radians(pitch_deg) / 2
    cz, sz, cy, sy = math.cos(half_yaw), math.sin(half_yaw), math.cos(half_pitch), math.sin(half_pitch)
    w, x, y, z = (norm * part for part in (cz * cy, -sz * sy, cz * sy, sz * cy))
    told = (
        yaw("/quaternion", w, x, y, z),
        yaw("/quaternion", -w, -x, -y, -z),
        yaw("/quaternions", w, y, -z, -x),
    )
    assert all(angle_between_azimuths(one, yaw_deg) < 1e-6 for one in told if one is not None)
    assert None not in told


def test_a_scene_rotator_is_sent_what_undoes_the_head() -> None:
    half = math.radians(30.0) / 2
    assert yaw("/SceneRotator/quaternions", math.cos(half), 0.0, 0.0, -math.sin(half)) == pytest.approx(30.0)


@pytest.mark.parametrize("address", FORMS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30, -1e30, 5000.0, None])
def test_what_is_no_angle_is_none(address: str, bad: float | None) -> None:
    form = FORMS[address]
    count = 4 if isinstance(form, QuaternionForm) else form.arguments
    assert count is not None
    assert ANY.yaw_deg(OscMessage(address, (bad,) * count)) is None
    assert ANY.yaw_deg(OscMessage(address, ())) is None
    assert ANY.yaw_deg(OscMessage(address, (1.0,) * (count + 1))) is None


def test_a_quaternion_of_nothing_is_none() -> None:
    assert yaw("/quaternion", 0.0, 0.0, 0.0, 0.0) is None


@given(st.floats(-3600, 3600))
def test_a_tracker_may_count_on(angle_deg: float) -> None:
    told = yaw("/yaw", angle_deg)
    assert told is not None
    assert -180.0 < told <= 180.0
    assert angle_between_azimuths(told, float(wrap_deg(angle_deg))) < 1e-6


def test_an_address_takes_that_one_alone() -> None:
    at = "osc://127.0.0.1:9000/head/yaw"
    assert yaw("/head/yaw", 20.0, at=at) == 20.0
    assert yaw("/yaw", 20.0, at=at) is None
    assert yaw("/imu/heading", 20.0) is None, "not known, so not guessed"
    assert yaw("/imu/heading", 20.0, 1.0, 2.0, at="osc://127.0.0.1:9000/imu/heading") == 20.0


def test_options_describe_what_is_not_known() -> None:
    at = "osc://:9000/gyrosc/gyro?argument=3&unit=rad&positive=right"
    assert yaw("/gyrosc/gyro", 0.1, 0.2, math.pi / 2, at=at) == pytest.approx(-90.0)
    assert yaw("/ypr", 20.0, 0.0, 0.0, at="osc://:9000/ypr?positive=right") == -20.0


def test_it_is_loopback_unless_an_address_is_given() -> None:
    assert parse_yaw("osc://:9000").host == parse_yaw("osc://localhost:9000").host == "127.0.0.1"
    assert parse_yaw("osc://0.0.0.0:9000").host == "0.0.0.0"
    assert parse_yaw("osc://[::1]:9000/yaw").host == "::1"
    assert parse_yaw("osc://:9000").lasts_s == LASTS_S
    assert parse_yaw("osc://:9000?lasts_s=5").lasts_s == 5.0


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("", "no place for OSC"),
        ("127.0.0.1:9000", "no place for OSC"),
        ("osc://127.0.0.1", "no place for OSC"),
        ("osc://127.0.0.1:99999", "write it as osc://"),
        ("udp://127.0.0.1:9000", "no place for OSC"),
        ("osc://tracker.local:9000", "no number of this machine"),
        ("osc://:9000/yaw?positiv=left", "did you mean 'positive'"),
        ("osc://:9000/yaw?positive=up", "'left' and 'right' work"),
        ("osc://:9000/yaw?unit=turns", "'deg' and 'rad' work"),
        ("osc://:9000/yaw?argument=0", "1 for the first"),
        ("osc://:9000/yaw?argument=x", "1 for the first"),
        ("osc://:9000?positive=right", "describes one address"),
        ("osc://:9000?lasts_s=nan", "give seconds"),
        ("osc://:9000?lasts_s=0", "give seconds"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(spec: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        parse_yaw(spec)
    assert "\n" not in str(refused.value)
