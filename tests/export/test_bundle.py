"""A written bundle is accepted by the runtime, repeats bit for bit, and says what was measured."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from earshot.export import bundle
from earshot.export.bundle import BundleFacts, check_place, write_bundle
from earshot.export.card import model_card
from earshot.export.choose import QuantReport
from earshot.export.gate import limits_for
from earshot.export.gguf_llm import GgufReport, write_gguf
from earshot.runtime.bundle.verify import verify_bundle
from earshot.runtime.errors import UsageError
from tests.bundles import FACTS, make_tiny_bundle
from tests.tiny import make_llama, make_tokenizer


def test_the_runtime_accepts_what_was_written(tiny_bundle: Path) -> None:
    manifest = verify_bundle(tiny_bundle)
    assert manifest.llm.hidden == 128 and manifest.llm.context == 512
    assert manifest.llm.architecture == "llama" and manifest.llm.quantization == "F16"
    assert len(manifest.files) == 6


def test_the_same_networks_give_the_same_bytes(tiny_bundle: Path, tmp_path: Path) -> None:
    again = make_tiny_bundle(tmp_path / "bundle", tmp_path / "scratch")
    files = sorted(path.name for path in tiny_bundle.iterdir())
    assert files == sorted(path.name for path in again.iterdir())
    for name in files:
        assert (again / name).read_bytes() == (tiny_bundle / name).read_bytes(), name


def test_an_older_bundle_is_replaced_but_nothing_else(tiny_bundle: Path, tmp_path: Path) -> None:
    directory = make_tiny_bundle(tmp_path / "bundle", tmp_path / "scratch", seed=1)
    first = verify_bundle(directory).files["llm.gguf"]
    make_tiny_bundle(directory, tmp_path / "scratch", seed=0)
    assert verify_bundle(directory).files["llm.gguf"] != first
    (directory / "notes.txt").write_text("mine")
    written = (directory / "llm.gguf").read_bytes()
    with pytest.raises(UsageError, match=r"notes\.txt"):
        make_tiny_bundle(directory, tmp_path / "scratch", seed=1)
    assert (directory / "llm.gguf").read_bytes() == written, "refused before anything is replaced"


def test_an_older_bundle_stays_whole_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    directory = make_tiny_bundle(tmp_path / "bundle", tmp_path / "scratch")
    older = verify_bundle(directory)
    llm = write_gguf(make_llama(1), tmp_path / "scratch" / "tokenizer.json", tmp_path / "llm.gguf", "F16")
    graphs = {name: directory / name for name in ("semantic.onnx", "spatial.onnx", "projector.onnx")}
    with pytest.raises(OSError, match=r"gone\.gguf"):
        write_bundle(directory, graphs, replace(llm, path=tmp_path / "gone.gguf"), "card", FACTS)
    assert verify_bundle(directory) == older
    assert [path.name for path in tmp_path.glob("bundle*")] == ["bundle"], "no half bundle is left beside it"


@pytest.mark.parametrize("at", [1, 6, 7, 13, 14])
def test_an_older_bundle_comes_back_when_moving_is_interrupted(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an older bundle some files were gone already, and the rest belonged to a manifest that was not theirs."""
    directory = make_tiny_bundle(tmp_path / "bundle", tmp_path / "scratch", names=False)
    older = verify_bundle(directory)
    moves = []

    def move_but_once(source: Path, target: Path) -> None:
        moves.append(source)
        if len(moves) == at:
            raise KeyboardInterrupt
        shutil.copyfile(source, target)
        source.unlink()

    monkeypatch.setattr(bundle.shutil, "move", move_but_once)
    with suppress(KeyboardInterrupt):
        make_tiny_bundle(directory, tmp_path / "scratch", seed=1)
    assert (verify_bundle(directory) == older) == (at <= 13), "six files out of the way, seven into their place"
    assert [path.name for path in tmp_path.glob("bundle*")] == ["bundle"]


