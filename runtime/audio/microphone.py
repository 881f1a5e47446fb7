"""Live sound from two ear microphones that keeps going: unplugged, suspended, moved or muted, it says so and recovers.

One thread owns PortAudio: it opens, watches and opens again. The thread that iterates only takes samples out of a
ring, so that it can always be ended from outside, whatever the sound system does.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from typing_extensions import Self

from earshot.runtime.audio.capture import CaptureEvent, CaptureSettings, CaptureState, OnCaptureEvent, judge
from earshot.runtime.audio.portaudio import abandon, find_input, list_inputs, load_sounddevice, restart
from earshot.runtime.audio.pulse import PulseSource, PulseWatch, attached_source
from earshot.runtime.audio.segments import SegmentCutter
from earshot.runtime.audio.source import DEFAULT_CHUNK_SAMPLES, SAMPLE_RATE_HZ, AudioChunk
from earshot.runtime.audio.stream import InputStream
from earshot.runtime.errors import DeviceError, UsageError

_OPEN_LIMIT_S = 15.0
_CLOSE_LIMIT_S = 2.0
_READ_LIMIT_S = 0.2
_ATTACH_TRIES, _ATTACH_WAIT_S = 5, 0.03


class MicrophoneSource:
    """Sound from an audio input, for as long as somebody listens.

    Parameters
    ----------
    device : str or None
        Name of the input as `earshot devices` lists it, or a part of it; None for the default one.
    chunk_samples : int
        Length of the chunks at 16 kHz; the last one before a gap may be shorter.
    settings : CaptureSettings, optional
    on_event : callable, optional
        Called with a `CaptureEvent` at every change of state, from the capture thread.

    Notes
    -----
    Only one microphone may be open in a process: finding a device again needs PortAudio to be started again, which
    ends its other streams.
    """

    def __init__(
        self,
        device: str | None = None,
        *,
        chunk_samples: int = DEFAULT_CHUNK_SAMPLES,
        settings: CaptureSettings | None = None,
        on_event: OnCaptureEvent | None = None,
    ) -> None:
        self.on_event = on_event
        self._device = device
        self._chunk_samples = chunk_samples
        self._settings = settings or CaptureSettings()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._clear()

    def _clear(self) -> None:
        self._stop = threading.Event()  # a new one: a capture thread that hangs must not be revived
        self._ready = threading.Event()
        self._streams: queue.SimpleQueue[InputStream | None] = queue.SimpleQueue()
        self._stream: InputStream | None = None
        self._heard_from: PulseSource | None = None
        self._state, self._state_text = CaptureState.STARTING, ""
        self._began_at_s: float | None = None
        self._resting = False
        self._next_sample = 0
        self._dropped_s = 0.0
        self._failure: BaseException | None = None

    @property
    def name(self) -> str:
        """What a message calls this source."""
        return "default microphone" if self._device is None else f"microphone {self._device!r}"

    @property
    def duration_s(self) -> float | None:
        """Nobody knows."""
        return None

    @property
    def state(self) -> CaptureState:
        """The state at this moment; "listening" only while frames flow."""
        return self._state

    @property
    def lag_s(self) -> float:
        """Seconds by which the listener is behind the microphone, beyond the usual."""
        stream = self._stream
        return 0.0 if stream is None or not stream.rate_hz else stream.vitals().lag_s

    @property
    def dropped_s(self) -> float:
        """Seconds of sound lost so far, because the listener was too slow or on the way to it."""
        stream = self._stream
        return self._dropped_s + (stream.ring.dropped_samples / stream.rate_hz if stream and stream.rate_hz else 0.0)

    def open(self) -> None:
        """Open the device; an open source is closed first.

        Raises
        ------
        DeviceError
            When PortAudio is missing, when no such input exists, or when it has one channel only.
        UsageError
            When a setting is impossible.
        """
        self.close()
        if self._chunk_samples < 1:
            raise UsageError(f"a chunk needs at least 1 sample, not {self._chunk_samples}")
        self._clear()
        self._thread = threading.Thread(target=self._capture, name="capture", daemon=True)
        self._thread.start()
        answered = self._ready.wait(_OPEN_LIMIT_S)
        failure, self._failure = self._failure, None
        if failure is not None or not answered:
            self.close()
            raise failure or DeviceError(f"{self.name}: the audio system does not answer; check that it is running")

    def rest(self, resting: bool) -> None:
        """As in `Patient`; holds for a device that is opened again, too."""
        self._resting = resting
        stream = self._stream
        if stream is not None:
            stream.rest(resting)

    def close(self) -> None:
        """Give the device back and end the iteration; may be called twice and from any thread."""
        self._stop.set()
        self._streams.put(None)
        stream, thread = self._stream, self._thread
        if stream is not None:
            stream.ring.close()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_LIMIT_S)
            if thread.is_alive():
                abandon()
            self._thread = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[AudioChunk]:
        """Yield chunks until `close()`; a jump of `start_sample` means that sound was lost.

        Raises
        ------
        UsageError
            When the source is not open.
        """
        if self._thread is None:
            raise UsageError(f"{self.name}: not open; call open() first or use it in a 'with' block")
        stop, streams = self._stop, self._streams
        while not stop.is_set() and (stream := streams.get()) is not None:
            for chunk in self._chunks_of(stream, stop):
                if stop.is_set():
                    return
                self._next_sample = chunk.start_sample + chunk.samples.shape[1]
                yield chunk
        if self._failure is not None:
            raise self._failure

    def _chunks_of(self, stream: InputStream, stop: threading.Event) -> Iterator[AudioChunk]:
        """All of one stream; where its ring has lost sound a new segment begins."""
        cutter: SegmentCutter | None = None
        expected = -1
        while not stop.is_set():
            ended = stream.ring.closed  # before reading: what is written until then is still to be had
            start, samples = stream.read(_READ_LIMIT_S)
            if not samples.shape[1]:
                if ended:
                    break
                continue
            if cutter is None or start != expected:
                yield from cutter.flush() if cutter is not None else ()
                cutter = SegmentCutter(stream.rate_hz, self._chunk_samples, self._place(stream, start))
            expected = start + samples.shape[1]
            yield from cutter.process(samples)
        if cutter is not None:
            yield from cutter.flush()

    def _place(self, stream: InputStream, start: int) -> int:
        """Place at 16 kHz of a sample of a stream, by the clock; never before what was given already."""
        first_at_s = stream.first_at_s if stream.first_at_s is not None else time.monotonic()
        if self._began_at_s is None:
            self._began_at_s = first_at_s
        since_s = first_at_s - self._began_at_s + start / stream.rate_hz
        return max(self._next_sample, round(since_s * SAMPLE_RATE_HZ))

    def _capture(self) -> None:
        """The capture thread; whatever goes wrong is kept for the others."""
        stop, ready, streams = self._stop, self._ready, self._streams
        pulse = PulseWatch()
        try:
            self._supervise(load_sounddevice(), pulse, stop, ready)
        except BaseException as error:
            if not stop.is_set():
                self._failure = error
        finally:
            pulse.close()
            if self._stream is not None:
                self._stream.close()
            ready.set()
            streams.put(None)

    def _supervise(self, sounddevice: Any, pulse: PulseWatch, stop: threading.Event, ready: threading.Event) -> None:
        stream = self._connect(sounddevice, pulse)
        ready.set()
        while not stop.is_set():
            trouble = self._watch(stream, pulse, stop)
            stream.close()
            self._dropped_s, self._stream = self.dropped_s, None
            if stop.is_set():
                return
            self._enter(CaptureState.RECONNECTING, f"{trouble}; opening {self.name} again")
            reopened = self._reconnect(sounddevice, pulse, stop)
            if reopened is None:
                return
            stream = reopened

    def _connect(self, sounddevice: Any, pulse: PulseWatch) -> InputStream:
        """Open the device and check that it is the one that was asked for.

        Raises
        ------
        DeviceError
            When it is not there, has one channel, or the sound server gives another one.
        """
        pulse.start()
        device = find_input(list_inputs(sounddevice), self._device)
        stream = InputStream(sounddevice, device, self._settings)
        stream.open()
        try:
            self._check_attached(pulse)
        except DeviceError:
            stream.close()
            raise
        pulse.changed()  # our own coming
        stream.rest(self._resting)
        self._stream = stream
        self._streams.put(stream)
        return stream

    def _check_attached(self, pulse: PulseWatch) -> None:
        source = None
        for _ in range(_ATTACH_TRIES if pulse.watching else 0):
            source = attached_source(os.getpid())
            if source is not None:
                break
            time.sleep(_ATTACH_WAIT_S)
        if source is None:
            return
        if source.channels == 1:
            raise DeviceError(
                f"{source.description}: one channel only; a direction needs two ears, choose a stereo input"
            )
        if self._device is not None and self._heard_from is not None and self._heard_from.name != source.name:
            raise DeviceError(f"the sound server gives {source.description} instead")
        self._heard_from = source

    def _reconnect(self, sounddevice: Any, pulse: PulseWatch, stop: threading.Event) -> InputStream | None:
        """Try until the device is back; None when closed meanwhile."""
        wait_s = self._settings.first_wait_s
        while not stop.wait(wait_s):
            try:
                restart(sounddevice)
                return self._connect(sounddevice, pulse)
            except (DeviceError, sounddevice.PortAudioError) as error:
                self._enter(CaptureState.RECONNECTING, f"waiting for {self.name}: {error}")
            wait_s = min(2 * wait_s, self._settings.longest_wait_s)
        return None

    def _watch(self, stream: InputStream, pulse: PulseWatch, stop: threading.Event) -> str:
        """Follow the state of a stream; returns why it must be opened again, or "" when closed."""
        while not stop.wait(self._watch_wait_s):
            found = judge(stream.vitals(), self._state, self._settings)
            if found.state is not self._state:
                hearing = found.state is CaptureState.LISTENING
                self._enter(found.state, self._hearing_words(stream) if hearing else found.text)
            if found.reopen:
                return found.text
            if pulse.changed() and (elsewhere := self._moved()):
                return elsewhere
        return ""

    @property
    def _watch_wait_s(self) -> float:
        calm = self._state is CaptureState.LISTENING
        return self._settings.calm_watch_s if calm else self._settings.watch_s

    def _moved(self) -> str:
        """Where the sound server has moved the stream; "" when it has not."""
        source = attached_source(os.getpid())
        if source is None or self._heard_from is None or self._heard_from.name == source.name:
            return ""
        return f"the sound server moved the recording to {source.description}"

    def _hearing_words(self, stream: InputStream) -> str:
        known = self._heard_from
        return f"hearing {stream.device.name}{f' ({known.description})' if known else ''} at {stream.rate_hz} Hz"

    def _enter(self, state: CaptureState, text: str) -> None:
        """Change the state and tell; the same state is told again only with another text."""
        if (state, text) == (self._state, self._state_text):
            return
        self._state, self._state_text = state, text
        since_s = 0.0 if self._began_at_s is None else time.monotonic() - self._began_at_s
        if self.on_event is not None:
            self.on_event(CaptureEvent(state, text, since_s))
