"""The gates of a smaller bundle: what the user gets (right class, direction, answer) must stay, not a decibel figure.

A decibel figure cannot judge a recurrent network: 35 dB may move no answer and 45 dB may move a slot. So both listeners
hear the same scenes by the live path, and what is compared is how often each is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earshot.export.gate_scenes import GateScene, Truth
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing, HearingWindow
from earshot.runtime.labels import by_key, load_labels
from earshot.runtime.language.answerer import Answerer
from earshot.runtime.language.heard import embed
from earshot.runtime.scene.sources import SourceEstimate, summarize
from earshot.runtime.scene.words import SECTORS, sector8

Figures = dict[str, float]

UNHEARD_DEG = 90.0
"""What silence is worth: the mean error of a guess."""
MATCH_DEG = 20.0
_CHUNK = 1600
_OPTIONS = [label.key for label in load_labels()]


@dataclass(frozen=True)
class Metric:
    """One figure of the gate.

    Attributes
    ----------
    allowed : float
        How much worse than the float model a smaller one may be.
    rising : bool
        Whether more is better.
    """

    allowed: float
    rising: bool = True


METRICS: dict[str, Metric] = {
    "top1": Metric(0.01),
    "f1_20deg": Metric(0.01),
    "azimuth_error_deg": Metric(0.5, rising=False),
    "azimuth_over_20deg": Metric(0.01, rising=False),
    "answers": Metric(0.01),
}
"""A user should not notice: one point, half a degree; of few scenes two (`limits_for`).
Single sources: right class; median azimuth error; part beyond 20 degrees. Pairs: F1 of class within 20 degrees.
Four-option questions: part right. For comparison: the shipped model's confidence interval of 510 answers is ±0.04."""

Limits = Mapping[str, Metric]


@dataclass(frozen=True, eq=False)
class Heard:
    """A scene as some encoders heard it: its sources, and the window for the language model."""

    scene: GateScene
    sources: list[SourceEstimate]
    window: HearingWindow


def load_encoders(folder: Path) -> Encoders:
    """The graphs of a folder, the names network among them where it has one, opened as the runtime does."""
    encoders = Encoders()
    encoders.load(folder)
    return encoders


def hear(encoders: Encoders, scenes: Sequence[GateScene]) -> list[Heard]:
    """Every scene by the live path, each from a fresh start."""
    return [_hear(encoders, scene) for scene in scenes]


def _hear(encoders: Encoders, scene: GateScene) -> Heard:
    hearing = Hearing(encoders)
    snapshots = []
    for start in range(0, scene.audio.shape[1], _CHUNK):
        snapshots += hearing.process(AudioChunk(scene.audio[:, start : start + _CHUNK], start))
    return Heard(scene, summarize(snapshots), hearing.window())


def score_hearing(heard: Sequence[Heard]) -> Figures:
    """How often class and direction are right; figures of a kind of scene that is absent are left out."""
    singles = [h for h in heard if len(h.scene.sources) == 1]
    pairs = [h for h in heard if len(h.scene.sources) == 2]
    figures: Figures = {}
    if singles:
        judged = [_judge(h) for h in singles]
        errors = [error for _, error in judged]
        figures["top1"] = float(np.mean([right for right, _ in judged]))
        figures["azimuth_error_deg"] = float(np.median(errors))
        figures["azimuth_over_20deg"] = float(np.mean(np.array(errors) > MATCH_DEG))
    if pairs:
        hits = sum(_hits(h) for h in pairs)
        named = sum(len(h.sources) + len(h.scene.sources) for h in pairs)
        figures["f1_20deg"] = 2 * hits / named
    return figures


def _judge(heard: Heard) -> tuple[bool, float]:
    """Right class, and azimuth error in degrees, of the surest source of a scene with one."""
    (truth,) = heard.scene.sources
    if not heard.sources:
        return False, UNHEARD_DEG
    best = max(heard.sources, key=lambda source: source.confidence)
    return best.label == by_key(truth.key).name, _error_deg(best, truth)


