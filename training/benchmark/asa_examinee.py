"""A bundle as the one examined: hears every clip once, answers all probes about it; in one process or several."""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.hearing.objects import projector_inputs
from earshot.runtime.language.heard import Heard, asked_rows, names_heard
from earshot.training.benchmark.asa_clips import AsaClip, mix, to_float
from earshot.training.benchmark.asa_probes import ROTATIONS, STRAIGHT, Probe, Treatment
from earshot.training.benchmark.controls import without_semantic, without_spatial
from earshot.training.benchmark.loaded_bundle import load_bundle
from earshot.training.processes import worker_processes
from earshot.training.questions.items import Item
from earshot.training.synthesis.dataset import open_shards

Line = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A clip and everything that is asked about its audio."""

    clip: AsaClip
    probes: tuple[Probe, ...]


class Examinee:
    """A loaded bundle, asked about clips.

    Parameters
    ----------
    bundle : Path or None
        None for the built-in one.
    data : Path
        Stems that the clips are mixed from.
    think : bool
        Whether it writes its evidence before it answers.

    Raises
    ------
    BundleError
        The bundle is missing or refused.
    """

    def __init__(self, bundle: Path | None, data: Path, think: bool = True) -> None:
        self._bundle = load_bundle(bundle)
        self._shards = open_shards(data)
        self._think = think

    def answer(self, job: Job) -> list[Line]:
        """Answer lines (``id``, ``answer``, ``choice``, ``reasoning``) of a clip's probes.

        A rotation is asked only as long as the option was the right one before: all rotations must be right to count.
        """
        windows: dict[bool, HearingWindow] = {}
        audio = to_float(mix(self._shards, job.clip))
        failed: set[str] = set()
        lines: list[Line] = []
        for probe in sorted(job.probes, key=_order):
            if probe.condition in ROTATIONS and probe.base in failed:
                continue
            if probe.treatment != "nothing" and probe.swapped not in windows:
                windows[probe.swapped] = self._bundle.hear(audio[::-1] if probe.swapped else audio)
            line = self._ask(probe, self._embed(windows.get(probe.swapped), probe.treatment, probe.item))
            if probe.condition in (STRAIGHT, *ROTATIONS) and line["choice"] != probe.item.choice:
                failed.add(probe.base)
            lines.append(line)
        return lines

    def _embed(self, window: HearingWindow | None, treatment: Treatment, item: Item) -> Heard:
        if window is None or treatment == "nothing" or not len(window.tokens):
            return self._bundle.embed(None, item.question)
        if treatment == "plain":
            return self._bundle.embed(window, item.question, item.choices)
        encoders = self._bundle.encoders
        if treatment == "no_what":  # what has no name cannot be asked for by name
            return Heard(encoders.project_inputs(without_semantic(projector_inputs(window.tokens))))
        asked = asked_rows(encoders, window, item.question, item.choices)
        inputs = without_spatial(projector_inputs(window.tokens, asked))
        return Heard(encoders.project_inputs(inputs), names_heard(window.tokens, asked))

    def _ask(self, probe: Probe, heard: Heard) -> Line:
        choices = None if probe.item.choices is None else list(probe.item.choices)
        answer = self._bundle.answerer.answer(probe.item.question, heard, choices, self._think)
        return {"id": probe.item.id, "answer": answer.text, "choice": answer.choice, "reasoning": answer.reasoning}


def jobs_of(probes: Sequence[Probe], clips: Sequence[AsaClip]) -> list[Job]:
    """Probes gathered by what is heard."""
    by_clip: dict[str, list[Probe]] = defaultdict(list)
    for probe in probes:
        by_clip[probe.clip].append(probe)
    return [Job(clip, tuple(by_clip[clip.id])) for clip in clips if clip.id in by_clip]


def examine(
    jobs: Sequence[Job], bundle: Path | None, data: Path, think: bool = True, workers: int = 1
) -> Iterator[list[Line]]:
    """Answers of one job after the other, in the order of the jobs, however many processes work on them."""
    if workers == 1:
        yield from map(Examinee(bundle, data, think).answer, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with worker_processes(workers, context, _open, (bundle, data, think)) as pool:
        yield from pool.map(_answer, jobs)


_EXAMINEE: list[Examinee] = []
"""Of a worker process."""


def _open(bundle: Path | None, data: Path, think: bool) -> None:
    _EXAMINEE[:] = [Examinee(bundle, data, think)]


def _answer(job: Job) -> list[Line]:
    return _EXAMINEE[0].answer(job)


def _order(probe: Probe) -> tuple[bool, str, int]:
    """Probes with the same audio tokens follow each other (the language model keeps them), straight before rotations."""
    rank = (STRAIGHT, *ROTATIONS).index(probe.condition) if probe.condition in (STRAIGHT, *ROTATIONS) else 9
    return probe.swapped, probe.treatment, rank
