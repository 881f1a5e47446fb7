"""A projector of any kind is aligned, tuned, resumed and exported as the hybrid one is."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from earshot.export.bundle import write_bundle
from earshot.export.card import model_card
from earshot.export.gguf_llm import write_gguf
from earshot.export.onnx_export import export_projector
from earshot.runtime.bundle.verify import verify_bundle
from earshot.runtime.errors import InputError
from earshot.runtime.hearing.encoders import Encoders
from earshot.training.models.llm import TINY, load_llm
from earshot.training.models.projector import load_projector
from earshot.training.models.projector_parts import Kind
from earshot.training.stages import alignment, sft
from earshot.training.stages.audio_items import AudioMix
from earshot.training.stages.bank_reader import FeatureBank
from earshot.training.stages.command import app
from earshot.training.stages.loop import LoopSettings
from tests.bundles import FACTS
from tests.runtime.tiny_bundle import write_tiny_networks

LOOP = LoopSettings(steps=3, log_steps=1, precision="fp32", warmup_steps=1, checkpoint_s=0.0)
MIX = AudioMix(batch_items=4, chunk_batches=2, replay_share=0.25)
VARIANTS: tuple[Kind, ...] = ("mlp", "dual")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, start: Path, bank: Path) -> dict[Kind, Path]:
    """Checkpoints of sft behind alignment, of each variant."""
    out: dict[Kind, Path] = {}
    for kind in VARIANTS:
        run = tmp_path_factory.mktemp(kind)
        list(alignment.run(run / "alignment", start, bank, alignment.AlignmentSettings(LOOP, MIX, projector=kind)))
        list(sft.run(run / "sft", run / "alignment", bank, sft.SftSettings(LOOP, MIX)))
        out[kind] = run / "sft"
    return out


@pytest.mark.parametrize("kind", VARIANTS)
def test_sft_goes_on_with_the_kind_that_was_aligned(tuned: dict[Kind, Path], kind: Kind) -> None:
    assert json.loads((tuned[kind] / "projector.json").read_text())["kind"] == kind
    aligned, trained = (load_projector(tuned[kind].parent / stage, kind) for stage in ("alignment", "sft"))
    before, after = aligned.state_dict(), trained.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("gain"))


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_resumed_run_makes_the_steps_of_an_unbroken_one(tmp_path: Path, start: Path, bank: Path, kind: Kind) -> None:
    settings = alignment.AlignmentSettings(replace(LOOP, steps=4), MIX, projector=kind)
    whole = [record["loss"] for record in alignment.run(tmp_path / "whole", start, bank, settings)]
    broken = alignment.run(tmp_path / "broken", start, bank, settings)
    list(itertools.islice(broken, 3))  # stopped behind the checkpoint of step 2
    broken.close()
    again = alignment.run(tmp_path / "broken", start, bank, replace(settings, projector=None), resume=True)
    assert [record["loss"] for record in again] == pytest.approx(whole[2:], abs=1e-4)


def test_another_kind_than_what_is_begun_with_is_refused(tmp_path: Path, tuned: dict[Kind, Path], bank: Path) -> None:
    settings = sft.SftSettings(LOOP, MIX, projector="hybrid")
    with pytest.raises(InputError, match="holds a dual projector, not hybrid"):
        next(sft.run(tmp_path, tuned["dual"], bank, settings))


def test_a_kind_that_is_not_known_is_exit_code_2(tmp_path: Path) -> None:
    for stage in ("alignment", "sft"):
        result = CliRunner().invoke(app, [stage, "--bank", str(tmp_path), "--projector", "triple"])
        assert result.exit_code == 2 and "choose hybrid, mlp, dual" in result.output


@pytest.mark.slow  # importing trl
@pytest.mark.parametrize("kind", VARIANTS)
def test_reinforcement_hears_through_a_variant(tuned: dict[Kind, Path], bank: Path, kind: Kind) -> None:
    trainer = pytest.importorskip("earshot.training.stages.grpo_trainer", reason="trl is not installed")
    model = load_llm(tuned[kind])
    ears = trainer.give_ears(model, load_projector(tuned[kind]))
    heard = ears.hear([FeatureBank(bank).audio(2)])[0]
    model(input_ids=torch.tensor([heard])).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in ears.projector.parameters())


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_bundle_of_a_variant_is_valid_and_hears_as_it_was_trained(
    tmp_path: Path, tuned: dict[Kind, Path], bank: Path, kind: Kind
) -> None:
    networks = write_tiny_networks(tmp_path / "networks", hidden=TINY.hidden)
    projector = load_projector(tuned[kind]).eval()
    export_projector(projector, networks / "projector.onnx")
    graphs = {f"{name}.onnx": networks / f"{name}.onnx" for name in ("semantic", "spatial", "projector")}
    llm = write_gguf(load_llm(tuned[kind]), tuned[kind] / "tokenizer.json", tmp_path / "llm.gguf", "F16")
    write_bundle(tmp_path / "bundle", graphs, llm, model_card(FACTS, llm, ()), FACTS)
    verify_bundle(tmp_path / "bundle")
    encoders = Encoders()
    encoders.load(tmp_path / "bundle")
    audio = FeatureBank(bank).audio(3)
    expected = projector(**{name: torch.from_numpy(part) for name, part in audio.as_dict().items()})
    np.testing.assert_allclose(encoders.project_inputs(audio), expected.detach().numpy(), atol=1e-4)
