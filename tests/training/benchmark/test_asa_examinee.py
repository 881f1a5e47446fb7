"""A real bundle (with random weights) is examined: heard once, asked everything, the same in any number of processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earshot.runtime.hearing.listener import Hearing
from earshot.training.benchmark.asa_examinee import Examinee, Job, examine, jobs_of
from earshot.training.benchmark.asa_probes import ROTATIONS, Controls, probes_of
from earshot.training.benchmark.asa_run import AsaBench, AsaRequest, run_asa


@pytest.fixture(scope="module")
def jobs(asa: AsaBench) -> list[Job]:
    """Everything that is asked about the audio of two clips."""
    return jobs_of(probes_of(asa.items, asa.clips, Controls()), asa.clips)[:2]


def test_every_probe_is_asked_and_rotations_until_one_is_wrong(
    jobs: list[Job], tiny_bundle: Path, stems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    window = Hearing.window
    monkeypatch.setattr(Hearing, "window", lambda self: heard.append(1) or window(self))  # type: ignore[func-returns-value]
    examinee = Examinee(tiny_bundle, stems)
    lines = {line["id"]: line for line in examinee.answer(jobs[0])}
    assert len(heard) == 2, "once with the ears as they are, once exchanged"
    left_out = {p.item.id: p for p in jobs[0].probes if p.item.id not in lines}
    assert {p.condition for p in left_out.values()} <= set(ROTATIONS)
    for probe in left_out.values():
        asked_before = [p for p in jobs[0].probes if p.base == probe.base and p.item.id in lines]
        assert any(lines[p.item.id]["choice"] != p.item.choice for p in asked_before)


def test_the_number_of_processes_does_not_matter(jobs: list[Job], tiny_bundle: Path, stems: Path) -> None:
    few = [Job(job.clip, job.probes[:4]) for job in jobs]
    alone = list(examine(few, tiny_bundle, stems, workers=1))
    assert list(examine(few, tiny_bundle, stems, workers=2)) == alone


def test_without_audio_twins_get_the_same_answer_and_none_is_told_apart(
    stems: Path, manifest: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    only = Controls(False, False, True, False, False, False)
    kept = tmp_path / "kept" / "answers.jsonl"
    request = AsaRequest(stems, "quick", tiny_bundle, controls=only, answers=kept, manifest=manifest, think=False)
    report = run_asa(request)
    lines = {line["id"]: line for line in map(json.loads, kept.read_text().splitlines())}
    for number in range(report["questions"]["absent"]):
        blind = [lines[f"{kind}-{number:04d}@question_only"]["answer"] for kind in ("absent", "present")]
        assert blind[0] == blind[1]
    assert set(report["controls"]) == {"question_only"}
    rescored = run_asa(AsaRequest(stems, "quick", predictions=kept, controls=only, manifest=manifest, think=False))
    for part in ("hash", "choice", "by_task", "controls", "open", "absent"):
        assert rescored[part] == report[part]
