"""MicrophoneSource on a sound card of our own making: states, gaps, fallbacks, and an end that always comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from earshot.runtime.audio import microphone
from earshot.runtime.audio.capture import CaptureEvent, CaptureSettings, CaptureState, Patient, Reporting
from earshot.runtime.audio.microphone import MicrophoneSource
from earshot.runtime.audio.source import AudioChunk, AudioSource
from earshot.runtime.errors import DeviceError, UsageError
from tests.runtime.audio.fake_portaudio import Card, FakePortAudio

QUICK = CaptureSettings(
    fetch_s=0.02,
    deaf_after_s=0.15,
    start_limit_s=0.5,
    muted_after_s=0.15,
    watch_s=0.01,
    calm_watch_s=0.01,
    first_wait_s=0.02,
)
LIMIT_S = 20.0
LONG_PIECE = round(0.24 * 48_000)
"""Of a listener that looks for sound every 0.25 s."""


class Listener:
    """Iterates in a thread and keeps what came."""

    def __init__(self, source: MicrophoneSource) -> None:
        self.source = source
        self.events: list[CaptureEvent] = []
        self.chunks: list[AudioChunk] = []
        self.pause_s = 0.0
        source.on_event = self.events.append
        source.open()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        for chunk in self.source:
            self.chunks.append(chunk)
            time.sleep(self.pause_s)

    def until(self, true: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while not true():
            assert time.monotonic() < deadline_s, [event.text for event in self.events]
            time.sleep(0.005)

    def until_state(self, state: CaptureState) -> None:
        self.until(lambda: self.source.state is state)

    @property
    def gaps(self) -> list[float]:
        """Lengths of lost sound, seconds."""
        pairs = zip(self.chunks, self.chunks[1:], strict=False)
        return [b.start_s - a.end_s for a, b in pairs if b.start_sample != round(a.end_s * 16_000)]


@contextmanager
def listening(settings: CaptureSettings) -> Iterator[Listener]:
    """A listener to the card, which has ended afterwards."""
    listener = Listener(MicrophoneSource("ears", settings=settings))
    try:
        yield listener
    finally:
        listener.source.close()
        listener.thread.join(LIMIT_S)
    assert not listener.thread.is_alive()


@pytest.fixture
def card() -> Card:
    return Card("ears")


@pytest.fixture
def sounddevice(card: Card, monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(card, Card("desk"))
    monkeypatch.setattr(microphone, "load_sounddevice", lambda: fake)
    monkeypatch.setattr(microphone, "attached_source", lambda process_id: None)
    return fake


@pytest.fixture
def listener(sounddevice: FakePortAudio) -> Iterator[Listener]:
    with listening(QUICK) as listener:
        yield listener


def test_it_is_an_audio_source_that_reports() -> None:
    source = MicrophoneSource()
    assert isinstance(source, AudioSource)
    assert isinstance(source, Reporting)
    assert isinstance(source, Patient)
    assert source.state is CaptureState.STARTING
    assert source.duration_s is None


def test_sound_flows_in_even_chunks_without_a_gap(listener: Listener, card: Card) -> None:
    listener.until(lambda: len(listener.chunks) > 10)
    assert listener.chunks[0].start_sample == 0
    assert {chunk.samples.shape for chunk in listener.chunks[:10]} == {(2, 640)}
    assert listener.gaps == []
    assert card.opened == [48_000]
    assert listener.source.state is CaptureState.LISTENING


def test_a_pulled_plug_is_told_and_put_back(listener: Listener, card: Card, sounddevice: FakePortAudio) -> None:
    listener.until(lambda: len(listener.chunks) > 3)
    sounddevice.unplug(card)
    listener.until(lambda: any("waiting for microphone 'ears'" in event.text for event in listener.events))
    sounddevice.plugged.insert(1, replace(card, rates_hz=(44_100,)))  # another number, another rate
    listener.until_state(CaptureState.LISTENING)
    before = len(listener.chunks)
    listener.until(lambda: len(listener.chunks) > before + 3)
    assert len(listener.gaps) == 1
    assert listener.gaps[0] > 0.02
    states = [event.state for event in listener.events]
    assert states[0] is states[-1] is CaptureState.LISTENING
    assert states[1] is CaptureState.DEAF
    assert set(states[2:-1]) == {CaptureState.RECONNECTING}
    assert card.opened[-1] == 44_100
    assert sounddevice.starts > 1


def test_frames_that_stop_are_noticed_although_the_stream_says_active(listener: Listener, card: Card) -> None:
    listener.until_state(CaptureState.LISTENING)
    card.flowing = False
    listener.until_state(CaptureState.RECONNECTING)
    assert any("no sound has arrived" in event.text for event in listener.events)
    card.flowing = True
    listener.until_state(CaptureState.LISTENING)
    listener.until(lambda: len(listener.gaps) == 1)


def test_a_muted_microphone_is_deaf_until_it_is_not(listener: Listener, card: Card) -> None:
    listener.until_state(CaptureState.LISTENING)
    card.level = 0.0
    listener.until_state(CaptureState.DEAF)
    card.level = 0.1
    listener.until_state(CaptureState.LISTENING)
    assert "not muted" in listener.events[1].text
    assert listener.gaps == []


def fall_behind(card: Card, seconds: float) -> None:
    """Sound keeps coming, at half its pace."""
    while card.late_s < seconds:
        card.late_s += 0.03
        time.sleep(0.06)


def test_a_sound_system_that_falls_behind_is_told_and_opened_again(sounddevice: FakePortAudio, card: Card) -> None:
    with listening(replace(QUICK, deaf_after_s=5.0, lag_limit_s=1.0)) as listener:
        listener.until_state(CaptureState.LISTENING)
        fall_behind(card, 0.7)
        listener.until_state(CaptureState.LAGGING)
        assert listener.source.lag_s > 0.5
        fall_behind(card, 1.5)
        listener.until_state(CaptureState.RECONNECTING)
        card.late_s = 0.0
        listener.until_state(CaptureState.LISTENING)
    assert any("the sound system is" in event.text for event in listener.events)


def test_sound_that_comes_late_but_all_of_it_is_no_gap(sounddevice: FakePortAudio, card: Card) -> None:
    with listening(replace(QUICK, deaf_after_s=5.0, lost_after_s=60.0)) as listener:
        listener.until_state(CaptureState.LISTENING)
        fall_behind(card, 0.7)
        listener.until_state(CaptureState.LAGGING)
        card.late_s = 0.0
        listener.until_state(CaptureState.LISTENING)
    assert listener.gaps == []
    assert listener.source.dropped_s == 0.0


@pytest.mark.parametrize("told", [True, False], ids=["told of", "not told of"])
def test_sound_lost_by_the_sound_system_leaves_a_gap(told: bool, sounddevice: FakePortAudio, card: Card) -> None:
    with listening(replace(QUICK, deaf_after_s=5.0, lost_after_s=60.0 if told else 0.1)) as listener:
        listener.until(lambda: len(listener.chunks) > 5)
        card.flowing = False
        time.sleep(0.4)
        card.overflowed = told
        card.flowing = True
        listener.until(lambda: bool(listener.gaps))
    assert sum(listener.gaps) == pytest.approx(listener.source.dropped_s, abs=0.02)
    assert sum(listener.gaps) > 0.2


def test_a_resting_listener_is_woken_seldom_and_for_long_pieces(sounddevice: FakePortAudio, card: Card) -> None:
    with listening(replace(QUICK, resting_fetch_s=0.25, deaf_after_s=5.0)) as listener:
        listener.source.rest(True)
        listener.until(lambda: max(card.fetched, default=0) >= LONG_PIECE)
        before = len(card.fetched)
        listener.until(lambda: len(card.fetched) > before + 2)
    assert min(card.fetched[before : before + 2]) >= LONG_PIECE
    assert {chunk.samples.shape for chunk in listener.chunks[:-1]} == {(2, 640)}
    assert listener.gaps == []


def test_a_listener_that_wakes_does_not_wait_for_the_long_piece(sounddevice: FakePortAudio, card: Card) -> None:
    with listening(replace(QUICK, resting_fetch_s=10 * LIMIT_S, deaf_after_s=100 * LIMIT_S)) as listener:
        listener.until(lambda: len(listener.chunks) > 3)
        listener.source.rest(True)
        time.sleep(0.1)
        listener.source.rest(False)
        heard = len(listener.chunks)
        listener.until(lambda: len(listener.chunks) > heard + 5)
    assert listener.gaps == []


def test_a_device_that_is_opened_again_still_rests(sounddevice: FakePortAudio, card: Card) -> None:
    with listening(replace(QUICK, resting_fetch_s=0.25, deaf_after_s=5.0)) as listener:
        listener.until_state(CaptureState.LISTENING)
        listener.source.rest(True)
        sounddevice.unplug(card)
        listener.until_state(CaptureState.RECONNECTING)
        card.fetched.clear()
        sounddevice.plugged.insert(0, card)
        listener.until(lambda: max(card.fetched, default=0) >= LONG_PIECE)


def test_a_slow_listener_loses_the_oldest_sound_and_every_lost_sample_is_a_gap(sounddevice: FakePortAudio) -> None:
    listener = Listener(MicrophoneSource(settings=replace(QUICK, ring_s=0.3, lag_on_s=0.1, lag_off_s=0.05)))
    listener.pause_s = 0.2
    listener.until_state(CaptureState.LAGGING)
    listener.until(lambda: listener.source.dropped_s > 0.2)
    listener.pause_s = 0.0
    listener.until_state(CaptureState.LISTENING)
    lost_s = listener.source.dropped_s
    listener.source.close()
    listener.thread.join(LIMIT_S)
    assert sum(listener.gaps) == pytest.approx(lost_s, abs=0.02)


def test_close_from_another_thread_ends_the_iteration_in_every_state(sounddevice: FakePortAudio, card: Card) -> None:
    for fault in ("none", "suspended", "unplugged"):
        listener = Listener(MicrophoneSource("ears", settings=QUICK))
        if fault == "suspended":
            card.flowing = False
        if fault == "unplugged":
            sounddevice.unplug(card)
            listener.until_state(CaptureState.RECONNECTING)
        listener.source.close()
        listener.thread.join(LIMIT_S)
        assert not listener.thread.is_alive(), fault
        listener.source.close()
        card.flowing = True
    assert not any(thread.name == "capture" for thread in threading.enumerate())


def test_it_can_be_opened_again_and_starts_at_zero(sounddevice: FakePortAudio) -> None:
    source = MicrophoneSource(settings=QUICK)
    for _ in range(2):
        with source:
            assert next(iter(source)).start_sample == 0


@pytest.mark.parametrize(
    ("device", "words"),
    [("nobody", "there are: 'ears', 'desk'"), ("mono", "one channel only; a direction needs two ears")],
)
def test_a_device_that_cannot_do_is_refused_at_open(device: str, words: str, sounddevice: FakePortAudio) -> None:
    if device == "mono":
        sounddevice.plugged.append(Card("mono", channels=1))
        sounddevice._initialize()
    with pytest.raises(DeviceError, match=words) as caught:
        MicrophoneSource(device).open()
    assert caught.value.exit_code == 5
    assert not any(thread.name == "capture" for thread in threading.enumerate())


def test_wrong_use_is_refused() -> None:
    with pytest.raises(UsageError, match="not open"):
        next(iter(MicrophoneSource()))
    with pytest.raises(UsageError, match="at least 1 sample"):
        MicrophoneSource(chunk_samples=0).open()
