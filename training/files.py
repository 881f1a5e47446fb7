"""Files that training writes: each is there whole or not at all, and a full disk is an `OSError` that says so.

numpy, libsndfile and safetensors tell of a full disk in words of their own, without its number; so bytes are made by them
and written here.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

_waiting: ContextVar[list[Path] | None] = ContextVar("waiting", default=None)


@contextmanager
def together() -> Iterator[None]:
    """Files that are replaced within stay beside their places until all are written: a kill or a full disk leaves the old ones.

    Places of this block are not to be read within it.
    """
    waiting: list[Path] = []
    token = _waiting.set(waiting)
    try:
        yield
        for path in waiting:
            _part(path).replace(path)
    finally:
        _waiting.reset(token)
        for path in waiting:
            _part(path).unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file beside its place and move it there at once, or with others (`together`); of a failure nothing is left."""
    part, waiting = _part(path), _waiting.get()
    try:
        write(part)
        if waiting is None:
            part.replace(path)
        elif path not in waiting:
            waiting.append(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        raise _numbered(error) from error


def replace_text(path: Path, text: str) -> None:
    """Write a text file as `replace_file` does."""
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def replace_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file as `replace_file` does."""

    def write(part: Path) -> None:
        with part.open("wb") as file:
            begin_array(file, array.shape, array.dtype)
            file.write(np.ascontiguousarray(array).tobytes())

    replace_file(path, write)


def begin_array(file: BinaryIO, shape: tuple[int, ...], dtype: Any) -> None:
    """Write the head of a ``.npy`` file, whose values follow in order."""
    head = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)


def replace_sound(path: Path, samples: NDArray[np.floating], rate_hz: int) -> None:
    """Write samples [channels, n] as 16-bit WAV as `replace_file` does."""
    sound = io.BytesIO()
    soundfile.write(sound, samples.T, rate_hz, subtype="PCM_16", format="WAV")
    replace_file(path, lambda part: part.write_bytes(sound.getbuffer()))


def _numbered(error: BaseException) -> BaseException:
    """The error; one that names an error of the system in its text only, as safetensors do, as that `OSError`."""
    named = None if isinstance(error, OSError) else re.search(r"\(os error (\d+)\)", str(error))
    number = int(named[1]) if named else 0
    return OSError(number, os.strerror(number)) if number in errno.errorcode else error
