"""Names of sounds from the last second: when the names network hears what, and how what it says joins the class logits.

It hears each ear by itself, and the odds of every class are averaged, so that the surer ear decides: of several sounds each is clearest
at the ear that is nearer to it (better-ear listening; Zurek 1993, in Acoustical Factors Affecting Hearing Aid Performance), and in the
sum of both none is. The surer logit alone would be too sure: the higher of two that err apart errs upwards.
The semantic encoder hears every 40 ms and at once; the names network hears a whole second of sound at a time, and less often. Without
one (bundles need none) and before it has heard for the first time, the semantic encoder is believed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
class Second:
    """The second of sound that is being heard, ear by ear; nothing in it is ever written to.

    Attributes
    ----------
    ears : tuple of ndarray, float32 [1, 15600]
        Still to be heard, at least one.
    said : tuple of Named
        Of the ears that have been heard.
    then : ndarray, float32 [61]
        Logits of the semantic encoder at its end.
    """

    ears: tuple[Float32, ...]
    said: tuple[Named, ...]
    then: Float32


@dataclass(frozen=True, eq=False)
class NamesMemory:
    """What the stage remembers at one moment; nothing in it is ever written to."""

    samples: Float32
    frames: int
    due: bool
    second: Second | None
    latest: Named | None
    then: Float32


def joined(named: Named, logits: Float32, then: Float32) -> Float32:
    """Class logits of both: `trust * semantic + names`, and all of what the semantic encoder has become surer of since.

    What began after the second that the names network heard cannot be in what it said: only the semantic encoder knows of it yet.

    Parameters
    ----------
    named : Named
        Of the latest second that was heard.
    logits, then : ndarray, float32 [61]
        Of the semantic encoder now, and at the end of that second.
    """
    risen: Float32 = np.maximum(logits - then, 0.0)
    both: Float32 = named.trust * logits + (1.0 - named.trust) * risen + named.logits
    return both


def ears_to_hear(samples: Float32) -> list[Float32]:
    """The ears that are not dead, left first, each float32 [1, 15600]; of silence both.

    Parameters
    ----------
    samples : ndarray, float32 [2, 15600]
        Of both ears, oldest first.
    """
    level = np.sqrt(np.mean(samples * samples, axis=1))
    return [ear[None] for ear in samples[level >= QUIETER_BY * level.max()]]


def mean_odds(said: Sequence[Named]) -> Named:
    """The mean odds of each class, of what was said about each ear, one at least."""
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
    One frame before every tenth, the network hears one ear of the second up to and including that frame; it hears the other ear of
    the same second at the tenth, and what it says of both holds from then on (a token of ten frames has its names at its end). Both
    ears in one frame take longer than the frame lasts on a Raspberry Pi 4 (60 of 40 ms), so no frame carries more than one.
    Where one ear is dead, what is said of the other holds at once. The logits of the semantic encoder never wait.
    Where the logits of a frame are not asked for (hearing leaves frames out on a slow machine) an ear is heard when they are asked
    for next. Should the next second be due before both ears are heard, it begins when they are asked for after that.
    """

    latency_s = 0.0

    def __init__(self, hear: Callable[[Float32], Named]) -> None:
        self._hear = hear
        self.reset()

    def reset(self) -> None:
        """Forget all sound and what was said about it; equals a fresh object."""
        self._samples: Float32 = np.zeros((EARS, NAMES_SAMPLES), np.float32)
        self._frames, self._due = 0, False
        self._second: Second | None = None
        self._latest: Named | None = None
        self._then: Float32 = np.zeros(0, np.float32)

    def process(self, samples: Float32) -> None:
        """Take the next encoder frame of sound, float32 [2, 640]; without gaps, or the second is none."""
        self._samples = np.concatenate([self._samples[:, samples.shape[1] :], samples], axis=1)
        self._frames += 1
        self._due = self._due or self._frames % NAMES_EVERY == NAMES_EVERY - 1

    def join(self, logits: Float32) -> Float32:
        """Class logits of this moment; see `joined`.

        Parameters
        ----------
        logits : ndarray, float32 [61]
            Of the semantic encoder.

        Returns
        -------
        ndarray, float32 [61]
            As they came before the network has heard a second for the first time.
        """
        if self._second is None and self._due:
            self._second, self._due = Second(tuple(ears_to_hear(self._samples)), (), logits), False
        if self._second is not None:
            self._hear_an_ear_of(self._second)
        return logits if self._latest is None else joined(self._latest, logits, self._then)

    def _hear_an_ear_of(self, second: Second) -> None:
        """Hear the next ear; after the last one, what was said of all holds."""
        ear, *others = second.ears
        said = (*second.said, self._hear(ear))
        if others:
            self._second = Second(tuple(others), said, second.then)
        else:
            self._second, self._latest, self._then = None, mean_odds(said), second.then

    def memory(self) -> NamesMemory:
        """All that has been heard so far, to be given back by `recall`."""
        return NamesMemory(self._samples, self._frames, self._due, self._second, self._latest, self._then)

    def recall(self, memory: NamesMemory) -> None:
        """Forget what was heard since the memory was taken."""
        self._samples, self._frames = memory.samples, memory.frames
        self._due, self._second = memory.due, memory.second
        self._latest, self._then = memory.latest, memory.then
