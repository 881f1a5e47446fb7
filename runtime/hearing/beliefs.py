"""What a source may be: class probabilities of a scene as a posterior over the kinds of one source.

The semantic network says of each class whether it sounds, whatever else does. Of a source that is one sound of one kind, the
probability of a kind given that exactly one of them sounds is proportional to its odds p / (1 - p).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.labels import load_labels

TOLD_CLASSES = 3
DOUBT_RATIO = 0.5
"""A kind is doubtful when another one is at least so likely re its own probability."""
_LEAST, _MOST = 1e-6, 1.0 - 1e-6


@dataclass(frozen=True)
class ClassBelief:
    """One kind that a source may be.

    Attributes
    ----------
    class_id : int
    probability : float
        0 to 1; those of all classes add up to 1.
    """

    class_id: int
    probability: float

    @property
    def label(self) -> str:
        """AudioSet-ontology name of the class."""
        return load_labels()[self.class_id].name

    def as_dict(self) -> dict[str, Any]:
        """The belief as a JSON object."""
        return {"label": self.label, "probability": round(self.probability, 3)}


def beliefs(probability: NDArray[np.floating[Any]], count: int = TOLD_CLASSES) -> tuple[ClassBelief, ...]:
    """The likeliest kinds of one source.

    Parameters
    ----------
    probability : ndarray [61]
        Of each class by itself, 0 to 1.
    count : int
        How many are told.

    Returns
    -------
    tuple of ClassBelief
        The likeliest first.
    """
    p = np.clip(np.asarray(probability, np.float64), _LEAST, _MOST)
    odds = p / (1.0 - p)
    posterior = odds / odds.sum()
    order = np.argsort(-posterior, kind="stable")[:count]
    return tuple(ClassBelief(int(label), float(posterior[label])) for label in order)


def rival(told: tuple[ClassBelief, ...], class_id: int) -> ClassBelief | None:
    """The likeliest kind beside the one it is taken for, when that is doubtful; None when there is no doubt."""
    others = [belief for belief in told if belief.class_id != class_id]
    own = next((belief.probability for belief in told if belief.class_id == class_id), 0.0)
    return others[0] if others and others[0].probability >= DOUBT_RATIO * own else None
