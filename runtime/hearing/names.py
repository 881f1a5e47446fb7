"""Names of sounds from the last second: when the names network hears what, and how what it says joins the class logits.

It hears each ear by itself, and the odds of every class are averaged, so that the surer ear decides: of several sounds each is clearest
at the ear that is nearer to it (better-ear listening; Zurek 1993, in Acoustical Factors Affecting Hearing Aid Performance), and in the
sum of both none is. The surer logit alone would be too sure: the higher of two that err apart errs upwards.
The semantic encoder hears every 40 ms and at once; the names network hears a whole second of sound at a time, and less often. Without
one (bundles need none) and before it has heard for the first time, the semantic encoder is believed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAMES_SAMPLES = 15_600
"""What the network hears, at 16 kHz: 0.975 s."""
NAMES_EVERY = 10
"""Encoder frames from one hearing to the next: 0.4 s."""
EARS = 2
QUIETER_BY = 10 ** (-30 / 20)
"""An ear that is so much quieter than the other, 30 dB, is dead: no head casts such a shadow on all that sounds."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Named:
    """What is said about a second, by the names network of one ear or by both together.

    Attributes
    ----------
    logits : ndarray, float32 [61]
    trust : ndarray, float32 [1]
        How much the logits of the semantic encoder count beside these.
    """

    logits: Float32
    trust: Float32


@dataclass(frozen=True, eq=False)
class NamesMemory:
    """What the stage remembers at one moment; nothing in it is ever written to."""

    samples: Float32
    frames: int
    due: bool
    latest: Named | None
    then: Float32


def joined(named: Named, logits: Float32, then: Float32) -> Float32:
    """Class logits of both: `trust * semantic + names`, and all of what the semantic encoder has become surer of since.

    What began after the names network heard cannot be in what it said: only the semantic encoder knows of it yet.

    Parameters
    ----------
    named : Named
        Of the latest hearing.
    logits, then : ndarray, float32 [61]
        Of the semantic encoder now, and at that hearing.
    """
    risen: Float32 = np.maximum(logits - then, 0.0)
    both: Float32 = named.trust * logits + (1.0 - named.trust) * risen + named.logits
    return both


def of_both(samples: Float32, hear: Callable[[Float32], Named]) -> Named:
    """The mean odds of each class, of the ears that hear something.

    Parameters
    ----------
    samples : ndarray, float32 [2, 15600]
        Of both ears, oldest first.
    hear : callable
        The network: samples of one ear, float32 [1, 15600] -> `Named`.
    """
    level = np.sqrt(np.mean(samples * samples, axis=1))
    said = [hear(ear[None]) for ear in samples[level >= QUIETER_BY * level.max()]]
    logits: Float32 = np.logaddexp.reduce([named.logits for named in said]) - np.float32(np.log(len(said)))
    return Named(logits, said[0].trust)


class Names:
    """Stage: encoder frames of sound in; class logits in, class logits with the names out.

    Parameters
    ----------
    hear : callable
        The network: samples of one ear, float32 [1, 15600], oldest first -> `Named`.

    Notes
    -----
    The network hears when a multiple of ten frames has come, up to and including that frame, and what it says holds from that frame
    on. Where that frame's logits are not asked for (hearing leaves frames out on a slow machine) it hears when they are asked
    for next.
    """

    latency_s = 0.0

    def __init__(self, hear: Callable[[Float32], Named]) -> None:
        self._hear = hear
        self.reset()

    def reset(self) -> None:
        """Forget all sound and what was said about it; equals a fresh object."""
        self._samples: Float32 = np.zeros((EARS, NAMES_SAMPLES), np.float32)
        self._frames, self._due = 0, False
        self._latest: Named | None = None
        self._then: Float32 = np.zeros(0, np.float32)

    def process(self, samples: Float32) -> None:
        """Take the next encoder frame of sound, float32 [2, 640]; without gaps, or the second is none."""
        self._samples = np.concatenate([self._samples[:, samples.shape[1] :], samples], axis=1)
        self._frames += 1
        self._due = self._due or self._frames % NAMES_EVERY == 0

    def join(self, logits: Float32) -> Float32:
        """Class logits of this moment; see `joined`.

        Parameters
        ----------
        logits : ndarray, float32 [61]
            Of the semantic encoder.

        Returns
        -------
        ndarray, float32 [61]
            As they came before the network has heard for the first time.
        """
        if self._due:
            self._latest, self._then, self._due = of_both(self._samples, self._hear), logits, False
        return logits if self._latest is None else joined(self._latest, logits, self._then)

    def memory(self) -> NamesMemory:
        """All that has been heard so far, to be given back by `recall`."""
        return NamesMemory(self._samples, self._frames, self._due, self._latest, self._then)

    def recall(self, memory: NamesMemory) -> None:
        """Forget what was heard since the memory was taken."""
        self._samples, self._frames = memory.samples, memory.frames
        self._due, self._latest, self._then = memory.due, memory.latest, memory.then
