"""Sound from a file, through exactly the path that live sound takes.

WAV, FLAC and OGG of any rate and length are read block by block, so that eight hours need no more memory than
eight seconds. Anything that would be read as something else than what was recorded is refused, in one line.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from earshot.runtime.audio import checks
from earshot.runtime.audio.container import check_container
from earshot.runtime.audio.source import DEFAULT_CHUNK_SAMPLES, PaceName, Samples, SteadySource
from earshot.runtime.errors import InputError

_UNKNOWN_FRAMES = 1 << 62
"""libsndfile's "no idea how long" is 2^63 - 1."""


class FileSource(SteadySource):
    """A binaural WAV, FLAC or OGG file.

    Parameters
    ----------
    path : path-like
    chunk_samples : int
        Length of the chunks at 16 kHz.
    pace : {"fast", "real"}
        As fast as the consumer, or as it would have been heard.
    speed : float
        Factor on true time for pace "real".
    block_frames : int
        Frames read from disk at a time; no result depends on it.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        chunk_samples: int = DEFAULT_CHUNK_SAMPLES,
        pace: PaceName = "fast",
        speed: float = 1.0,
        block_frames: int = 16384,
    ) -> None:
        super().__init__(chunk_samples, pace, speed)
        self._path = Path(path)
        self._block_frames = block_frames
        self._file: Any = None
        self._duration_s: float | None = None
        self._lock = threading.Lock()  # close() may come from another thread in the middle of a read

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self._path)

    @property
    def duration_s(self) -> float | None:
        """Length in seconds by the header; None before `open()` or when the header does not say."""
        return self._duration_s

    def _acquire(self) -> int:
        _check_regular_file(self._path)
        check_container(self._path)
        try:
            # As bytes: a name need not be UTF-8.
            file = soundfile.SoundFile(os.fsencode(self._path) if os.name == "posix" else str(self._path))
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.name}: cannot be read as audio ({_reason(error)}); WAV, FLAC and OGG work"
            ) from error
        try:
            _check_header(file, self.name)
        except BaseException:
            file.close()
            raise
        self._file = file
        rate_hz = int(file.samplerate)
        self._duration_s = file.frames / rate_hz if file.frames < _UNKNOWN_FRAMES else None
        return rate_hz

    def _blocks(self) -> Iterator[Samples]:
        done, rate_hz = 0, int(self._file.samplerate)
        promised = int(self._file.frames)
        self._file.seek(0)
        while (block := self._read(done / rate_hz)) is not None and len(block):
            done += len(block)
            yield np.ascontiguousarray(block.T)
        if block is not None and done < promised < _UNKNOWN_FRAMES:
            raise _truncated(self.name, done / rate_hz, promised / rate_hz)

    def _read(self, at_s: float) -> Samples | None:
        """Read the next block, float32 [n, 2]; None once closed."""
        with self._lock:
            if self._file is None:
                return None
            try:
                block: Samples = self._file.read(self._block_frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise InputError(
                    f"{self.name}: damaged at {at_s:.1f} s ({_reason(error)}); copy or export the file again"
                ) from error
            return block

    def _release(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def _check_regular_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory; give one audio file (WAV, FLAC or OGG)")
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path")
        if not path.is_file():
            raise InputError(f"{path}: not a regular file; give a WAV, FLAC or OGG file")
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise InputError(f"{path}: may not be read; change its permissions (chmod +r)") from error
    except (OSError, ValueError) as error:  # for example a name too long, or with a NUL
        reason = errno.errorcode.get(getattr(error, "errno", None) or 0, str(error))
        raise InputError(f"{str(path)[:200]!r}: cannot be opened ({reason}); check the path") from error


def _check_header(file: Any, name: str) -> None:
    checks.check_channels(int(file.channels), name)
    checks.check_rate(int(file.samplerate), name)
    if file.frames < _UNKNOWN_FRAMES:
        checks.check_length(int(file.frames), int(file.samplerate), name)
        _check_last_frame(file, name)


def _check_last_frame(file: Any, name: str) -> None:
    """Reach for the promised last frame, so that a cut FLAC is refused at once and not after hours."""
    rate_hz = int(file.samplerate)
    try:
        file.seek(file.frames - 1)
        found = len(file.read(1))
        file.seek(0)
    except soundfile.LibsndfileError:
        found = 0
    if not found:
        raise _truncated(name, None, file.frames / rate_hz)


def _truncated(name: str, found_s: float | None, promised_s: float) -> InputError:
    found = "holds less" if found_s is None else f"ends at {found_s:.2f} s"
    return InputError(f"{name}: truncated, promises {promised_s:.2f} s but {found}; copy or export the file again")


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", "") or error) or "damaged data"
    return text.splitlines()[0].rstrip(".")
