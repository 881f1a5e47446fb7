"""RingBuffer: bounded, in order, counts what it loses, safe between two threads."""

from __future__ import annotations

import threading
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.ring import RingBuffer


def ramp(start: int, count: int) -> np.ndarray:
    """Samples that carry their own place in the stream."""
    row = np.arange(start, start + count, dtype=np.float32)
    return np.stack([row, -row])


@given(
    capacity=st.integers(1, 50),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 120)), max_size=40),
)
def test_every_sample_read_is_in_its_place_and_every_lost_one_is_counted(
    capacity: int, steps: list[tuple[bool, int]]
) -> None:
    ring = RingBuffer(capacity)
    written = read = 0
    for is_write, count in steps:
        if is_write:
            ring.write(ramp(written, count))
            written += count
        else:
            start, samples = ring.read(count)
            np.testing.assert_array_equal(samples, ramp(start, samples.shape[1]))
            read += samples.shape[1]
        assert len(ring) <= capacity
        assert written == read + len(ring) + ring.dropped_samples


def test_a_full_ring_loses_its_oldest_sound() -> None:
    ring = RingBuffer(100)
    assert ring.write(ramp(0, 80)) == 0
    assert ring.write(ramp(80, 50)) == 30
    start, samples = ring.read(1000)
    assert start == 30
    assert samples[0, 0] == 30
    assert samples.shape == (2, 100)


def test_what_is_written_and_read_are_copies() -> None:
    ring = RingBuffer(10)
    block = ramp(0, 5)
    ring.write(block)
    block[:] = 99
    _, first = ring.read(5)
    ring.write(ramp(5, 10))
    assert first[0].tolist() == [0, 1, 2, 3, 4]


def test_a_reader_waits_for_sound_and_close_wakes_it() -> None:
    ring = RingBuffer(100)
    threading.Timer(0.05, lambda: ring.write(ramp(0, 10))).start()
    assert ring.read(100, timeout_s=5)[1].shape == (2, 10)
    threading.Timer(0.05, ring.close).start()
    started = time.monotonic()
    assert ring.read(100, timeout_s=None)[1].shape == (2, 0)
    assert time.monotonic() - started < 5
    assert ring.closed


def test_reset_equals_a_fresh_ring() -> None:
    ring = RingBuffer(10)
    ring.write(ramp(0, 25))
    ring.close()
    ring.reset()
    assert (len(ring), ring.dropped_samples, ring.closed) == (0, 0, False)
    ring.write(ramp(0, 3))
    assert ring.read(9)[0] == 0


def test_two_threads_lose_nothing_when_the_reader_keeps_up() -> None:
    ring = RingBuffer(50_000)

    def write() -> None:
        for start in range(0, 40_000, 160):
            ring.write(ramp(start, 160))
        ring.close()

    threading.Thread(target=write).start()
    parts: list[np.ndarray] = []
    while not (ring.closed and len(ring) == 0):
        parts.append(ring.read(997, timeout_s=1.0)[1])
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), ramp(0, 40_000))
    assert ring.dropped_samples == 0


def test_what_never_came_is_counted_and_what_comes_after_it_has_its_place() -> None:
    ring = RingBuffer(100)
    ring.write(ramp(0, 10))
    ring.skip(30)
    assert (len(ring), ring.dropped_samples) == (0, 40), "what was held is given up, so that one gap stays one gap"
    ring.write(ramp(40, 10))
    start, samples = ring.read(100)
    assert start == 40
    np.testing.assert_array_equal(samples, ramp(40, 10))
