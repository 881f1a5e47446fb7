"""The yaw of the head over a real UDP socket: followed, silent, wrong, hostile."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pythonosc.udp_client import SimpleUDPClient

from earshot.runtime.audio import head_yaw
from earshot.runtime.audio.head_yaw import COMES_ID, REPEAT_S, SILENT_ID, SILENT_S, HeadYaw, opened_yaw
from earshot.runtime.errors import DeviceError, UsageError
from tests.runtime.audio.test_network import free_port


def until(condition: Callable[[], bool], limit_s: float = 30.0) -> bool:
    end_s = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def port() -> int:
    return free_port(socket.SOCK_DGRAM)


@pytest.fixture
def tracker(port: int) -> SimpleUDPClient:
    return SimpleUDPClient("127.0.0.1", port)


@pytest.fixture
def yaw(port: int) -> Iterator[HeadYaw]:
    """Open; a recording plays, so that what is heard now is now."""
    with HeadYaw(f"osc://127.0.0.1:{port}?lasts_s=60") as yaw:
        yaw.begin(live=False)
        yield yaw


def now(yaw: HeadYaw) -> float | None:
    yaw.heard(1.0)
    return yaw.yaw_at(1.0)


def test_the_yaw_that_is_sent_is_where_the_head_looks(yaw: HeadYaw, tracker: SimpleUDPClient) -> None:
    assert now(yaw) is None
    for angle_deg in (30.0, -170.0):
        tracker.send_message("/ypr", [angle_deg, 3.0, 4.0])
        assert until(lambda wanted=angle_deg: now(yaw) == pytest.approx(wanted))
    assert [finding.id for finding in yaw.take_findings()] == [COMES_ID]


def test_the_yaw_of_a_moment_that_is_heard_late_is_that_of_the_moment(
    port: int, tracker: SimpleUDPClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two poses a second apart by a clock that is fed; then a listener that lags asks about the time between."""
    clock_s = [100.0]
    with HeadYaw(f"osc://127.0.0.1:{port}?lasts_s=60") as yaw:
        monkeypatch.setattr(head_yaw.time, "monotonic", lambda: clock_s[0])
        yaw.begin(live=True)
        for number, angle_deg in enumerate((170.0, -170.0)):
            clock_s[0] = 100.0 + number
            yaw.heard(5.0 + number, clock_s[0])
            before = yaw.counts.yaws
            tracker.send_message("/yaw", angle_deg)
            deadline = time.perf_counter() + 30.0
            while yaw.counts.yaws == before and time.perf_counter() < deadline:
                time.sleep(0.005)
        yaw.heard(6.04, 104.0)  # three seconds behind
        assert yaw.yaw_at(5.5) == pytest.approx(180.0)
        assert yaw.yaw_at(5.25) == pytest.approx(175.0)
        assert yaw.yaw_at(6.5) == pytest.approx(-170.0)
        assert yaw.yaw_at(4.9) is None
        assert yaw.yaw_at(70.0) is None, "a yaw does not hold for ever"
        monkeypatch.undo()


def test_a_silent_tracker_is_told_once_and_its_return_too(yaw: HeadYaw, tracker: SimpleUDPClient) -> None:
    start_s = time.monotonic()
    yaw.heard(1.0, start_s + SILENT_S / 2)
    assert yaw.take_findings() == []
    for later_s in (1.0, 2.0, 3.0):
        yaw.heard(10.0, start_s + SILENT_S + later_s)
    (silent,) = yaw.take_findings()
    assert silent.id == SILENT_ID
    assert "directions are those beside the head" in silent.text
    assert yaw.active == (silent,)
    tracker.send_message("/yaw", 10.0)
    assert until(lambda: yaw.counts.yaws == 1)
    yaw.heard(11.0)
    (back,) = yaw.take_findings()
    assert (back.id, yaw.active) == (COMES_ID, ())
    yaw.heard(12.0, start_s + SILENT_S + REPEAT_S / 2)
    assert yaw.take_findings() == [], "a tracker that comes and goes does not fill the log"


