"""The cascade baseline is examined with the ears of a bundle: told what they heard, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.hearing.objects import projector_inputs
from earshot.runtime.hearing.slots import SLOTS
from earshot.runtime.hearing.tokens import SCENE_WIDTH, SEMANTIC_WIDTH, SLOT_WIDTH, Tokens
from earshot.runtime.language.prompt import build_prompt
from earshot.training.benchmark.asa_cascade import CascadeExaminee, examine_cascade
from earshot.training.benchmark.asa_examinee import Job, jobs_of
from earshot.training.benchmark.asa_probes import Controls, probes_of
from earshot.training.benchmark.asa_run import AsaBench, AsaRequest, run_asa
from earshot.training.models.llm import LlmShape, build_llm, load_llm, save_llm
from earshot.training.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from earshot.training.questions.items import Item
from earshot.training.stages.cascade import CONTEXT
from earshot.training.stages.cascade_text import tracks_text

ITEM = Item("a", "s", "L1", "where", "open", "Where is the dog?", None, "There.", None, "", {})


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `earshot train cascade` leaves it, untrained."""
    folder = tmp_path_factory.mktemp("cascade")
    save_llm(build_llm(LlmShape(hidden=64, layers=2, heads=1, ffn=128, context=CONTEXT)), folder)
    save_tokenizer(train_tokenizer(items=300), folder)
    return folder


@pytest.fixture(scope="module")
def examinee(asa: AsaBench, tiny_bundle: Path, stems: Path, cascade: Path) -> CascadeExaminee:
    list(examine_cascade([], tiny_bundle, stems, cascade))  # writes llm.gguf
    return CascadeExaminee(tiny_bundle, stems, cascade)


def window_of(count: int = 6) -> HearingWindow:
    """Two sounds at once, at different places."""
    rng = np.random.default_rng(0)
    slots = np.zeros((count, SLOTS, SLOT_WIDTH), np.float32)
    for slot, label in enumerate((4, 9)):
        slots[:, slot, label] = 1.0
        slots[:, slot, 61:] = rng.uniform(0.5, 1.0, SLOT_WIDTH - 61)
        slots[:, slot, 66 + 10 * slot + 5] = 9.0
    semantic = rng.uniform(0, 1, (count, SEMANTIC_WIDTH)).astype(np.float32)
    return HearingWindow(Tokens(semantic, np.zeros((count, SCENE_WIDTH), np.float32), slots), (), (), 0.4 * count)


def test_it_is_told_what_a_treatment_leaves(examinee: CascadeExaminee) -> None:
    told = {}
    for treatment in ("plain", "no_where", "no_what", "nothing"):
        assert len(examinee._embed(window_of(), treatment, ITEM).embeddings) == 0  # type: ignore[arg-type]
        told[treatment] = examinee._reader.heard
    assert told["plain"] == tracks_text(projector_inputs(window_of().tokens))
    assert told["nothing"] == ""
    plain, no_where, no_what = (json.loads(told[name]) for name in ("plain", "no_where", "no_what"))
    for index, without in ((0, no_what), (1, no_where), (2, no_where), (3, no_where)):
        assert len({track[index] for track in plain}) == 2 and len({track[index] for track in without}) == 1


@torch.no_grad()
def test_it_reads_the_prompt_that_training_writes(examinee: CascadeExaminee, cascade: Path) -> None:
    prompt = build_prompt("Where is the dog?")
    embeddings = examinee._embed(window_of(), "plain", ITEM).embeddings
    ids = load_tokenizer(cascade).encode(prompt.prefix + examinee._reader.heard + prompt.suffix).ids
    assert examinee._reader.begin(prompt.prefix, embeddings, prompt.suffix) == len(ids)
    expected = load_llm(cascade).eval()(torch.tensor([ids])).logits[0, -1].numpy()
    assert np.corrcoef(examinee._reader.logits(), expected)[0, 1] > 0.99


def test_every_question_is_answered_and_scored(stems: Path, manifest: Path, tiny_bundle: Path, cascade: Path) -> None:
    only = Controls(False, False, True, False, False, False)
    report = run_asa(
        AsaRequest(stems, "quick", tiny_bundle, controls=only, think=False, manifest=manifest, cascade=cascade)
    )
    assert str(cascade) in report["system"] and str(tiny_bundle) in report["system"]
    assert set(report["controls"]) == {"question_only"}
    assert 0.0 <= report["choice"]["overall"]["value"] <= 1.0


def test_a_job_is_answered_probe_by_probe(asa: AsaBench, examinee: CascadeExaminee) -> None:
    job = jobs_of(probes_of(asa.items, asa.clips, Controls.none()), asa.clips)[0]
    few = Job(job.clip, job.probes[:2])
    assert [line["id"] for line in examinee.answer(few)] == [probe.item.id for probe in few.probes]


def test_what_is_missing_or_contradictory_is_said(stems: Path, manifest: Path, tmp_path: Path, asa: AsaBench) -> None:
    with pytest.raises(InputError, match="no cascade at"):
        list(examine_cascade([], None, stems, tmp_path))
    with pytest.raises(UsageError, match="choose one"):
        run_asa(AsaRequest(stems, "quick", baseline="random", manifest=manifest, cascade=tmp_path))
