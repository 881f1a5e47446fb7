"""What a language model wrote, and how its next token is picked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Generation:
    """Text that the model wrote in one go.

    Attributes
    ----------
    text : str
        Without the stop token.
    tokens : tuple of int
        Without the stop token.
    stopped : "stop" or "length"
        A stop token came, or the limit.
    stop_token : int or None
        The token that stopped it.
    """

    text: str
    tokens: tuple[int, ...]
    stopped: Literal["stop", "length"]
    stop_token: int | None


def pick(logits: Float32, forbidden: NDArray[np.bool_], temperature: float, rng: np.random.Generator | None) -> int:
    """Next token: the likeliest, or drawn from the softmax of logits / temperature."""
    logits[forbidden] = -np.inf
    if temperature <= 0.0 or rng is None:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    return int(rng.choice(len(weights), p=weights / weights.sum()))
