"""FileSource: any WAV, FLAC or OGG becomes the same 16 kHz chunks; the unusable is refused in one line."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import InputError, UsageError


def tones(rate_hz: int, seconds: float, left_hz: float = 440.0, right_hz: float = 1000.0) -> np.ndarray:
    """Two tones, [frames, 2]."""
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return 0.5 * np.stack([np.sin(2 * np.pi * left_hz * t), np.sin(2 * np.pi * right_hz * t)], axis=1)


def heard(source: FileSource) -> np.ndarray:
    """All samples of a source, [2, n]."""
    with source:
        return np.concatenate([chunk.samples for chunk in source], axis=1)


def refusal(path: Path | str, **settings: object) -> str:
    """The message with which reading the file to its end is refused."""
    with pytest.raises(InputError) as caught:
        heard(FileSource(path, **settings))
    message = str(caught.value)
    assert "\n" not in message
    assert Path(path).name[:20] in message
    assert caught.value.exit_code == 3
    return message


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_every_rate_and_container_arrives_as_16_khz(tmp_path: Path, rate_hz: int, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, tones(rate_hz, 1.0), rate_hz)
    samples = heard(FileSource(path))
    assert samples.dtype == np.float32
    assert samples.shape == (2, 16000)
    spectrum = np.abs(np.fft.rfft(samples[:, 4000:12000] * np.hanning(8000), axis=1))
    assert np.argmax(spectrum[0]) * 2 == pytest.approx(440, abs=2)
    assert np.argmax(spectrum[1]) * 2 == pytest.approx(1000, abs=2)


def test_16_khz_samples_are_untouched(tmp_path: Path) -> None:
    written = np.random.default_rng(1).uniform(-1, 1, (5000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", written, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(heard(FileSource(tmp_path / "a.wav")), written.T)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_name_that_is_no_utf_8_is_a_name(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    written = np.zeros((4000, 2), np.float32)
    with path.open("wb") as file:
        soundfile.write(file, written, 16000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(heard(FileSource(path)), written.T)


def test_chunks_follow_each_other_with_true_times(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(48000, 0.21), 48000)
    with FileSource(tmp_path / "a.wav", chunk_samples=640) as source:
        assert source.duration_s == pytest.approx(0.21)
        chunks = list(source)
    assert [c.samples.shape[1] for c in chunks] == [640] * 5 + [160]
    assert [c.start_s for c in chunks] == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16, 0.20])
    assert chunks[-1].end_s == pytest.approx(0.21)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    block=st.integers(1, 9000),
    chunk=st.integers(1, 3000),
    rate_hz=st.sampled_from([8000, 16000, 44100, 48000]),
)
def test_no_result_depends_on_block_or_chunk_size(tmp_path: Path, block: int, chunk: int, rate_hz: int) -> None:
    path = tmp_path / f"{rate_hz}.flac"
    if not path.exists():
        soundfile.write(path, np.random.default_rng(2).uniform(-0.5, 0.5, (4321, 2)), rate_hz)
    expected = heard(FileSource(path))
    np.testing.assert_array_equal(heard(FileSource(path, block_frames=block, chunk_samples=chunk)), expected)


def test_opening_again_starts_from_the_beginning(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", tones(44100, 0.5), 44100)
    source = FileSource(tmp_path / "a.flac")
    with source:
        next(iter(source))
    first = heard(source)
    np.testing.assert_array_equal(heard(source), first)


def test_construction_never_fails_and_reading_needs_open() -> None:
    source = FileSource("/nonexistent/\0/file.wav", chunk_samples=-1, pace="backwards", speed=-1)  # type: ignore[arg-type]
    assert isinstance(source, AudioSource)
    with pytest.raises(UsageError, match="not open"):
        next(iter(source))
    source.close()
    source.close()


@pytest.mark.parametrize("setting", [{"pace": "slow"}, {"speed": 0.0}, {"speed": float("nan")}, {"chunk_samples": 0}])
def test_impossible_settings_are_wrong_use(tmp_path: Path, setting: dict[str, object]) -> None:
    soundfile.write(tmp_path / "a.wav", tones(16000, 0.1), 16000)
    with pytest.raises(UsageError):
        FileSource(tmp_path / "a.wav", **setting).open()  # type: ignore[arg-type]


def test_true_time_is_kept_and_can_be_sped_up(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(16000, 1.0), 16000)
    started = time.monotonic()
    heard(FileSource(tmp_path / "a.wav", pace="real", speed=4.0))
    assert 0.24 <= time.monotonic() - started < 0.6


def test_close_from_another_thread_ends_a_wait(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(16000, 60.0), 16000)
    source = FileSource(tmp_path / "a.wav", pace="real", chunk_samples=16000 * 30)
    source.open()
    threading.Timer(0.1, source.close).start()
    started = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - started < 5


def test_mono_is_told_why_two_ears_are_needed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "m.wav", tones(16000, 1.0)[:, 0], 16000)
    message = refusal(tmp_path / "m.wav")
    assert "mono" in message
    assert "two ears" in message


@pytest.mark.parametrize("channels", [3, 4, 6])
def test_more_than_two_channels_are_refused(tmp_path: Path, channels: int) -> None:
    soundfile.write(tmp_path / "s.wav", np.zeros((16000, channels)), 16000)
    assert f"{channels} channels" in refusal(tmp_path / "s.wav")


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite"), (1e30, "large")]
)
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, value: float, word: str) -> None:
    x = tones(16000, 3.0).astype(np.float32)
    x[40000, 1] = value
    soundfile.write(tmp_path / "n.wav", x, 16000, subtype="FLOAT")
    assert word in refusal(tmp_path / "n.wav")


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("frames", [0, 1, 319])
def test_too_short_is_refused(tmp_path: Path, kind: str, frames: int) -> None:
    path = tmp_path / f"e.{kind}"
    soundfile.write(path, np.full((frames, 2), 0.1), 16000)
    assert "20 ms" in refusal(path)


def test_20_ms_are_enough(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "e.wav", np.full((320, 2), 0.1), 16000)
    assert heard(FileSource(tmp_path / "e.wav")).shape == (2, 320)


@pytest.mark.parametrize("kind", ["wav", "flac"])
@pytest.mark.parametrize("keep", [0.999, 0.7, 0.3])
def test_a_truncated_file_is_refused_when_opened(tmp_path: Path, kind: str, keep: float) -> None:
    path = tmp_path / f"t.{kind}"
    soundfile.write(path, np.random.default_rng(3).uniform(-0.5, 0.5, (48000, 2)), 48000)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match="truncated"):
        FileSource(path).open()
    refusal(path)


def test_a_wav_cut_in_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.wav"
    soundfile.write(path, tones(16000, 0.1), 16000)
    whole = path.read_bytes()
    for keep in (1, 4, 11, 12, 20, 36, 43):
        path.write_bytes(whole[:keep])
        refusal(path)


def test_a_flac_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.flac"
    soundfile.write(path, np.random.default_rng(4).uniform(-0.5, 0.5, (48000, 2)), 48000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 5000] = bytes(5000)
    path.write_bytes(bytes(data))
    assert "d.flac" in refusal(path)


def test_a_wav_written_to_a_pipe_has_no_promise_to_break(tmp_path: Path) -> None:
    path = tmp_path / "p.wav"
    soundfile.write(path, tones(16000, 0.5), 16000, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(bytes(data))
    assert heard(FileSource(path)).shape == (2, 8000)


def test_rf64_is_read_and_its_wide_size_believed(tmp_path: Path) -> None:
    path = tmp_path / "big.wav"
    soundfile.write(path, tones(16000, 0.5), 16000, format="RF64")
    assert heard(FileSource(path)).shape == (2, 8000)
    path.write_bytes(path.read_bytes()[:-400])
    assert "truncated" in refusal(path)


@pytest.mark.parametrize("name", ["notes.wav", "notes.flac", "notes.ogg", "notes.raw", "notes"])
def test_text_under_an_audio_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("this is not audio\n" * 100)
    assert "no audio" in refusal(tmp_path / name)


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", tones(16000, 0.5), 16000)
    for name in ("b.wav", "b.aiff", "b.bin", "b"):
        (tmp_path / name).write_bytes((tmp_path / "a.flac").read_bytes())
        assert heard(FileSource(tmp_path / name)).shape == (2, 8000)


def test_containers_that_are_not_supported_are_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.aiff", tones(16000, 0.5), 16000)
    assert "AIFF" in refusal(tmp_path / "a.aiff")
    soundfile.write(tmp_path / "a.mp3", tones(44100, 0.5), 44100)
    assert "convert" in refusal(tmp_path / "a.mp3")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(magic=st.sampled_from([b"", b"RIFF\x24\0\0\0WAVE", b"fLaC", b"OggS"]), rest=st.binary(max_size=300))
def test_rubbish_is_always_an_input_error(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(magic + rest)
    refusal(tmp_path / "x.wav")


def test_missing_directory_and_unreadable_paths_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "missing.wav")
    (tmp_path / "folder.wav").mkdir()
    assert "directory" in refusal(tmp_path / "folder.wav")
    refusal(tmp_path / ("x" * 5000))
    with pytest.raises(InputError):
        FileSource("a\0b.wav").open()
    with pytest.raises(InputError, match="regular file"):
        FileSource("/dev/null").open()


def test_silence_is_not_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "z.wav", np.zeros((16000, 2)), 16000)
    assert not heard(FileSource(tmp_path / "z.wav")).any()


def test_a_long_file_is_not_loaded_into_memory(tmp_path: Path) -> None:
    """20 minutes at 48 kHz would be 460 MB in floats."""
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 48000, 2, format="FLAC") as file:
        for _ in range(20):
            file.write(np.zeros((48000 * 60, 2), dtype=np.float32))
    code = (
        "import resource, sys\n"
        "from earshot.runtime.audio.file import FileSource\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with FileSource(sys.argv[1], chunk_samples=16000) as source:\n"
        "    n = sum(c.samples.shape[1] for c in source)\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    samples, grown_kb = map(int, out.split())
    assert samples == 20 * 60 * 16000
    assert grown_kb < 60_000