def test_a_folder_that_only_looks_like_a_half_bundle_is_not_removed(tmp_path: Path) -> None:
    mine = tmp_path / "bundle.partial" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"partial: 'notes\.txt' is no part of a bundle"):
        check_place(tmp_path / "bundle")
    (tmp_path / "other" / "llm.gguf").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"'llm\.gguf' is no part"):
        check_place(tmp_path / "other")
    assert mine.read_text() == "mine"


def test_a_names_network_that_the_new_bundle_has_not_is_removed(tmp_path: Path) -> None:
    directory = make_tiny_bundle(tmp_path / "bundle", tmp_path / "scratch")
    assert verify_bundle(directory).file_names[-1] == "names.onnx"
    make_tiny_bundle(directory, tmp_path / "without", names=False)
    assert not (directory / "names.onnx").exists()
    assert "names.onnx" not in verify_bundle(directory).files


def test_a_missing_graph_is_named(tmp_path: Path) -> None:
    llm = write_gguf(make_llama(), make_tokenizer(tmp_path / "tokenizer.json"), tmp_path / "llm.gguf", "F16")
    with pytest.raises(ValueError, match=r"semantic\.onnx, spatial\.onnx, projector\.onnx"):
        write_bundle(tmp_path / "bundle", {}, llm, "card", FACTS)


def test_the_card_holds_every_figure_and_licence() -> None:
    llm = GgufReport(Path("llm.gguf"), "llama", 256, 512, "Q8_0", {"Q8_0": 43}, 5_000_000)
    facts = BundleFacts("nano", "1.0", {"weights": "CC BY-NC 4.0"}, {"azimuth_error_deg": 12.345}, {"hop_ms": 0.31})
    facts = replace(facts, targets=[{"board": "pi4", "MB": "14.6"}])
    costs = {"float32": 0.21, "int8": 0.2, "int8-static": 0.22}
    encoder = QuantReport("spatial", "int8", "faster, passes the gate", 9, 38.2, costs, "ms")
    card = model_card(facts, llm, [encoder], {"top1": 0.5, "answers": 0.4}, {"top1": 0.49, "answers": 0.4}, 120)
    for text in (
        "nano 1.0",
        "azimuth_error_deg | 12.3",
        "hop_ms | 0.31",
        "CC BY-NC",
        "9 matrix products",
        "38.2 dB",
        "| top1 | 0.500 | 0.490 | 0.010 |",
        "120 scenes",
        "| pi4 | 14.6 |",
    ):
        assert text in card
    assert "Failure cases" not in card
    few = model_card(facts, llm, [encoder], {"top1": 0.5}, {"top1": 0.45}, 18, limits_for(18))
    assert "| top1 | 0.500 | 0.450 | 0.111 |" in few, "of few scenes two may be unlucky, and the card says so"
    static = model_card(facts, llm, [replace(encoder, kept="int8-static")])
    assert "| spatial.onnx | int8-static | 9 matrix products and convolutions" in static
    assert "Not measured" in model_card(replace(facts, accuracy={}), llm, [encoder])


def test_the_card_says_what_measured_a_figure_and_what_the_model_gets_wrong() -> None:
    llm = GgufReport(Path("llm.gguf"), "llama", 256, 512, "Q8_0", {"Q8_0": 43}, 5_000_000)
    facts = BundleFacts(
        "nano", "1.0", {}, {"single_top1": 0.6, "single_far": 0.3, "other": 1.0},
        commands={"single_": "earshot bench hearing", "single_far": "earshot bench far"},
        failures=("A fly is called a saw.", "Two dogs are one."),
    )  # fmt: skip
    card = model_card(facts, llm, [])
    for line in (
        "| single_top1 | 0.6 | `earshot bench hearing` |",
        "| single_far | 0.3 | `earshot bench far` |",
        "| other | 1 |  |",
        "## Failure cases\n\n- A fly is called a saw.\n- Two dogs are one.",
        "## Intended use",
    ):
        assert line in card
