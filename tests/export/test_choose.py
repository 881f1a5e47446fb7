"""The fastest format that passes the gate is kept; what fails it names the layer that costs most."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
import torch

from earshot.export.calibration import Calibration
from earshot.export.choose import QUANTIZED, Choice, Chooser, Costs, Gate
from earshot.export.gate import METRICS, Metric
from earshot.export.gate_scenes import gate_scenes
from earshot.export.meters import count_there, time_here
from earshot.export.onnx_export import export_names, export_projector, export_semantic, export_spatial
from earshot.export.probe import encoder_steps, probe_audio
from earshot.export.quantize import int8_nodes, quantize_products, stream, worst_snr_db
from earshot.export.quantize_static import quantized_nodes
from earshot.export.targets import QUANTIZED_AS, RECIPES, Encoding
from tests.tiny import make_encoders, make_names, make_projector


def costs_of(dynamic: tuple[float, float], static: tuple[float, ...]) -> Costs:
    """Of semantic, spatial and, where it is given, names; float costs 1."""
    steps = {"float32": (1.0, 1.0, 1.0), "int8": dynamic, "int8-static": static}
    return Costs({name: dict(zip(QUANTIZED_AS, values, strict=False)) for name, values in steps.items()}, "ms")


FASTER_SEMANTIC = costs_of((0.8, 1.1), (1.2, 1.1))
MIXED = costs_of((0.99, 0.5), (0.99, 0.6))
STATIC_FIRST = costs_of((0.8, 0.9), (0.7, 0.97))
ONLY_NAMES = costs_of((1.1, 1.1), (1.1, 1.1, 0.6))
LOOSE = {name: Metric(180.0, metric.rising) for name, metric in METRICS.items()}
IMPOSSIBLE = {**LOOSE, "top1": Metric(-2.0)}
"""Wants the smaller model to be right more than twice as often as always."""


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choose") / "float"
    semantic, spatial = make_encoders()
    export_semantic(semantic, folder / "semantic.onnx")
    export_spatial(spatial, folder / "spatial.onnx")
    export_projector(make_projector(hidden=64), folder / "projector.onnx")
    return folder


@pytest.fixture(scope="module")
def steps(floats: Path) -> dict:
    return encoder_steps(floats, probe_audio()[:, :16000])


def calibration_of(floats: Path) -> Calibration:
    return Calibration(floats, gate_scenes(None, 1, 1))


def choose(
    floats: Path, steps: dict, scratch: Path, costs: Costs | None, limits: dict, encoding: Encoding = "auto"
) -> tuple[Choice, Path]:
    chooser = Chooser(floats, scratch, RECIPES["pi5"], encoding, calibration_of(floats))
    gate = Gate(floats, gate_scenes(None, 2, 1), limits)
    return chooser.choose(steps, gate, lambda folders: costs), chooser.chosen


def test_the_faster_one_that_passes_is_kept(floats: Path, steps: dict, tmp_path: Path) -> None:
    choice, chosen = choose(floats, steps, tmp_path, MIXED, LOOSE)
    assert [report.kept for report in choice.reports] == ["float32", "int8"]
    assert choice.reports[0].reason == "int8 is not faster; int8-static is not faster"
    assert choice.reports[1].quantized_nodes == len(int8_nodes(chosen / "spatial.onnx")) >= 8
    assert (chosen / "semantic.onnx").read_bytes() == (floats / "semantic.onnx").read_bytes()
    assert choice.figures.keys() == {"top1", "azimuth_error_deg", "azimuth_over_20deg", "f1_20deg"}


def test_of_three_formats_the_fastest_is_kept_and_what_is_too_slow_not_tried(
    floats: Path, steps: dict, tmp_path: Path
) -> None:
    choice, chosen = choose(floats, steps, tmp_path, STATIC_FIRST, LOOSE)
    semantic, spatial = choice.reports
    assert (semantic.kept, spatial.kept) == ("int8-static", "int8")
    made = quantized_nodes(onnx.load(chosen / "semantic.onnx").graph)
    assert semantic.quantized_nodes == len(made) and {"/reduce/Gemm", "/layers.0/conv/Conv"} <= made
    assert spatial.quantized_nodes == len(int8_nodes(chosen / "spatial.onnx"))
    assert spatial.reason == "faster, passes the gate; int8-static is not faster"
    assert semantic.costs == {"float32": 1.0, "int8": 0.8, "int8-static": 0.7}


def test_when_the_fastest_fails_the_next_one_is_tried(
    floats: Path, steps: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chooser = Chooser(floats, tmp_path, RECIPES["pi5"], "auto", calibration_of(floats))
    judge = chooser._judge

    def judge_statics_bad(candidate: str, name: str, gate: Gate) -> tuple[dict, str | None]:
        return (gate.reference, "top1 loses") if candidate == "int8-static" else judge(candidate, name, gate)

    monkeypatch.setattr(chooser, "_judge", judge_statics_bad)
    gate = Gate(floats, gate_scenes(None, 2, 1), LOOSE)
    (semantic, _) = chooser.choose(steps, gate, lambda folders: STATIC_FIRST).reports
    assert semantic.kept == "int8"
    assert semantic.reason == "faster, passes the gate; int8-static: top1 loses"
    assert int8_nodes(chooser.chosen / "semantic.onnx")


@pytest.fixture(scope="module")
def with_names(floats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choose-names") / "float"
    shutil.copytree(floats, folder)
    export_names(make_names(), folder / "names.onnx")
    return folder


@pytest.fixture(scope="module")
def steps_with_names(with_names: Path) -> dict:
    return encoder_steps(with_names, probe_audio()[:, :32000])


def test_the_names_network_becomes_int8_where_that_is_faster(
    with_names: Path, steps_with_names: dict, tmp_path: Path
) -> None:
    choice, chosen = choose(with_names, steps_with_names, tmp_path, ONLY_NAMES, LOOSE)
    names = choice.reports[2]
    assert [report.kept for report in choice.reports] == ["float32", "float32", "int8-static"]
    assert names.reason == "faster, passes the gate" and names.costs == {"float32": 1.0, "int8-static": 0.6}
    assert names.quantized_nodes == len(quantized_nodes(onnx.load(chosen / "names.onnx").graph)) == 4
    assert 5 < names.snr_db < 100, "of the logits: trust, which never changes, says nothing"


def test_a_names_network_that_fails_the_gate_stays_float_and_names_a_layer(
    with_names: Path, steps_with_names: dict, tmp_path: Path
) -> None:
    choice, chosen = choose(with_names, steps_with_names, tmp_path, ONLY_NAMES, IMPOSSIBLE)
    reason = choice.reports[2].reason
    assert reason.startswith("weights stored in 16 bits; int8-static: top1 loses")
    assert "the layer that costs most is /network/trunk/layers/layers." in reason
    assert (chosen / "names.onnx").read_bytes() == (with_names / "names.onnx").read_bytes()


def test_names_stay_float_when_products_alone_are_to_become_int8(
    with_names: Path, steps_with_names: dict, tmp_path: Path
) -> None:
    choice, _ = choose(with_names, steps_with_names, tmp_path, None, LOOSE, "int8")
    assert [report.kept for report in choice.reports] == ["int8", "int8", "float32"]
    assert choice.reports[2].reason == "weights stored in 16 bits; it has no int8"


def test_of_the_names_network_only_what_is_made_is_timed(with_names: Path, steps_with_names: dict) -> None:
    costs = time_here({"float32": with_names, **dict.fromkeys(QUANTIZED, with_names)}, steps_with_names)
    assert costs.of("names").keys() == {"float32", "int8-static"} and min(costs.of("names").values()) > 0


def test_what_fails_the_gate_stays_float_and_names_a_layer(floats: Path, steps: dict, tmp_path: Path) -> None:
    choice, chosen = choose(floats, steps, tmp_path, FASTER_SEMANTIC, IMPOSSIBLE)
    assert [report.kept for report in choice.reports] == ["float32", "float32"]
    assert "top1 loses" in choice.reports[0].reason and "Gemm" in choice.reports[0].reason
    for name in ("semantic", "spatial"):
        assert (chosen / f"{name}.onnx").read_bytes() == (floats / f"{name}.onnx").read_bytes()


def test_the_costliest_layer_is_looked_for_on_pairs_too(floats: Path) -> None:
    """Scenes of one source come first: of the first thirty of 120 none was a pair, and no layer cost anything."""
    gate = Gate(floats, gate_scenes(None, 4, 2))
    assert gate.loss_of_few(floats, 3).keys() == gate.reference.keys()


def test_int8_or_nothing_is_refused_when_it_fails(floats: Path, steps: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"semantic.onnx in int8: top1 loses .* the layer that costs most is /"):
        choose(floats, steps, tmp_path, None, IMPOSSIBLE, "int8")


def test_the_format_asked_for_is_kept_when_it_passes(floats: Path, steps: dict, tmp_path: Path) -> None:
    choice, chosen = choose(floats, steps, tmp_path, None, LOOSE, "int8-static")
    assert [report.kept for report in choice.reports] == ["int8-static"] * 2
    for report in choice.reports:
        assert len(quantized_nodes(onnx.load(chosen / f"{report.graph}.onnx").graph)) == report.quantized_nodes


def test_a_board_that_cannot_be_counted_keeps_what_its_recipe_says(floats: Path, steps: dict, tmp_path: Path) -> None:
    choice, _ = choose(floats, steps, tmp_path, None, LOOSE)
    assert {report.kept for report in choice.reports} == {"float32"}
    assert "not known here" in choice.reports[0].reason


def test_the_spoilt_layer_is_the_one_that_is_named(tmp_path: Path, floats: Path, steps: dict) -> None:
    """One weight of each row 300 times as large as the rest: at 8 bits the rest of that layer vanishes."""
    from earshot.export.gate import costliest_layer

    semantic = make_encoders()[0]
    with torch.no_grad():
        semantic.reduce.weight[:, 0] *= 300
    export_semantic(semantic, tmp_path / "semantic.onnx")
    recipe = RECIPES["pi5"]
    expected, _ = stream(tmp_path / "semantic.onnx", steps["semantic"])
    (tmp_path / "small").mkdir()
    small = tmp_path / "small" / "semantic.onnx"

    def noise_without(layer: str) -> float:
        quantize_products(tmp_path / "semantic.onnx", small, recipe, (layer,))
        return -worst_snr_db(expected, stream(small, steps["semantic"])[0])

    layers = quantize_products(tmp_path / "semantic.onnx", small, recipe)
    assert costliest_layer(layers, noise_without)[0] == "/reduce/Gemm"


def test_time_is_measured_for_all_and_without_an_emulator_nothing_is_counted(
    floats: Path, steps: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"float32": floats, **dict.fromkeys(QUANTIZED, floats)}
    costs = time_here(folders, steps)
    assert costs.unit == "ms"
    for name in ("semantic", "spatial"):
        assert costs.of(name).keys() == folders.keys() and min(costs.of(name).values()) > 0
    monkeypatch.setenv("EARSHOT_AARCH64", str(tmp_path))
    assert count_there("pi4", folders, probe_audio()[:, :16000], ("semantic", "spatial")) is None
