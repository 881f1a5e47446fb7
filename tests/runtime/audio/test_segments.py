"""SegmentCutter: even chunks in their places, whatever the blocks were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.segments import SegmentCutter
from earshot.runtime.audio.source import AudioChunk


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, count)).astype(np.float32)


def cut(samples: np.ndarray, rate_hz: int, blocks: list[int], chunk: int = 640, start: int = 0) -> list[AudioChunk]:
    cutter = SegmentCutter(rate_hz, chunk, start)
    chunks, at = [], 0
    for count in [*blocks, samples.shape[1]]:
        chunks += cutter.process(samples[:, at : at + count])
        at += count
    return chunks + cutter.flush()


@settings(max_examples=40, deadline=None)
@given(
    rate_hz=st.sampled_from([16_000, 44_100, 48_000]),
    blocks=st.lists(st.integers(0, 3000), max_size=12),
    chunk=st.integers(1, 2000),
    start=st.integers(0, 10**9),
)
def test_no_result_depends_on_the_blocks(rate_hz: int, blocks: list[int], chunk: int, start: int) -> None:
    samples = noise(8_000)
    pieces = cut(samples, rate_hz, blocks, chunk, start)
    whole = np.concatenate([c.samples for c in cut(samples, rate_hz, [], 640)], axis=1)
    np.testing.assert_allclose(np.concatenate([c.samples for c in pieces], axis=1), whole, atol=1e-6)
    at = start
    for piece in pieces:
        assert piece.start_sample == at
        at += piece.samples.shape[1]
    assert {c.samples.shape[1] for c in pieces[:-1]} <= {chunk}


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_the_length_is_that_of_the_sound(rate_hz: int) -> None:
    chunks = cut(noise(rate_hz), rate_hz, [])
    assert abs(sum(c.samples.shape[1] for c in chunks) - 16_000) <= 1
