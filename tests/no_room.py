"""A disk that is full, for tests: the system refuses files that grow beyond a size, as it refuses them on a full disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_room(most_bytes: int, said: type[Exception] = OSError) -> Iterator[None]:
    """Every file that is written within stops at `most_bytes`; an `OSError` that says so must come of it, or another error."""
    resource = pytest.importorskip("resource", reason="needs limits of POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        with pytest.raises(said) as caught:
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if isinstance(caught.value, OSError):
        assert caught.value.errno == errno.EFBIG, repr(caught.value)
