"""A teacher's embeddings: written for every clip, read as unit vectors, imitated where its clips sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from earshot.runtime.errors import InputError
from earshot.training.models.aisfx import BLOCK, MELS, SoundEffects, log_mel, loudest_blocks
from earshot.training.stages.hearing_loss import taught_loss
from earshot.training.stages.remix import Batch
from earshot.training.stages.teacher import Teacher, embed_clips
from earshot.training.synthesis.events import Clip, ProceduralLibrary


class TwoTones:
    """A library of tones, one clip a class."""

    def keys(self) -> list[str]:
        return [f"tone{n}" for n in range(20)]

    def clips(self, key: str) -> list[Clip]:
        return [Clip(key, f"{key}/a.flac", key, Path(f"{key}/a.flac")), Clip(key, f"{key}/rule", key, None)]

    def samples(self, clip: Clip, rng: np.random.Generator) -> np.ndarray:
        return np.sin(np.arange(4000) * 0.02 * (1 + int(clip.key[4:]))).astype(np.float32)


def spectrum(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    return np.log1p(np.abs(np.fft.rfft(samples))[:1000].reshape(100, 10).sum(1)).astype(np.float32)


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    assert embed_clips(TwoTones(), spectrum, tmp_path / "clips.npz", lambda done, of: None) == 20
    return Teacher(tmp_path / "clips.npz", dimensions=8)


def test_recordings_are_unit_vectors_and_others_unknown(teacher: Teacher) -> None:
    assert np.linalg.norm(teacher("tone3/a.flac")) == pytest.approx(1.0, abs=1e-5)
    assert not teacher("tone3/rule").any()
    assert not teacher(None).any()


def test_the_file_has_the_name_that_was_wanted(tmp_path: Path) -> None:
    embed_clips(TwoTones(), spectrum, tmp_path / "clips", lambda done, of: None)
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]
    assert Teacher(tmp_path / "clips", dimensions=8)("tone3/a.flac").any()


def test_without_recordings_there_is_nothing_to_embed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clip is a recording"):
        embed_clips(ProceduralLibrary(range(2)), spectrum, tmp_path / "clips.npz", lambda done, of: None)


def test_what_sounds_alike_is_near(teacher: Teacher) -> None:
    near, far = (float(teacher("tone5/a.flac") @ teacher(f"tone{n}/a.flac")) for n in (6, 18))
    assert near > far + 0.2


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_another_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clips.npz").write_bytes(content)
    with pytest.raises(InputError, match="not the embeddings of a teacher"):
        Teacher(tmp_path / "clips.npz")


def test_too_few_clips_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "clips.npz", clip=["a", "b"], embedding=np.ones((2, 4)))
    with pytest.raises(InputError, match="do not belong together"):
        Teacher(tmp_path / "clips.npz")


def test_saying_what_the_teacher_says_costs_nothing_and_the_opposite_most() -> None:
    taught = torch.zeros(1, 3, 4)
    taught[0, 0, 1] = 1.0
    batch = Batch(
        **{name: torch.zeros(1) for name in ("audio", "queries", "present", "event", "azimuth_deg", "direction")},
        active=torch.ones(1, 3, 5), share=torch.tensor([0.8, 0.1, 0.1])[None, :, None, None].expand(1, 3, 5, 8),
        log_distance=torch.zeros(1), log_t60=torch.zeros(1), taught=taught,
    )  # fmt: skip
    right = taught[:, :1].expand(1, 5, 4)
    assert float(taught_loss(right, batch)) == pytest.approx(0.0, abs=1e-5)
    assert float(taught_loss(-right, batch)) == pytest.approx(2.0 * 5 / 6, abs=1e-4)


def test_blocks_of_a_short_sound_are_filled_with_silence() -> None:
    rng = np.random.default_rng(0)
    short, long = (log_mel(rng.normal(size=n), 16_000) for n in (8_000, 96_000))
    assert loudest_blocks(short).shape == (1, BLOCK, MELS)
    assert loudest_blocks(long).shape == (2, BLOCK, MELS)
    assert SoundEffects().eval()(loudest_blocks(short)).shape == (1, 512)
