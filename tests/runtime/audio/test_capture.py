"""What the figures of a stream mean: "listening" is said of flowing sound only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.capture import CaptureSettings, CaptureState, Vitals, judge

SETTINGS = CaptureSettings()
WELL = {"alive": True, "has_frames": True, "silence_s": 0.01}


@pytest.mark.parametrize(
    ("figures", "state", "reopen"),
    [
        ({}, CaptureState.LISTENING, False),
        ({"alive": False}, CaptureState.DEAF, True),
        ({"silence_s": 1.5}, CaptureState.DEAF, True),
        ({"zeros_s": 2.5}, CaptureState.DEAF, False),
        ({"system_lag_s": 0.3, "waiting_s": 0.3}, CaptureState.LAGGING, False),
        ({"waiting_s": 3.9}, CaptureState.LAGGING, False),
        ({"system_lag_s": 3.5}, CaptureState.LAGGING, True),
    ],
)
def test_each_way_to_fail_has_its_state_and_remedy(figures: dict, state: CaptureState, reopen: bool) -> None:
    found = judge(Vitals(**{**WELL, **figures}), CaptureState.LISTENING, SETTINGS)
    assert (found.state, found.reopen) == (state, reopen)


def test_a_lag_says_whose_it_is() -> None:
    ours = judge(Vitals(**WELL, system_lag_s=0.1, waiting_s=0.9), CaptureState.LISTENING, SETTINGS)
    theirs = judge(Vitals(**WELL, system_lag_s=0.9, waiting_s=0.1), CaptureState.LISTENING, SETTINGS)
    assert ours.text == "1.0 s behind; this machine is too busy"
    assert theirs.text == "1.0 s behind; the sound system is late or has lost sound"


def test_a_stream_without_frames_stays_what_it_was_until_the_start_limit() -> None:
    for before in (CaptureState.STARTING, CaptureState.RECONNECTING):
        early = judge(Vitals(alive=True, has_frames=False, silence_s=3.0), before, SETTINGS)
        assert (early.state, early.reopen) == (before, False)
    late = judge(Vitals(alive=True, has_frames=False, silence_s=4.5), CaptureState.STARTING, SETTINGS)
    assert (late.state, late.reopen) == (CaptureState.DEAF, True)


def test_lagging_ends_later_than_it_begins() -> None:
    between = Vitals(**WELL, waiting_s=0.3)
    assert judge(between, CaptureState.LISTENING, SETTINGS).state is CaptureState.LISTENING
    assert judge(between, CaptureState.LAGGING, SETTINGS).state is CaptureState.LAGGING


@given(
    alive=st.booleans(),
    has_frames=st.booleans(),
    figures=st.lists(st.floats(0.0, 10.0), min_size=4, max_size=4),
    before=st.sampled_from(CaptureState),
)
def test_listening_is_never_said_without_recent_frames(
    alive: bool, has_frames: bool, figures: list[float], before: CaptureState
) -> None:
    silence_s, zeros_s, system_lag_s, waiting_s = figures
    found = judge(Vitals(alive, has_frames, silence_s, zeros_s, system_lag_s, waiting_s), before, SETTINGS)
    if found.state is CaptureState.LISTENING and has_frames:
        assert alive
        assert silence_s <= SETTINGS.deaf_after_s
        assert zeros_s <= SETTINGS.muted_after_s
    assert "\n" not in found.text
