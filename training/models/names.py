"""Names network: what sounds, by a network that learned from two million recordings of others.

The trunk is YAMNet (Google, Apache 2.0): MobileNet v1 (Howard et al. 2017) trained on AudioSet (Gemmeke et al. 2017). Our
1,500 training clips are too few to learn names from; they are enough to learn which of its features are our classes. It hears
0.975 s of one ear, brought to one level, so that the gain of a microphone changes nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from earshot.runtime.hearing.features import SAMPLE_RATE_HZ
from earshot.runtime.hearing.names import EARS, NAMES_SAMPLES, QUIETER_BY
from earshot.training.models.weights import fill, load_tensors, save_tensors

SAMPLES = NAMES_SAMPLES
WINDOW, HOP, FFT = 400, 160, 512
FRAMES, BANDS = 96, 64
LOWEST_HZ, HIGHEST_HZ = 125.0, 7_500.0
LOG_OFFSET = 1e-3
LEVEL_RMS, QUIETEST_RMS = 0.05, 2e-4
"""Sound is brought to the first; what is quieter than the second is not made louder still: it is the microphone's noise."""

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
FEATURES = 2 * WIDTHS[-1]


class LogMel(nn.Module):
    """Samples [B, 15600] -> log-mel patches [B, 96, 64] as YAMNet was trained with; a DFT written as a convolution."""

    dft: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        bins = np.arange(FFT // 2 + 1)
        angle = 2.0 * np.pi * np.outer(bins, np.arange(WINDOW)) / FFT
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
        kernel = np.concatenate([np.cos(angle), -np.sin(angle)]) * window
        self.register_buffer("dft", torch.from_numpy(kernel[:, None].astype(np.float32)), persistent=False)
        self.register_buffer("mel", torch.from_numpy(mel_weights()), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Log-mel patches."""
        real, imaginary = nn.functional.conv1d(samples[:, None], self.dft, stride=HOP).chunk(2, dim=1)
        magnitude = torch.sqrt(real * real + imaginary * imaginary).transpose(1, 2)
        return torch.log(magnitude @ self.mel + LOG_OFFSET)


def mel_weights() -> NDArray[np.float32]:
    """Triangular mel filters float32 [257, 64] on the HTK scale from 125 to 7,500 Hz; the lowest bin counts nowhere."""
    lowest, highest = _mel([LOWEST_HZ, HIGHEST_HZ])
    edges = np.linspace(lowest, highest, BANDS + 2)
    at = _mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT // 2 + 1))[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((at - low) / (middle - low), (high - at) / (high - middle)))
    weights[0] = 0.0
    filters: NDArray[np.float32] = weights.astype(np.float32)
    return filters


def _mel(hz: ArrayLike) -> NDArray[np.float64]:
    scale: NDArray[np.float64] = 1127.0 * np.log1p(np.asarray(hz) / 700.0)
    return scale


class _Convolution(nn.Module):
    """3 x 3 or 1 x 1 convolution with the padding of TensorFlow ("same": at stride 2 behind only), then ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        even = size // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(inputs, outputs, size, stride, padding=even, groups=groups)
        self._behind = stride > 1  # all sizes here are multiples of the stride

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.convolution(nn.functional.pad(x, (0, 1, 0, 1)) if self._behind else x)
        return torch.relu(out)


class YamnetTrunk(nn.Module):
    """Patches [B, 96, 64] -> feature map [B, 1024, 3, 2] (time, frequency); batch norms are folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_Convolution(1, 32, 3, 2)]
        width = 32
        for outputs, stride in zip(WIDTHS, STRIDES, strict=True):
            layers += [_Convolution(width, width, 3, stride, groups=width), _Convolution(width, outputs, 1, 1)]
            width = outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, patches: Tensor) -> Tensor:
        """The feature map."""
        out: Tensor = self.layers(patches[:, None])
        return out


class Names(nn.Module):
    """Samples in, class logits out; see the module's docstring.

    Attributes
    ----------
    trust : tensor [1]
        How much the logits of the semantic encoder, which hears every 40 ms and at once, count beside these.
    """

    trust: Tensor

    def __init__(self, classes: int = 61) -> None:
        super().__init__()
        self.log_mel = LogMel()
        self.trunk = YamnetTrunk()
        self.head = nn.Linear(FEATURES, classes)
        self.register_buffer("trust", torch.ones(1))

    def features(self, samples: Tensor, curve: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """What the head sees: means over the patch and over its last third, compressed.

        Parameters
        ----------
        samples : [B, 15600]
        curve : [B, 1, 64], optional
            Added to the log-mel patches: augmentation.
        mask : [B, 96, 64], optional
            0 where the patch is replaced by its mean.

        Returns
        -------
        [B, 2048]
        """
        level = torch.sqrt((samples * samples).mean(dim=1, keepdim=True)).clamp_min(QUIETEST_RMS)
        patches = self.log_mel(samples * (LEVEL_RMS / level))
        patches = patches if curve is None else patches + curve
        if mask is not None:
            patches = mask * patches + (1.0 - mask) * patches.mean(dim=(1, 2), keepdim=True)
        cells = self.trunk(patches)
        means = torch.cat([cells.mean(dim=(2, 3)), cells[:, :, -1].mean(dim=2)], dim=1)
        return torch.log1p(10.0 * means)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, 61] and trust [1] of samples [B, 15600]."""
        return self.head(self.features(samples)), self.trust + 0.0


def of_both(model: Names, samples: Tensor) -> tuple[Tensor, Tensor]:
    """The mean odds of each class of the ears that hear something, as `ears_to_hear` and `mean_odds` of `earshot.runtime.hearing.names`.

    Parameters
    ----------
    model : Names
    samples : [B, 2, 15600]

    Returns
    -------
    (logits [B, 61], trust [1])
    """
    level = torch.sqrt((samples * samples).mean(dim=2))
    logits, trust = model(samples.flatten(0, 1))
    heard = level >= QUIETER_BY * level.amax(dim=1, keepdim=True)
    said = logits.unflatten(0, (-1, EARS)).masked_fill(~heard[..., None], -torch.inf)
    return torch.logsumexp(said, dim=1) - torch.log(heard.sum(dim=1, keepdim=True)), trust


def save_names(model: Names, folder: Path) -> None:
    """Write ``model.safetensors``."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    save_tensors(state, folder / "model.safetensors")


def load_names(folder: Path) -> Names:
    """The network of a folder, in evaluation mode."""
    path = folder / "model.safetensors"
    state = load_tensors(path)
    model = Names(len(state.get("head.bias", ())))
    fill(model, state, path)
    return model.eval()


def folded(kernel: Tensor, mean: Tensor, variance: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution [out, ...] with the batch norm behind it (no scale, epsilon 1e-4)."""
    factor = 1.0 / torch.sqrt(variance + 1e-4)
    return kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1)), beta - mean * factor
