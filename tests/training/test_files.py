"""Files of training are there whole or not at all, and a full disk is said as such whoever wrote."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earshot.training.files import replace_array, replace_file, replace_sound, replace_text, together
from earshot.training.models.weights import save_tensors
from tests.no_room import no_room


def test_an_array_is_what_numpy_would_have_written(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float16).reshape(2, 3, 4)[:, ::-1]
    expected = io.BytesIO()
    np.save(expected, np.ascontiguousarray(array))
    replace_array(tmp_path / "a.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()


def test_a_sound_is_a_wav_file_of_16_bits(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 800))
    replace_sound(tmp_path / "a.wav", samples, 16_000)
    read, rate_hz = soundfile.read(tmp_path / "a.wav")
    assert rate_hz == 16_000 and soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"
    np.testing.assert_allclose(read.T, samples, atol=1e-4)


def failing_after(part: bytes, error: Exception) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(part)
        raise error

    return write


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("whole")
    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "kept", failing_after(b"ha", KeyboardInterrupt()))  # type: ignore[arg-type]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"kept": "whole"}


def test_a_full_disk_that_a_library_tells_of_in_words_has_its_number(tmp_path: Path) -> None:
    told = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(OSError) as caught:
        replace_file(tmp_path / "a", failing_after(b"", told))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("kind", ["array", "sound", "weights"])
def test_a_full_disk_is_said_and_leaves_what_was_there(kind: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("whole")
    many = np.zeros((2, 40_000), np.float32)
    with no_room(50_000):
        if kind == "array":
            replace_array(tmp_path / "kept", many)
        elif kind == "sound":
            replace_sound(tmp_path / "kept", many, 16_000)
        else:
            save_tensors({"a": torch.from_numpy(many)}, tmp_path / "kept")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"kept": "whole"}


def test_files_that_belong_together_are_all_new_or_all_old(tmp_path: Path) -> None:
    for name in ("weights", "state"):
        replace_text(tmp_path / name, "old")
    with pytest.raises(OSError, match="No space left"), together():
        replace_text(tmp_path / "weights", "new")
        replace_file(tmp_path / "state", failing_after(b"ha", OSError(errno.ENOSPC, "No space left on device")))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"weights": "old", "state": "old"}
    with together():
        replace_text(tmp_path / "weights", "new")
        assert (tmp_path / "weights").read_text() == "old", "not before the other one is there"
        replace_text(tmp_path / "state", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"weights": "new", "state": "new"}
    replace_text(tmp_path / "weights", "alone")
    assert (tmp_path / "weights").read_text() == "alone"
