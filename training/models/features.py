"""Torch twin of ``earshot.runtime.hearing.features`` for batches; a test holds the two together to 1e-4."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earshot.runtime.hearing.features import (
    FRAME_SAMPLES,
    HOP_SAMPLES,
    MAX_LEVEL_RATIO,
    POWER_FLOOR,
    WINDOW_SAMPLES,
    mel_filterbank,
)


class BinauralFeatures(nn.Module):
    """Waveforms [batch, 2, samples] -> features [batch, 8, samples // 640, 64]; see docs/architecture.md."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES, periodic=True), persistent=False)
        self.register_buffer("mel", torch.from_numpy(mel_filterbank().copy()).T.contiguous(), persistent=False)

    window: Tensor
    mel: Tensor

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """Compute the features of whole clips; a rest shorter than one encoder frame is dropped."""
        batch, ears, count = samples.shape
        frames = count // FRAME_SAMPLES
        used = torch.nn.functional.pad(
            samples[..., : frames * FRAME_SAMPLES], (WINDOW_SAMPLES - HOP_SAMPLES, 0)
        ).reshape(batch * ears, -1)
        spectra = torch.stft(
            used, WINDOW_SAMPLES, HOP_SAMPLES, window=self.window, center=False, return_complex=True
        ).transpose(1, 2)
        spectra = spectra.reshape(batch, 2, frames * 2, -1)
        left, right = spectra[:, 0], spectra[:, 1]
        power_left = (left.real**2 + left.imag**2) @ self.mel
        power_right = (right.real**2 + right.imag**2) @ self.mel
        cross = left * right.conj()
        scale = torch.sqrt(power_left * power_right) + POWER_FLOOR
        level = torch.log10((power_left + power_right) / 2 + POWER_FLOOR)
        ratio = torch.log10((power_left + POWER_FLOOR) / (power_right + POWER_FLOOR))
        channels = [
            level,
            ratio.clamp(-MAX_LEVEL_RATIO, MAX_LEVEL_RATIO),
            (cross.real.contiguous() @ self.mel) / scale,
            (cross.imag.contiguous() @ self.mel) / scale,
        ]
        stacked = torch.stack(channels, dim=2)  # [batch, stft frames, 4, 64]
        return stacked.reshape(batch, frames, 8, -1).transpose(1, 2)
