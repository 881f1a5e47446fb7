"""A recording that was sent: read from memory, so that no sound of a stranger ever touches the disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

from earshot.runtime.audio import checks
from earshot.runtime.audio.container import check_content
from earshot.runtime.audio.source import Samples, SteadySource
from earshot.runtime.errors import InputError

_CHUNK_SAMPLES = 16 * 640
_BLOCK_FRAMES = 16384
_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG")


class UploadSource(SteadySource):
    """A WAV, FLAC or OGG file in memory.

    Parameters
    ----------
    data : bytes
    longest_s : float
        What is longer by its header is refused when it is opened.
    """

    def __init__(self, data: bytes, longest_s: float) -> None:
        super().__init__(_CHUNK_SAMPLES, "fast", 1.0)
        self._data = data
        self._longest_s = longest_s
        self._file: Any = None

    @property
    def name(self) -> str:
        """What a message calls it."""
        return "the recording"

    @property
    def duration_s(self) -> float | None:
        """Length in seconds by the header; None before `open()`."""
        return None if self._file is None else self._file.frames / self._file.samplerate

    def _acquire(self) -> int:
        try:
            file = soundfile.SoundFile(io.BytesIO(self._data))
        except (soundfile.LibsndfileError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{self.name}: cannot be read as audio; WAV, FLAC and OGG work") from error
        try:
            if file.format not in _FORMATS:
                raise InputError(f"{self.name}: {file.format} is not read here; WAV, FLAC and OGG work")
            check_content(io.BytesIO(self._data), len(self._data), self.name)
            checks.check_channels(int(file.channels), self.name)
            checks.check_rate(int(file.samplerate), self.name)
            checks.check_length(int(file.frames), int(file.samplerate), self.name)
            if file.frames > self._longest_s * file.samplerate:
                raise InputError(f"{self.name}: longer than {self._longest_s:g} s; send a shorter one")
        except BaseException:
            file.close()
            raise
        self._file = file
        return int(file.samplerate)

    def _blocks(self) -> Iterator[Samples]:
        done, promised = 0, int(self._file.frames)
        while len(block := self._read()):
            done += len(block)
            yield np.ascontiguousarray(block.T)
        if done < promised:
            raise InputError(f"{self.name}: truncated; send the whole file")

    def _read(self) -> Samples:
        try:
            block: Samples = self._file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise InputError(f"{self.name}: damaged; export it again") from error
        return block

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
