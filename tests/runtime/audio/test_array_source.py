"""ArraySource: samples in memory take the path of a file and are held to the same rules."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.resample import StreamResampler
from earshot.runtime.audio.source import ArraySource, AudioSource, even_chunks
from earshot.runtime.errors import InputError


def noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (2, frames)).astype(np.float32)


def heard(source: AudioSource) -> np.ndarray:
    with source:
        return np.concatenate([chunk.samples for chunk in source], axis=1)


def test_an_array_sounds_like_the_file_of_it(tmp_path: Path) -> None:
    x = noise(44100)
    soundfile.write(tmp_path / "x.wav", x.T, 44100, subtype="FLOAT")
    np.testing.assert_array_equal(heard(ArraySource(x, 44100)), heard(FileSource(tmp_path / "x.wav")))


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (np.zeros(16000), "mono"),
        (np.zeros((1, 16000)), "mono"),
        (np.zeros((16000, 2)), "transpose"),
        (np.zeros((4, 16000)), "4 channels"),
        (np.zeros((2, 2, 2)), "dimensions"),
        (np.zeros((2, 0)), "empty"),
        (np.zeros((2, 1)), "1 sample "),
        (np.full((2, 16000), np.nan), "NaN"),
    ],
)
def test_unusable_arrays_are_refused(samples: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        heard(ArraySource(samples))


@pytest.mark.parametrize("rate_hz", [0, -1, 10, 10_000_000])
def test_impossible_rates_are_refused(rate_hz: int) -> None:
    with pytest.raises(InputError, match="sample rate"):
        ArraySource(noise(16000), rate_hz).open()


@given(lengths=st.lists(st.integers(0, 500), max_size=8), chunk=st.integers(1, 300))
def test_even_chunks_keep_every_sample_and_all_but_the_last_are_whole(lengths: list[int], chunk: int) -> None:
    x = noise(sum(lengths))
    edges = np.cumsum([0, *lengths])
    pieces = list(even_chunks((x[:, a:b] for a, b in pairwise(edges)), chunk))
    assert all(piece.shape[1] == chunk for piece in pieces[:-1])
    assert all(0 < piece.shape[1] <= chunk for piece in pieces[-1:])
    np.testing.assert_array_equal(np.concatenate([np.zeros((2, 0), np.float32), *pieces], axis=1), x)


@settings(max_examples=20, deadline=None)
@given(rate_hz=st.integers(4000, 200_000), cut=st.integers(1, 2000))
def test_resampling_keeps_length_and_does_not_depend_on_the_cut(rate_hz: int, cut: int) -> None:
    x = noise(6000)
    stream = StreamResampler(rate_hz, 16000)
    whole = np.concatenate([stream.process(x), stream.flush()], axis=1)
    assert abs(whole.shape[1] - 6000 * 16000 / rate_hz) <= 1
    stream.reset()
    parts = [stream.process(x[:, at : at + cut]) for at in range(0, 6000, cut)]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush()], axis=1), whole)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_resampling_trails_by_no_more_than_it_says(rate_hz: int) -> None:
    stream = StreamResampler(rate_hz, 16000)
    given_out, worst_s, step = 0, 0.0, max(1, rate_hz // 1000)
    for taken in range(step, rate_hz, step):
        given_out += stream.process(np.zeros((2, step), np.float32)).shape[1]
        worst_s = max(worst_s, taken / rate_hz - given_out / 16000)
    assert worst_s <= stream.latency_s + 1e-9
    assert worst_s >= 0.6 * stream.latency_s


def test_both_ears_are_resampled_alike() -> None:
    """A time difference between the ears is the message; resampling must not move one ear."""
    x = noise(48000)
    x[1] = x[0]
    stream = StreamResampler(48000, 16000)
    y = np.concatenate([stream.process(x), stream.flush()], axis=1)
    np.testing.assert_array_equal(y[0], y[1])