def test_messages_without_a_yaw_are_named(yaw: HeadYaw, tracker: SimpleUDPClient) -> None:
    tracker.send_message("/accelerometer", [1.0, 2.0, 3.0])
    assert until(lambda: yaw.counts.unusable == 1)
    yaw.heard(5.0, time.monotonic() + 2 * SILENT_S)
    (finding,) = yaw.take_findings()
    assert "messages of /accelerometer do; name the address" in finding.text


def test_an_address_that_is_taken_is_not_said_to_be_another_one(yaw: HeadYaw, tracker: SimpleUDPClient) -> None:
    tracker.send_message("/yaw", float("nan"))
    assert until(lambda: yaw.counts.unusable == 1)
    yaw.heard(5.0, time.monotonic() + 2 * SILENT_S)
    (finding,) = yaw.take_findings()
    assert "messages of" not in finding.text


def test_what_else_a_tracker_sends_is_not_taken_for_its_yaw(yaw: HeadYaw, tracker: SimpleUDPClient) -> None:
    tracker.send_message("/yaw", 10.0)
    assert until(lambda: yaw.counts.yaws == 1)
    tracker.send_message("/accelerometer", [1.0, 2.0, 3.0])
    assert until(lambda: yaw.counts.unusable == 1)
    yaw.heard(5.0, time.monotonic() + 2 * SILENT_S)
    (finding,) = yaw.take_findings()
    assert "messages of" not in finding.text


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30, "left", True])
def test_nonsense_leaves_the_last_yaw_alone(yaw: HeadYaw, tracker: SimpleUDPClient, bad: object) -> None:
    tracker.send_message("/yaw", 20.0)
    assert until(lambda: now(yaw) == 20.0)
    tracker.send_message("/yaw", bad)
    assert until(lambda: yaw.counts.unusable == 1)
    assert now(yaw) == 20.0


def test_garbage_of_any_length_is_harmless(yaw: HeadYaw, port: int, tracker: SimpleUDPClient) -> None:
    rng = random.Random(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for length in (0, 1, 4, 24, 2048, 2049, 60_000):
            stranger.sendto(rng.randbytes(length), ("127.0.0.1", port))
        stranger.sendto(b"#bundle\0" + bytes(8) + b"\xff\xff\xff\xfc", ("127.0.0.1", port))
    tracker.send_message("/yaw", 40.0)
    assert until(lambda: now(yaw) == 40.0)


def test_a_flood_is_passed_over_and_the_tracker_beside_it_is_heard(
    yaw: HeadYaw, port: int, tracker: SimpleUDPClient
) -> None:
    over = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            while not over.is_set():
                stranger.sendto(os.urandom(64), ("127.0.0.1", port))

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    angles_deg = iter(range(1, 100_000))

    def followed() -> bool:
        sent = float(next(angles_deg) % 90)
        tracker.send_message("/yaw", sent)
        return yaw.counts.yaws >= 3

    try:
        assert until(followed)
    finally:
        over.set()
        thread.join()
    assert now(yaw) is not None
    assert len(yaw._poses) <= 2048


def test_it_ends_at_once_and_gives_the_address_back(port: int) -> None:
    spec = f"osc://127.0.0.1:{port}"
    for _ in range(2):
        with HeadYaw(spec) as yaw, pytest.raises(DeviceError, match="choose another"):
            HeadYaw(spec).open()
        yaw.close()
    assert "head yaw" not in [thread.name for thread in threading.enumerate()]


def test_nothing_is_opened_when_nobody_asks() -> None:
    with opened_yaw(None) as nothing:
        assert nothing is None
    assert HeadYaw("osc://nonsense").active == ()
    with pytest.raises(UsageError):
        HeadYaw("osc://nonsense").open()