def _hits(heard: Heard) -> int:
    """Sources found with the right class within 20 degrees, each estimate used once."""
    free, hits = list(heard.sources), 0
    for truth in heard.scene.sources:
        same = [e for e in free if e.label == by_key(truth.key).name]
        best = min(same, key=lambda e: _error_deg(e, truth), default=None)
        if best is not None and _error_deg(best, truth) <= MATCH_DEG:
            free.remove(best)
            hits += 1
    return hits


def _error_deg(estimate: SourceEstimate, truth: Truth) -> float:
    return float(angle_between_azimuths(estimate.azimuth_deg, truth.azimuth_deg))


def score_answers(folder: Path, encoders: Encoders, heard: Sequence[Heard]) -> Figures:
    """Part of four-option questions answered right: where a source is, and what is heard.

    Parameters
    ----------
    folder : Path
        Holds `llm.gguf`.
    encoders : Encoders
        For the projector.
    heard : sequence of Heard
    """
    if not heard:
        return {}
    answerer = Answerer(folder)
    answerer.load()
    try:
        right = [ok for number, h in enumerate(heard) for ok in _answers(answerer, encoders, h, number)]
    finally:
        answerer.close()
    return {"answers": float(np.mean(right))}


def _answers(answerer: Answerer, encoders: Encoders, heard: Heard, number: int) -> list[bool]:
    asked = questions_about(heard.scene.sources[0], number, len(heard.scene.sources) > 1)
    return [
        answerer.answer(text, embed(encoders, heard.window, text, options), options).choice == right
        for text, options, right in asked
    ]


def questions_about(truth: Truth, number: int, other: bool = False) -> list[tuple[str, list[str], int]]:
    """Question, options and the index of the right one; which place is right goes round with `number`.

    The sectors lie 90 degrees apart, so that no option is nearly right. Where another source sounds as well, it is not
    asked what is heard: both would be right.
    """
    label, right = by_key(truth.key), number % 4
    sector = SECTORS.index(sector8(truth.azimuth_deg))
    places = [SECTORS[(sector + 2 * (k - right)) % 8] for k in range(4)]
    names = [
        by_key(_OPTIONS[(_OPTIONS.index(truth.key) + 17 * (k - right)) % len(_OPTIONS)]).definite for k in range(4)
    ]
    where = (f"Where is {label.definite}?", places, right)
    return [where] if other else [where, ("Which of these do you hear?", names, right)]


def losses(reference: Mapping[str, float], found: Mapping[str, float]) -> Figures:
    """How much worse each figure became; negative when it became better."""
    return {
        name: (reference[name] - found[name]) * (1.0 if METRICS[name].rising else -1.0)
        for name in reference
        if name in found
    }


def limits_for(scenes: int) -> Limits:
    """Limits that two unlucky scenes cannot break: of few scenes each one weighs more than a small loss does."""
    return {
        name: metric
        if name == "azimuth_error_deg"
        else replace(metric, allowed=max(metric.allowed, 2 / max(1, scenes)))
        for name, metric in METRICS.items()
    }


def failed(loss: Mapping[str, float], limits: Limits = METRICS) -> list[str]:
    """Names of the figures that lost more than allowed, the worst one first; what is no number has lost all."""
    over = [name for name in loss if not loss[name] <= limits[name].allowed + 1e-9]
    return sorted(over, key=lambda name: -loss[name] / max(limits[name].allowed, 1e-9))


def describe_loss(name: str, loss: float, limits: Limits = METRICS) -> str:
    """``top1 loses 0.040, 0.020 allowed``."""
    return f"{name} loses {loss:.3f}, {limits[name].allowed:.3f} allowed"


def costliest_layer(layers: Sequence[str], loss_without: Callable[[str], float]) -> tuple[str, float]:
    """The layer without whose quantization the loss is smallest.

    Parameters
    ----------
    layers : sequence of str
        Names of quantized nodes; at least one.
    loss_without : callable
        Loss when all but this one are quantized.

    Returns
    -------
    layer : str
    loss : float
        What remains when it stays float.
    """
    remaining = {layer: loss_without(layer) for layer in layers}
    best = min(remaining, key=lambda layer: remaining[layer])
    return best, remaining[best]
