"""A look at the first bytes of an audio file: what it is, and whether it is as long as it says.

libsndfile takes a cut WAV for a shorter one without a word and reads formats that were never meant; both
would lead to answers about sound that is not there. So the container is looked at before libsndfile opens it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from earshot.runtime.errors import InputError

_UNKNOWN_SIZE = 0xFFFFFFFF
"""A WAV written to a pipe, or (RF64) one whose size stands in its `ds64` chunk."""
_MAX_CHUNKS = 4096
"""More chunks than this before the samples is no recording."""

_HINTS: tuple[tuple[bytes, str], ...] = (
    (b"ID3", "MP3"),
    (b"\xff\xfb", "MP3"),
    (b"FORM", "AIFF"),
    (b"caff", "CAF"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
)


def check_container(path: Path) -> None:
    """Require a WAV, FLAC or OGG container, and of a WAV that all its samples are there.

    Raises
    ------
    InputError
        For an empty file, other content (whatever the name says) and a cut WAV.
    """
    if path.suffix.lower() == ".raw":  # libsndfile would ask for a rate and a sample type
        raise InputError(f"{path}: .raw means samples without a header, no audio file; convert it to WAV or FLAC")
    with path.open("rb") as file:
        check_content(file, path.stat().st_size, str(path))


def check_content(file: BinaryIO, size: int, name: str) -> None:
    """Like `check_container`, for an open file of `size` bytes that messages call `name`."""
    head = file.read(12)
    if not head:
        raise InputError(f"{name}: empty, 0 bytes; give at least 20 ms of sound")
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        _check_wav(name, file, size, ">" if head[:4] == b"RIFX" else "<")
    elif head[:4] not in (b"fLaC", b"OggS"):
        raise InputError(f"{name}: {_content(head)}, whatever its name says; convert it to WAV, FLAC or OGG")


def _content(head: bytes) -> str:
    for magic, what in _HINTS:
        if head.startswith(magic):
            return f"holds {what}"
    return "holds MP4" if head[4:8] == b"ftyp" else "holds no audio that can be read"


def _check_wav(name: str, file: BinaryIO, file_size: int, order: str) -> None:
    """Walk the RIFF chunks to the samples (`data`) and compare the promise with the file.

    Layout: Microsoft RIFF, and EBU Tech 3306 (RF64 with 64-bit sizes in `ds64`).
    """
    wide_size: int | None = None
    for _ in range(_MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            raise InputError(f"{name}: truncated, ends before its samples; copy or export the file again")
        chunk, promised = struct.unpack(f"{order}4sI", header)
        if chunk == b"ds64":
            wide_size = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
            file.seek(promised - 16, 1)
        elif chunk == b"data":
            _check_promise(name, file_size - file.tell(), promised, wide_size)
            return
        else:
            file.seek(promised + promised % 2, 1)
    raise InputError(f"{name}: no samples in its first {_MAX_CHUNKS} chunks; export the recording again")


def _check_promise(name: str, present: int, promised: int, wide_size: int | None) -> None:
    if promised == _UNKNOWN_SIZE:
        if wide_size is None:
            return
        promised = wide_size
    if promised > present:
        what = f"promises {promised} bytes of samples but holds {present}"
        raise InputError(f"{name}: truncated, {what}; copy or export the file again")
