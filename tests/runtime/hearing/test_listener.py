"""The whole of hearing as a stage: chunking, reset, ear swap, lost sound, window."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.source import ArraySource, AudioChunk
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.sources import summarize
from tests.runtime.hearing.sounds import Samples, bursts, noise
from tests.runtime.tiny_bundle import HIGH_CLASS, LOW_CLASS, MIDDLE_CLASS


def chunks_of(samples: Samples, edges: list[int]) -> list[AudioChunk]:
    return [AudioChunk(samples[:, a:b], a) for a, b in pairwise([0, *edges, samples.shape[1]])]


def hear(hearing: Hearing, chunks: list[AudioChunk]) -> list[SceneSnapshot]:
    return [snapshot for chunk in chunks for snapshot in hearing.process(chunk)]


def told(snapshots: list[SceneSnapshot]) -> list[dict]:
    return [snapshot.as_dict() for snapshot in snapshots]


def test_bursts_become_tracks_on_their_sides(encoders: Encoders) -> None:
    hearing = Hearing(encoders)
    with ArraySource(bursts()) as source:
        snapshots = [s for chunk in source for s in hearing.process(chunk)]
    sources = summarize(snapshots)
    expected = [load_labels()[k].name for k in (LOW_CLASS, MIDDLE_CLASS, HIGH_CLASS)]
    assert sorted(s.label for s in sources) == sorted(expected * 2)
    early = [s for s in sources if s.onset_s < 1.0]
    late = [s for s in sources if s.onset_s > 4.5]
    assert len(early) == len(late) == 3
    assert all(s.azimuth_deg > 20.0 for s in early)
    assert all(s.azimuth_deg < -20.0 for s in late)
    assert all(s.onset_s < 0.15 and s.offset_s == pytest.approx(2.0, abs=0.15) for s in early)


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 112_000), max_size=30))
def test_results_do_not_depend_on_the_chunking(any_encoders: Encoders, cuts: list[int]) -> None:
    whole, pieces = Hearing(any_encoders), Hearing(any_encoders)
    expected = told(hear(whole, chunks_of(bursts(), [])))
    assert told(hear(pieces, chunks_of(bursts(), sorted(cuts)))) == expected
    for name, values in whole.window().tokens.as_dict().items():
        np.testing.assert_array_equal(pieces.window().tokens.as_dict()[name], values)


def test_reset_equals_a_fresh_object(any_encoders: Encoders) -> None:
    used, fresh = Hearing(any_encoders), Hearing(any_encoders)
    hear(used, chunks_of(noise(3.3, seed=5), []))
    used.reset()
    chunks = chunks_of(bursts(), [5000])
    assert told(hear(used, chunks)) == told(hear(fresh, chunks))
    np.testing.assert_array_equal(used.window().tokens.slots, fresh.window().tokens.slots)


def test_swapping_the_ears_mirrors_the_scene(any_encoders: Encoders) -> None:
    plain = hear(Hearing(any_encoders), chunks_of(bursts(), []))
    swapped = hear(Hearing(any_encoders), chunks_of(bursts()[::-1].copy(), []))
    for one, other in zip(plain, swapped, strict=True):
        assert [t.class_id for t in one.tracks] == [t.class_id for t in other.tracks]
        for a, b in zip(one.tracks, other.tracks, strict=True):
            assert a.azimuth_deg == pytest.approx(-b.azimuth_deg, abs=0.1)
            assert a.distance_m == pytest.approx(b.distance_m, rel=1e-3)


def with_gap(samples: Samples, start: int, end: int) -> list[AudioChunk]:
    return [AudioChunk(samples[:, :start], 0), AudioChunk(samples[:, end:], end)]


def silenced(samples: Samples, start: int, end: int) -> Samples:
    return np.concatenate([samples[:, :start], np.zeros((2, end - start), np.float32), samples[:, end:]], axis=1)


def test_a_lost_packet_is_taken_as_silence_and_the_clock_goes_on(any_encoders: Encoders) -> None:
    lost = hear(Hearing(any_encoders), with_gap(bursts(), 16_000, 17_600))
    assert told(lost) == told(hear(Hearing(any_encoders), chunks_of(silenced(bursts(), 16_000, 17_600), [])))


def test_while_nothing_comes_silence_is_told_and_what_has_ended_since_does_not_come_back(encoders: Encoders) -> None:
    steady = noise(6.0, 0.2, 0.05)
    lost = hear(Hearing(encoders), with_gap(steady, 32_000, 80_000))
    quiet = hear(Hearing(encoders), chunks_of(silenced(steady, 32_000, 80_000), []))
    assert told(lost[:50]) == told(quiet[:50])
    assert not any(track.active for track in lost[45].tracks)
    ended = np.concatenate([steady[:, :80_000], noise(1.0, 1e-4, 1e-4)], axis=1)
    assert not any(
        track.active for s in hear(Hearing(encoders), with_gap(ended, 32_000, 80_000))[50:] for track in s.tracks
    )


def test_after_seconds_without_sound_the_encoders_know_what_they_knew_before(encoders: Encoders) -> None:
    hearing, empty = Hearing(encoders), np.zeros((2, 0), np.float32)
    hear(hearing, chunks_of(noise(2.0, 0.2, 0.05), []))
    assert hearing._stream is not None
    before = hearing._stream.memory()
    hearing.process(AudioChunk(empty, 80_000))
    after = hearing._stream.memory()
    for name in before.spatial:
        np.testing.assert_array_equal(after.spatial[name], before.spatial[name])
    hearing.process(AudioChunk(empty, 81_600))  # a few packets are heard as silence
    assert any((after.spatial[name] != values).any() for name, values in hearing._stream.memory().spatial.items())


def places_after(encoders: Encoders, fault: Samples) -> dict[str, np.ndarray]:
    """State of the spatial encoder after two ears, a fault and two ears again."""
    hearing = Hearing(encoders)
    hear(hearing, chunks_of(np.concatenate([noise(1.0), fault, noise(0.2, seed=4)], axis=1), [16_100]))
    assert hearing._stream is not None
    return hearing._stream.memory().spatial


def test_when_both_ears_are_heard_again_what_one_alone_heard_has_no_place(encoders: Encoders) -> None:
    left, right = noise(2.0, seed=5), noise(2.0, seed=5)
    left[1], right[0] = 0.0, 0.0
    after_left, after_right = places_after(encoders, left), places_after(encoders, right)
    for name, values in after_left.items():
        np.testing.assert_array_equal(after_right[name], values)
    both = places_after(encoders, noise(2.0, 0.2, 0.05)), places_after(encoders, noise(2.0, 0.05, 0.2))
    assert any((both[0][name] != values).any() for name, values in both[1].items()), "what both heard is remembered"


def test_after_a_long_loss_the_stream_starts_afresh_with_new_ids(encoders: Encoders) -> None:
    hearing = Hearing(encoders)
    hear(hearing, chunks_of(noise(2.0, 0.2, 0.05), []))
    later = hearing.process(AudioChunk(noise(2.0, 0.2, 0.05), 16_000 * 100))
    assert later[0].time_s == pytest.approx(100.1)
    assert later[-1].tracks[0].onset_s == pytest.approx(100.0, abs=0.2)
    assert min(t.track_id for t in later[-1].tracks) > 3
    assert len(hearing.window().snapshots) == len(later)
    assert hearing.window().end_s == pytest.approx(102.0)


def test_the_window_holds_ten_seconds(encoders: Encoders) -> None:
    hearing = Hearing(encoders)
    hear(hearing, chunks_of(noise(12.0), [16_000]))
    window = hearing.window()
    assert len(window.tokens) == 25
    assert len(window.snapshots) == 100
    assert window.end_s == pytest.approx(12.0)


def test_tracks_are_told_within_the_budget_of_100_ms(encoders: Encoders) -> None:
    hearing, heard = Hearing(encoders), 0
    assert hearing.latency_s <= 0.1
    for chunk in chunks_of(noise(2.0), list(range(160, 32_000, 160))):
        heard += chunk.samples.shape[1]
        for snapshot in hearing.process(chunk):
            assert heard / 16_000 - snapshot.time_s <= 0.02 + 1e-9
