"""aiSFX, a network that learned the names of professional sound effects, as a teacher of what training clips are like.

Ma and Lerch, "Representation Learning for the Automatic Indexing of Sound Effects Libraries", ISMIR 2022; weights under CC BY 4.0,
in the package `aisfx` (install it without its dependencies: `pip install --no-deps aisfx`). Its libraries are commercial
sound effects; none of the sets that clips of this project come from is among them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earshot.runtime.errors import InputError

SAMPLE_RATE_HZ = 44_100
WINDOW, HOP, MELS = 2048, 1024, 96
BLOCK = 100
"""Frames of a block, 2.3 s."""
LARGEST = 9.457798957824707
"""Of the logarithmic spectra that the network was trained on."""
BLOCKS = 2


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class SoundEffects(nn.Module):
    """Blocks of log-mel spectra [B, 100, 96] -> embeddings [B, 512], none negative."""

    def __init__(self) -> None:
        super().__init__()
        for number, (before, after) in enumerate(((1, 64), (64, 128), (128, 256), (256, 512)), 1):
            self.add_module(f"conv_block{number}", _Block(before, after))

    @torch.no_grad()
    def forward(self, blocks: Tensor) -> Tensor:
        """Mean over bands, maximum over time."""
        x = blocks[:, None]
        for number in range(1, 5):
            x = self.get_submodule(f"conv_block{number}")(x)
            x = nn.functional.max_pool2d(x, 2) if number < 4 else x
        return x.mean(dim=3).amax(dim=2)


def load_sound_effects() -> SoundEffects:
    """The network with the weights of the installed package.

    Raises
    ------
    InputError
        The package is not installed.
    """
    found = find_spec("aisfx")
    if found is None or found.origin is None:
        raise InputError("the teacher's weights are in the package aisfx: pip install --no-deps aisfx")
    path = Path(found.origin).parent / "models" / "checkpoint.pth"
    # Beside the weights the file holds counts of classes as numpy numbers, under the name that their module had then.
    scalar: Any = np.int64(0).__reduce__()[0]
    number = (scalar, "numpy.core.multiarray.scalar")
    with torch.serialization.safe_globals([number, np.dtype, np.dtypes.Int64DType]):
        weights, _ = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "embedding_net."
    network = SoundEffects()
    network.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
    return network.eval()


def embedder() -> Callable[[NDArray[np.floating], int], NDArray[np.float32]]:
    """Mono samples and their rate -> embedding [512]: mean over the loudest blocks, compressed as spectra are."""
    network = load_sound_effects()

    def embed(samples: NDArray[np.floating], rate_hz: int) -> NDArray[np.float32]:
        mean = network(loudest_blocks(log_mel(samples, rate_hz))).mean(dim=0)
        return np.asarray(np.log1p(100.0 * mean.numpy()), np.float32)

    return embed


def log_mel(samples: NDArray[np.floating], rate_hz: int) -> NDArray[np.float32]:
    """Log-mel spectrum [frames, 96] of mono samples, scaled as the network was trained (its own "essentia" settings)."""
    at_rate = soxr.resample(np.asarray(samples, np.float32), rate_hz, SAMPLE_RATE_HZ)
    at_rate = at_rate / max(1e-9, float(np.abs(at_rate).max(initial=0.0)))
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(torch.from_numpy(at_rate), WINDOW, HOP, window=window, return_complex=True).abs() ** 2
    return np.asarray(np.log10(_filters() @ spectrum.numpy() * 10_000.0 + 1.0).T / LARGEST, np.float32)


def loudest_blocks(spectrum: NDArray[np.float32], count: int = BLOCKS) -> Tensor:
    """The loudest blocks of a spectrum [frames, 96], half overlapping: [at most count, 100, 96]; short ones get silence."""
    padded = np.pad(spectrum, ((0, max(0, BLOCK - len(spectrum))), (0, 0)))
    starts = range(0, len(padded) - BLOCK + 1, BLOCK // 2)
    loudest = sorted(starts, key=lambda start: -float(padded[start : start + BLOCK].sum()))[:count]
    return torch.from_numpy(np.stack([padded[start : start + BLOCK] for start in loudest]))


def _filters() -> NDArray[np.float64]:
    """Triangles of unit sum, equally spaced on the HTK mel scale, [96, 1025]."""
    highest = 2595.0 * np.log10(1.0 + SAMPLE_RATE_HZ / 2 / 700.0)
    points = 700.0 * (10.0 ** (np.linspace(0.0, highest, MELS + 2) / 2595.0) - 1.0)
    low, centre, high = (points[i : i + MELS, None] for i in range(3))
    bins = np.linspace(0.0, SAMPLE_RATE_HZ / 2, WINDOW // 2 + 1)
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return np.asarray(weights / (weights.sum(axis=1, keepdims=True) + 1e-9), np.float64)
