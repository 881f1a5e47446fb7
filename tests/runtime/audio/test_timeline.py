"""Timeline: device samples become a 16 kHz stream whose every sample stands at its true time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.audio.timeline import Timeline
from tests.runtime.audio.device import joined, noise, tone


def feed(
    timeline: Timeline,
    x: np.ndarray,
    *,
    rate_hz: int = 16_000,
    true_rate_hz: float | None = None,
    index: int = 0,
    start_s: float = 0.0,
    block: int = 320,
) -> list[AudioChunk]:
    """Hand over a stretch of samples in blocks that arrive when they end."""
    chunks: list[AudioChunk] = []
    true = true_rate_hz or rate_hz
    for at in range(0, x.shape[1], block):
        piece = x[:, at : at + block]
        arrival_s = start_s + (at + piece.shape[1]) / true
        time_us = round((start_s + at / true) * 1e6)
        chunks += timeline.process(piece, rate_hz, arrival_s, index + at, time_us)
    return chunks


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2000))
def test_at_16_khz_and_without_loss_the_samples_pass_unchanged_however_cut(block: int) -> None:
    x, timeline = noise(0.5), Timeline()
    chunks = feed(timeline, x, block=block) + timeline.flush()
    assert np.array_equal(joined(chunks), x)
    assert all(c.samples.shape[1] == 640 for c in chunks[:-1])


def test_48_khz_is_resampled() -> None:
    timeline = Timeline()
    y = joined(feed(timeline, tone(2.0, 48_000), rate_hz=48_000) + timeline.flush())
    assert y.shape == (2, 32_000)
    assert np.abs(y - tone(2.0))[:, 100:-100].max() < 0.01


def test_lost_frames_are_a_gap_and_everything_after_stands_at_its_place() -> None:
    x, timeline = noise(2.0), Timeline()
    chunks = feed(timeline, x[:, :8000])
    chunks += feed(timeline, x[:, 9000:], index=9000, start_s=9000 / 16_000)
    y = joined(chunks + timeline.flush())
    assert timeline.missing_s == pytest.approx(1000 / 16_000)
    assert not y[:, 8000:9000].any()
    y[:, 8000:9000] = x[:, 8000:9000]
    assert np.array_equal(y, x)


def test_at_48_khz_the_sound_after_a_gap_stands_at_its_place_too() -> None:
    x, timeline = tone(2.0, 48_000), Timeline()
    chunks = feed(timeline, x[:, :24_000], rate_hz=48_000)
    chunks += feed(timeline, x[:, 48_000:], rate_hz=48_000, index=48_000, start_s=1.0)
    y = joined(chunks + timeline.flush())
    assert y.shape == (2, 32_000)
    assert np.abs(y - tone(2.0))[:, 16_100:31_900].max() < 0.01


def test_frames_sent_twice_are_heard_once() -> None:
    x, timeline = noise(1.0), Timeline()
    chunks = feed(timeline, x[:, :8000])
    chunks += feed(timeline, x[:, 7900:], index=7900, start_s=7900 / 16_000, block=640)
    assert np.array_equal(joined(chunks + timeline.flush()), x)


def test_a_device_that_takes_no_samples_for_a_while_leaves_a_gap() -> None:
    x, timeline = noise(2.0), Timeline()
    chunks = feed(timeline, x[:, :16_000]) + feed(timeline, x[:, 16_000:], index=16_000, start_s=2.5)
    y = joined(chunks + timeline.flush())
    assert y.shape[1] == 3.5 * 16_000
    assert np.array_equal(y[:, -16_000:], x[:, 16_000:])


def test_after_a_restart_the_stream_goes_on_at_true_time() -> None:
    x, timeline = noise(10.0), Timeline()
    chunks = feed(timeline, x[:, :80_000], start_s=100.0)
    timeline.restart()
    later = [timeline.process(x[:, a : a + 320], 16_000, 108.0 + (a + 320) / 16_000, a) for a in range(0, 80_000, 320)]
    y = joined([*chunks, *(c for part in later for c in part), *timeline.flush()])
    assert y.shape[1] / 16_000 == pytest.approx(13.0, abs=0.01)


def test_a_jump_of_years_in_the_count_is_not_believed() -> None:
    x, timeline = noise(10.0), Timeline()
    chunks = feed(timeline, x[:, :80_000])
    chunks += feed(timeline, x[:, 80_000:], index=2**62, start_s=5.0)
    assert chunks[-1].end_s == pytest.approx(10.0, abs=0.05)


def test_a_device_mistaken_about_its_rate_is_found_out_by_its_clock() -> None:
    timeline = Timeline()
    x = tone(40.0, 15_700)
    chunks = feed(timeline, x, true_rate_hz=15_700) + timeline.flush()
    assert timeline.true_rate_hz == pytest.approx(15_700, abs=2)
    late = joined(chunks)[0, -5 * 16_000 : -1000]
    spectrum = np.abs(np.fft.rfft(late * np.hanning(len(late))))
    assert np.argmax(spectrum) * 16_000 / len(late) == pytest.approx(440, abs=0.5)


def test_bare_samples_that_pause_leave_a_gap_once_the_pause_is_sure() -> None:
    timeline, at_s, chunks = Timeline(), 0.0, []
    for number in range(1000):
        at_s += 3.02 if number == 500 else 0.02
        chunks += timeline.process(noise(0.02), 16_000, at_s)
    assert timeline.missing_s == pytest.approx(3.0, abs=0.03)
    assert chunks[-1].end_s == pytest.approx(at_s, abs=0.1)


def test_reset_equals_a_fresh_timeline() -> None:
    timeline = Timeline()
    feed(timeline, noise(1.0), rate_hz=44_100)
    timeline.reset()
    x = noise(0.5)
    assert np.array_equal(joined(feed(timeline, x) + timeline.flush()), x)
