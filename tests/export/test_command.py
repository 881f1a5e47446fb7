"""`earshot export` from a checkpoint to a bundle that answers; what does not pass a gate is not written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from earshot.export import command, pipeline
from earshot.export import networks as networks_module
from earshot.export.command import app
from earshot.export.gate import METRICS, Metric
from earshot.export.parity import check_language
from earshot.export.targets import RECIPES
from earshot.runtime.bundle.verify import verify_bundle
from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.interfaces import cli, registry
from earshot.runtime.interfaces.asking import Asker
from tests.tiny import make_encoders, make_llama, make_names, make_projector, make_tokenizer


@dataclass
class TinyNetworks:
    semantic: nn.Module
    spatial: nn.Module
    projector: nn.Module
    llm: nn.Module
    tokenizer_path: Path
    names: nn.Module | None = None


@pytest.fixture
def trained(tmp_path: Path) -> TinyNetworks:
    tokenizer = make_tokenizer(tmp_path / "checkpoint" / "tokenizer.json")
    return TinyNetworks(*make_encoders(), make_projector(hidden=128), make_llama(), tokenizer)


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch, trained: TinyNetworks, tmp_path: Path) -> Any:
    """Run the command with a loader that gives `trained`."""

    class Loader:
        def load(self) -> Any:
            return lambda checkpoint: trained

    monkeypatch.setattr(networks_module, "_loaders", lambda: {"tiny": Loader()})
    monkeypatch.setattr(command, "MADE_SINGLES", 2)
    monkeypatch.setattr(command, "MADE_PAIRS", 1)
    monkeypatch.setattr(command, "CALIBRATION_SINGLES", 1)
    monkeypatch.setattr(command, "CALIBRATION_PAIRS", 1)
    monkeypatch.setenv("EARSHOT_AARCH64", str(tmp_path / "no-emulator"))
    monkeypatch.setattr(cli, "load_command", lambda name: registry._as_command(name, app))
    base = ["export", str(tmp_path / "checkpoint"), "--loader", "tiny"]

    def run(*arguments: Any, out: str | None = "bundle") -> int:
        given = [] if out is None else ["--out", str(tmp_path / out)]
        return cli.run([*base, *given, *map(str, arguments)])

    return run


def test_a_checkpoint_becomes_a_bundle_that_answers(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "facts.json").write_text(
        json.dumps({"accuracy": {"azimuth_error_deg": 21.5}, "licences": {"weights": "CC BY-NC 4.0"}})
    )
    assert export("--facts", tmp_path / "facts.json", "--name", "tiny") == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["graph_error"] < 1e-3 and document["llm_correlation"] > 0.99
    assert document["gate"]["figures"].keys() == document["gate"]["reference"].keys() >= {"top1", "answers"}
    manifest = verify_bundle(tmp_path / "bundle")
    assert manifest.name == "tiny" and manifest.llm.quantization == "Q8_0"
    assert manifest.measured.accuracy == {"azimuth_error_deg": 21.5}
    assert manifest.licences == {"weights": "CC BY-NC 4.0"}
    assert "azimuth_error_deg | 21.5" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    sound = np.random.default_rng(0).normal(0, 0.1, (32000, 2))
    soundfile.write(tmp_path / "sound.wav", sound, 16000)
    asker = Asker(tmp_path / "bundle")
    asker.load()
    assert asker.ask(tmp_path / "sound.wav", "Which?", ["one", "two"]).choice in (0, 1)
    asker.close()


def test_a_names_network_goes_into_the_bundle_and_is_heard_by_the_gate(
    export: Any,
    trained: TinyNetworks,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[np.ndarray] = []
    name_sounds = Encoders.name_sounds
    monkeypatch.setattr(
        Encoders, "name_sounds", lambda self, samples: heard.append(samples) or name_sounds(self, samples)
    )
    trained.names = make_names()
    assert export("--target", "pi4", "--llm-quant", "F16") == 0
    assert len(heard) > 10, "the gate's scenes last seconds"
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0.0 < document["names_error"] < 1e-2
    assert [encoder["graph"] for encoder in document["encoders"]] == ["semantic", "spatial", "names"]
    assert "names.onnx" in verify_bundle(tmp_path / "bundle").files
    assert "| names.onnx | float32 | weights stored in 16 bits" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()


def test_names_become_int8_when_asked_for(
    export: Any,
    trained: TinyNetworks,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "limits_for", lambda scenes: {n: Metric(180.0, m.rising) for n, m in METRICS.items()})
    trained.names = make_names()
    assert export("--target", "pi4", "--encoders", "int8-static", "--llm-quant", "F16") == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [encoder["kept"] for encoder in document["encoders"]] == ["int8-static"] * 3
    verify_bundle(tmp_path / "bundle")
    encoders = Encoders()
    encoders.load(tmp_path / "bundle")
    assert encoders.name_sounds(np.zeros((1, 15600), np.float32)).trust == np.float32(0.7)
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "| names.onnx | int8-static | 4 matrix products and convolutions" in card


def test_a_loader_that_overlooks_the_names_network_is_told_of(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoint" / "names").mkdir()
    (tmp_path / "checkpoint" / "names" / "model.safetensors").write_bytes(b"weights")
    assert export() == 3
    assert "the loader 'tiny' does not read it" in capsys.readouterr().err


def test_the_same_checkpoint_gives_the_same_bytes(export: Any, tmp_path: Path) -> None:
    """For a board that cannot be counted here both encoders stay float; nothing that was timed may be in a bundle."""
    for out in ("first", "second"):
        assert export("--target", "pi4", "--llm-quant", "F16", out=out) == 0
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    assert "not known here" in (tmp_path / "first" / "MODEL_CARD.md").read_text()


def test_all_boards_in_one_table(export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, sound = tmp_path / "table.md", tmp_path / "short.wav"
    soundfile.write(sound, np.random.default_rng(0).normal(0, 0.1, (16000, 2)), 16000)
    short = ("--probe", sound, "--encoders", "float32", "--llm-quant", "F16")
    assert export("--all-targets", "--table", table, *short, out=None) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["board"] for row in document["rows"]] == list(RECIPES)
    for row in document["rows"]:
        assert row["host_ms"] > 0 and row["size_mb"] > 5
        assert row["board_estimate"] is None, "there is no emulator: blank, with the reason"
        assert row["note"]
    assert table.read_text().count("\n") == 2 + len(RECIPES)
    facts = {"targets": json.loads(table.with_suffix(".json").read_text())["targets"]}
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    assert export("--facts", tmp_path / "facts.json", "--target", "pi4", *short) == 0
    assert "| zero2w |" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()


def test_nothing_is_written_when_a_network_does_not_fit(
    export: Any, trained: TinyNetworks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.llm.config.rope_scaling = {"rope_type": "yarn", "factor": 2.0}
    assert export() == 3
    assert "RoPE" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_wrong_gguf_does_not_pass_the_gate(trained: TinyNetworks, tmp_path: Path) -> None:
    from earshot.export.gguf_llm import write_gguf

    write_gguf(make_llama(seed=9), trained.tokenizer_path, tmp_path / "llm.gguf", "F16")
    vectors = torch.zeros(3, 128).numpy()
    with pytest.raises(ValueError, match="follows its network"):
        check_language(trained.llm, trained.tokenizer_path, tmp_path / "llm.gguf", "F16", vectors)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--loader", "other"], 2, "no loader named 'other'"),
        (["--facts", "missing.json"], 3, "missing.json"),
        (["--probe", "missing.wav"], 3, "missing.wav"),
        (["--gate-data", "missing"], 3, "holds no shard"),
        (["--calibration-data", "missing"], 3, "holds no shard"),
        (["--gate-data", "stems", "--calibration-data", "./stems"], 2, "is the --gate-data"),
        (["--table", "t.md"], 2, "only with --all-targets"),
        (["--name", "my model"], 2, "--name 'my model': give letters"),
        (["--version", "v2"], 2, "--version 'v2': give a digit first"),
    ],
)
def test_failures_are_named(
    arguments: list[str], code: int, said: str, export: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(*arguments) == code
    told = capsys.readouterr().err
    assert said in told
    assert "encoders" not in told, "said before minutes are spent"


@pytest.mark.parametrize("boards", [[], ["--all-targets"]])
def test_a_place_that_holds_something_else_is_refused_before_minutes_are_spent(
    boards: list[str], export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "bundle" / ("pi4" if boards else "")
    place.mkdir(parents=True)
    (place / "MODEL_CARD.md").write_text("mine")
    (place / "notes.txt").write_text("mine")
    assert export(*boards) == 2
    told = capsys.readouterr().err
    assert "'notes.txt' is no part of a bundle" in told
    assert "encoders" not in told
    assert {path.read_text() for path in place.iterdir()} == {"mine"}


def test_a_file_in_the_place_of_the_bundle_is_refused_before_minutes_are_spent(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundle").write_text("mine")
    assert export() == 2
    assert "a bundle is a directory" in capsys.readouterr().err
    assert (tmp_path / "bundle").read_text() == "mine"


def test_a_place_below_a_file_is_refused_before_minutes_are_spent(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert export(out="file/below/bundle") == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'file'} is no folder that can be written to" in told
    assert "encoders" not in told


@pytest.mark.parametrize(("name", "said"), [("folder", "is a folder"), ("targets.json", "give another ending")])
def test_a_table_that_cannot_be_written_is_refused_before_minutes_are_spent(
    name: str, said: str, export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    assert export("--all-targets", "--table", tmp_path / name, out=None) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "encoders" not in told


def test_the_document_is_printed_when_the_table_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = command.Row("x86", 1.0, "float32", "Q8_0", {}, {}, 1.0, None)
    with pytest.raises(UsageError, match="cannot be written"):
        command._tell_all([row], {}, tmp_path / "gone" / "targets.md")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rows"][0]["board"] == "x86"


def test_figures_of_a_facts_file_are_numbers(export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "facts.json").write_text('{"accuracy": {"top1": NaN}}')
    assert export("--facts", tmp_path / "facts.json") == 3
    told = capsys.readouterr().err
    assert "accuracy.top1: Input should be a finite number" in told
    assert "; accuracy, speed, licences, commands, failures and targets are known" in told


def test_licences_that_no_manifest_holds_are_told_before_minutes_are_spent(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "facts.json").write_text('{"licences": {"weights": ""}}')
    assert export("--facts", tmp_path / "facts.json") == 3
    told = capsys.readouterr().err
    assert "licences.weights: String should have at least 1 character" in told
    assert "encoders" not in told


def test_whatever_a_loader_fails_with_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: TinyNetworks
) -> None:
    """Settings of another type made libraries that read them fail with errors of their own."""

    class Loader:
        def load(self) -> Any:
            def fails(checkpoint: Path) -> Any:
                raise TypeError("hidden_size:\n  expected int")

            return fails

    monkeypatch.setattr(networks_module, "_loaders", lambda: {"failing": Loader()})
    with pytest.raises(InputError, match=r"not a usable checkpoint \(hidden_size: expected int\)$"):
        networks_module.load_networks(tmp_path / "checkpoint", "failing")


def test_a_projector_that_is_not_its_network_is_not_exported(
    export: Any, trained: TinyNetworks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers were compared through the same graph, and a projector of NaN was exported."""
    with torch.no_grad():
        next(trained.projector.parameters()).fill_(torch.nan)
    assert export("--encoders", "float32", "--llm-quant", "F16") == 3
    assert "projector.onnx differs from its network by nan" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_missing_checkpoint_is_an_input_error(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoint" / "tokenizer.json").unlink()
    (tmp_path / "checkpoint").rmdir()
    assert export() == 3
    assert "no such checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("left", [None, b"{", b"{}"])
def test_a_missing_or_damaged_tokenizer_is_told_before_minutes_are_spent(
    left: bytes | None, export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "checkpoint" / "tokenizer.json"
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    assert export() == 3
    told = capsys.readouterr().err
    assert "tokenizer.json: no tokenizer can be read" in told
    assert "encoders" not in told


def test_the_project_registers_its_own_loader() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert 'default = "earshot.training.models.load:load_networks"' in pyproject
    assert metadata.version("earshot")
