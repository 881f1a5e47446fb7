"""Names as unsure as those of sounds that were never heard, for banks made of sounds that the encoders were trained on.

The encoders name 95 of 100 training recordings right when one sounds alone, and 60 of 100 recordings that they never heard. A language
model trained on what they make of training recordings learns to believe every name, and to believe that whatever it is asked for can be
found. So the evidence for the right class is taken from some sounds, and all others get some at random, in the logits and, by the
smallest change that says the same to the classifier, in the embedding.

The amounts make logits of training mixtures spread as those of validation mixtures do (docs/lab-notebook.md, eleventh session); of
validation they know these nine numbers and nothing else. They only ever take knowledge away, and only in training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earshot.runtime.labels import class_id
from earshot.training.synthesis.scenes import Scene

FLOOR = -4.5
"""Logits of a sound that is not recognised at all; nothing is lowered beyond it."""


@dataclass(frozen=True)
class Amount:
    """How much doubt a mixture gets.

    Attributes
    ----------
    share : float
        Of sounds that lose evidence, 0 to 1.
    most : float
        What they lose is uniform from 0 to this, in units of logits.
    others : float
        Standard deviation of what all other classes get for the length of the clip.
    """

    share: float
    most: float
    others: float


AMOUNTS = (Amount(0.0, 0.0, 1.2), Amount(0.75, 8.0, 1.2), Amount(0.4, 5.0, 0.9), Amount(0.3, 5.0, 0.5))
"""By the number of sounds in a mixture: the fewer, the more the encoders have learned by heart what is left of a recording in it."""


class Doubt:
    """Takes the encoders' certainty about training recordings from them.

    Parameters
    ----------
    classify : nn.Linear
        From the semantic embedding to the class logits.
    seed : int
    """

    def __init__(self, classify: nn.Linear, seed: int) -> None:
        self._to_embedding = torch.linalg.pinv(classify.weight.detach())
        self._rng = np.random.default_rng(seed)

    def __call__(self, scene: Scene, logits: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [T, 61] and embedding [T, 256] of a mixture, with doubt."""
        sounding = sorted({class_id(source["label"]) for source in scene["sources"]})
        change = torch.from_numpy(self._change(logits.numpy(), sounding))
        return logits + change, embedding + change @ self._to_embedding.T

    def _change(self, logits: NDArray[np.float32], sounding: Iterable[int]) -> NDArray[np.float32]:
        sounding = list(sounding)
        amount = AMOUNTS[min(len(sounding), len(AMOUNTS) - 1)]
        change = np.tile(self._rng.normal(0.0, amount.others, logits.shape[1]), (len(logits), 1))
        for label in sounding:
            lost = self._rng.uniform(0.0, amount.most) if self._rng.random() < amount.share else 0.0
            change[:, label] = (
                np.maximum(logits[:, label] - lost, np.minimum(logits[:, label], FLOOR)) - logits[:, label]
            )
        return change.astype(np.float32)
