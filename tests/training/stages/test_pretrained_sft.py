"""Two processes train adapters of a tiny Qwen2; one is killed, and the run that is resumed ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("peft", reason="peft is not installed")

from accelerate import debug_launcher
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.state import AcceleratorState

from earshot.runtime.errors import InputError
from earshot.training.models.pretrained import LoraShape, load_causal, load_shape, save_shape
from earshot.training.models.projector import load_projector
from earshot.training.models.tokenizer import load_tokenizer
from earshot.training.models.weights import save_settings, save_tensors
from earshot.training.stages import pretrained_sft as stage
from earshot.training.stages.audio_items import AudioMix
from earshot.training.stages.loop import LoopSettings
from tests.tiny import make_qwen2, make_tokenizer
from tests.training.stages.conftest import losses

RECIPES = Path(stage.__file__).parents[1] / "recipes"
LOOP = LoopSettings(steps=4, log_steps=1, warmup_steps=1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> stage.PretrainedSettings:
    directory = tmp_path_factory.mktemp("qwen2")
    make_qwen2(hidden=64, layers=1).save_pretrained(directory)
    make_tokenizer(directory / "tokenizer.json")
    mix = AudioMix(batch_items=6, chunk_batches=8)  # a batch norm needs more than one sound
    return stage.PretrainedSettings(LoraShape(str(directory), 4, 8), LOOP, mix, checkpoint_steps=2)


def in_two_processes(
    directory: Path, bank: Path, settings: stage.PretrainedSettings, resume: bool, killed_at: int
) -> None:
    """What each process runs; the second one kills itself after step `killed_at`."""
    AcceleratorState._reset_state(reset_partial_state=True)  # other tests of this process may have left one
    torch.set_num_threads(1)
    for record in stage.run(directory, bank, settings, resume):
        if record["step"] == killed_at and AcceleratorState().process_index == 1:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_run_is_resumed_and_ends_like_one_that_was_not(
    tmp_path: Path, bank: Path, settings: stage.PretrainedSettings
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    debug_launcher(in_two_processes, (whole, bank, settings, False, 0))
    with pytest.raises(Exception, match="SIGKILL"):
        debug_launcher(in_two_processes, (broken, bank, settings, False, 3))
    assert json.loads((broken / "state" / "state.json").read_text()) == {"step": 2}
    debug_launcher(in_two_processes, (broken, bank, settings, True, 0))
    assert losses(broken)[-2:] == pytest.approx(losses(whole)[-2:], abs=1e-4)
    ours, expected = load_file(broken / "trained.safetensors"), load_file(whole / "trained.safetensors")
    assert all(torch.allclose(ours[name], expected[name], atol=1e-5) for name in expected)

    network = load_causal(whole)
    base = load_causal(Path(settings.shape.name))
    assert network.config.model_type == "qwen2"
    assert not torch.equal(network.model.layers[0].mlp.up_proj.weight, base.model.layers[0].mlp.up_proj.weight)
    assert load_projector(whole).shape.hidden == 64
    assert load_tokenizer(whole).token_to_id("<audio>") is not None


def test_a_folder_of_another_kind_is_not_written_over(
    tmp_path: Path, bank: Path, settings: stage.PretrainedSettings
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="another folder"):
        next(stage.run(tmp_path, bank, replace(settings)))


@pytest.mark.parametrize("changes", [{"rank": 8}, {"alpha": 4}, {"name": "another"}])
def test_a_run_of_another_model_is_not_resumed_and_stays_as_it_is(
    changes: dict[str, Any], tmp_path: Path, bank: Path, settings: stage.PretrainedSettings
) -> None:
    save_shape(settings.shape, tmp_path)
    (tmp_path / "state").mkdir()
    save_settings({"step": 2}, tmp_path / "state" / "state.json")
    other = replace(settings, shape=replace(settings.shape, **changes))
    with pytest.raises(InputError, match=rf"{settings.shape.name} with --rank 4"):
        next(stage.run(tmp_path, bank, other, resume=True))
    assert load_shape(tmp_path) == settings.shape


def test_a_checkpoint_that_does_not_fit_is_one_line(
    tmp_path: Path, bank: Path, settings: stage.PretrainedSettings
) -> None:
    save_shape(settings.shape, tmp_path)
    (tmp_path / "state").mkdir()
    save_settings({"step": 2}, tmp_path / "state" / "state.json")
    save_tensors({"projector.some": torch.zeros(1)}, tmp_path / "trained.safetensors")
    with pytest.raises(InputError, match="not a checkpoint of this network"):
        next(stage.run(tmp_path, bank, settings, resume=True))


def test_what_cannot_be_written_is_one_line_under_accelerate_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    arguments = ["questions", "--out", str(tmp_path / "file" / "items.jsonl"), "--count", "1"]
    command = [sys.executable, "-m", "earshot.training.stages.command", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2 and "name another place" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.slow
@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a device for each process")
@pytest.mark.parametrize("name", ["cpu", "ddp"])
def test_processes_without_a_device_know_of_each_other(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom earshot.training.stages.pretrained_sft import start_accelerator\n"
        "found = start_accelerator()\nPath(sys.argv[1], f'{found.process_index}.txt').write_text(f'{found.num_processes}')\n"
    )
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2"]
    launch += ["--config_file", str(RECIPES / f"accelerate-{name}.yaml"), str(script), str(tmp_path)]
    subprocess.run(launch, check=True, capture_output=True, env={**os.environ, "MASTER_PORT": "0"})
    assert {path.name: path.read_text() for path in tmp_path.glob("*.txt")} == {"0.txt": "2", "1.txt": "2"}


@pytest.mark.parametrize("name", ["cpu", "ddp", "fsdp"])
def test_configurations_of_accelerate_are_understood(name: str) -> None:
    config = load_config_from_file(str(RECIPES / f"accelerate-{name}.yaml"))
    assert config.num_processes >= 2
    assert config.use_cpu == (name == "cpu")
    assert bool(config.fsdp_config) == (name == "fsdp")
