"""Averages of checkpoints: the mean of what they hold, and clear words where they do not go together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from earshot.training.stages.average import average
from earshot.training.stages.command import app
from tests.no_room import no_room
from tests.tiny import make_tokenizer


def checkpoint(folder: Path, value: float, width: int = 3, projector: bool = True) -> Path:
    """A stage as training leaves it behind."""
    folder.mkdir(parents=True)
    weights = {"a": torch.full((2, width), value), "half": torch.full((4,), value, dtype=torch.bfloat16)}
    save_file({**weights, "batches": torch.tensor(int(value))}, folder / "model.safetensors", {"format": "pt"})
    if projector:
        save_file({"b": torch.full((5,), -value)}, folder / "projector.safetensors")
    (folder / "config.json").write_text(json.dumps({"from": folder.parent.name}))
    (folder / "log.csv").write_text("step\n")
    (folder / "state").mkdir()
    (folder / "state" / "optimizer.safetensors").write_bytes(b"")
    return folder


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["average", *map(str, words)])
    return result.exit_code, result.output


def test_the_mean_of_seeds_is_a_checkpoint_like_the_first(tmp_path: Path) -> None:
    parts = [checkpoint(tmp_path / name / "sft", value) for name, value in (("one", 1.0), ("two", 3.0), ("three", 8.0))]
    code, said = run(*parts, "--out", tmp_path / "mean" / "sft")
    assert (code, json.loads(said.splitlines()[-1])["stage"]) == (0, "average")
    mean = load_file(tmp_path / "mean" / "sft" / "model.safetensors")
    torch.testing.assert_close(mean["a"], torch.full((2, 3), 4.0))
    assert mean["half"].dtype == torch.bfloat16 and mean["half"].float().unique().tolist() == [4.0]
    assert mean["batches"] == 1
    torch.testing.assert_close(load_file(tmp_path / "mean/sft/projector.safetensors")["b"], torch.full((5,), -4.0))
    with safe_open(tmp_path / "mean" / "sft" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert json.loads((tmp_path / "mean" / "sft" / "config.json").read_text()) == {"from": "one"}
    assert not (tmp_path / "mean" / "sft" / "state").exists() and not (tmp_path / "mean" / "sft" / "log.csv").exists()


def test_a_mean_that_cannot_be_written_whole_is_none(tmp_path: Path) -> None:
    parts = [checkpoint(tmp_path / name / "sft", value, width=20_000) for name, value in (("one", 1.0), ("two", 3.0))]
    with no_room(50_000):
        average(tmp_path / "mean" / "sft", parts)
    assert not (tmp_path / "mean" / "sft").exists()


def test_a_start_counts_as_much_as_it_is_told_to(tmp_path: Path) -> None:
    new, start = checkpoint(tmp_path / "new" / "encoders", 1.0), checkpoint(tmp_path / "old" / "encoders", 11.0)
    assert run(new, start, "--share", 0.85, "--share", 0.15, "--out", tmp_path / "both")[0] == 0
    torch.testing.assert_close(load_file(tmp_path / "both" / "model.safetensors")["a"], torch.full((2, 3), 2.5))


def test_parts_that_an_older_network_lacks_stay_as_they_are(tmp_path: Path) -> None:
    new, old = checkpoint(tmp_path / "new", 2.0), checkpoint(tmp_path / "old", 4.0)
    (old / "model.safetensors").unlink()
    save_file({"a": torch.full((2, 3), 4.0)}, old / "model.safetensors")
    assert run(new, old, "--out", tmp_path / "mean")[0] == 0
    mean = load_file(tmp_path / "mean" / "model.safetensors")
    assert mean["a"].unique().tolist() == [3.0] and mean["half"].float().unique().tolist() == [2.0]
    code, said = run(old, new, "--out", tmp_path / "other")
    assert code != 0 and "batches and 1 more tensors are not in the second" in " ".join(said.split())


def test_words_of_other_tokenizers_have_no_mean(tmp_path: Path) -> None:
    one, two = checkpoint(tmp_path / "one", 1.0), checkpoint(tmp_path / "two", 3.0)
    for folder, vocabulary in ((one, 300), (two, 320)):
        make_tokenizer(folder / "tokenizer.json", vocabulary)
    code, output = run(one, two, "--out", tmp_path / "mean")
    assert code == 3 and "are of other tokenizers" in " ".join(output.split())
    document = json.loads((one / "tokenizer.json").read_text())
    (two / "tokenizer.json").write_text(json.dumps(document))
    assert run(one, two, "--out", tmp_path / "mean")[0] == 0, "the same words, written otherwise"


@pytest.mark.parametrize(
    ("shares", "said"),
    [((0.5,), "one each"), ((0.5, 0.6), "adding up to 1"), ((1.0, 0.0), "above 0"), ((1.5, -0.5), "above 0")],
)
def test_shares_that_do_not_fit_are_told(tmp_path: Path, shares: tuple[float, ...], said: str) -> None:
    parts = [checkpoint(tmp_path / name, 1.0) for name in ("one", "two")]
    options = [word for share in shares for word in ("--share", share)]
    code, output = run(*parts, *options, "--out", tmp_path / "mean")
    assert (code, said in output) == (2, True)
    assert not (tmp_path / "mean").exists()


def test_what_does_not_go_together_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    one, wide = checkpoint(tmp_path / "one", 1.0), checkpoint(tmp_path / "wide", 1.0, width=4)
    bare, empty = checkpoint(tmp_path / "bare", 1.0, projector=False), tmp_path / "empty"
    empty.mkdir()
    for others, said in (
        ([wide], "a and 0 more tensors are not in the second"),
        ([bare], "no projector.safetensors"),
        ([empty], "no model.safetensors"),
        ([], "name two or more"),
    ):
        code, output = run(one, *others, "--out", tmp_path / "mean")
        assert code != 0 and said in " ".join(output.split()), output
        assert not (tmp_path / "mean").exists()
    assert "no weights" in " ".join(run(empty, one, "--out", tmp_path / "mean")[1].split())
    assert "exists" in " ".join(run(one, one, "--out", wide)[1].split())
