"""Checkpoints that are damaged or of another network: one line that says which file, and nothing half written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from earshot.runtime.errors import InputError
from earshot.training.models.hearing import Hearing
from earshot.training.models.llm import TINY, build_llm, load_llm, save_llm
from earshot.training.models.load import load_hearing
from earshot.training.models.names import Names, load_names, save_names
from earshot.training.models.projector import build_projector, load_projector, save_projector
from earshot.training.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from earshot.training.models.weights import load_tensors, save_tensors
from earshot.training.stages import checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each kind of network, untrained; not to be changed by a test."""
    folder = tmp_path_factory.mktemp("run")
    save_llm(build_llm(TINY), folder / "sft")
    save_projector(build_projector("hybrid", 64, 0.1), folder / "sft")
    save_tokenizer(train_tokenizer(items=200), folder / "sft")
    save_names(Names(61), folder / "names")
    hearing = Hearing()
    checkpoint.save_weights(folder / "encoders", hearing, checkpoint.MovingAverage(hearing))
    return folder


READERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "model": (load_llm, "sft/model.safetensors"),
    "config": (load_llm, "sft/config.json"),
    "projector": (load_projector, "sft/projector.safetensors"),
    "shape": (load_projector, "sft/projector.json"),
    "tokenizer": (load_tokenizer, "sft/tokenizer.json"),
    "names": (load_names, "names/model.safetensors"),
    "encoders": (load_hearing, "encoders/model.safetensors"),
}


def broken(run: Path, out: Path, name: str, content: bytes) -> Path:
    """A copy of the folder of a file, that file with another content."""
    source = run / name
    target = out / name
    target.parent.mkdir(parents=True)
    for path in source.parent.glob("*.*"):
        (target.parent / path.name).write_bytes(path.read_bytes())
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("kind", READERS)
def test_a_file_that_was_cut_off_is_named(kind: str, run: Path, tmp_path: Path) -> None:
    load, name = READERS[kind]
    path = broken(run, tmp_path, name, (run / name).read_bytes()[:100])
    with pytest.raises(InputError, match="damaged") as caught:
        load(path.parent)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["model", "projector", "names", "encoders"])
def test_weights_of_another_network_are_named(kind: str, run: Path, tmp_path: Path) -> None:
    load, name = READERS[kind]
    path = broken(run, tmp_path, name, b"")
    save_tensors({"head.bias": torch.zeros(61), "model.norm.weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="the weights of another network") as caught:
        load(path.parent)
    assert str(path) in str(caught.value)


def test_settings_without_a_size_make_no_network_of_seven_billion_weights(run: Path, tmp_path: Path) -> None:
    path = broken(run, tmp_path, "sft/config.json", b"{}")
    with pytest.raises(InputError, match="no settings of a language model"):
        load_llm(path.parent)


def test_what_is_written_may_be_read_by_whoever_may_read_the_folder(run: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (run / "sft").iterdir()}
    assert len(set(modes.values())) == 1, modes


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    save_tensors({"a": torch.arange(3.0)}, tmp_path / "a.safetensors", {"format": "pt"})
    torch.testing.assert_close(load_tensors(tmp_path / "a.safetensors")["a"], torch.arange(3.0))
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize(
    ("progress", "moment"),
    [({}, torch.zeros(2, 2)), ({"step": 3}, torch.zeros(5))],
    ids=["no step", "moments of another shape"],
)
def test_a_state_that_does_not_fit_is_refused(progress: dict[str, int], moment: torch.Tensor, tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2, bias=False)
    optimizer = torch.optim.AdamW(layer.parameters())
    optimizer.state[layer.weight]["exp_avg"] = moment
    checkpoint.save_state(tmp_path, optimizer, dict(layer.named_parameters()), progress)
    with pytest.raises(InputError, match="not a checkpoint of this network"):
        checkpoint.load_state(tmp_path, torch.optim.AdamW(layer.parameters()), dict(layer.named_parameters()))
