"""The faster format that passes the gate is kept; what fails it names the layer that costs most."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from earshot.export.choose import Choice, Chooser, Costs, Gate
from earshot.export.gate import METRICS, Metric
from earshot.export.gate_scenes import gate_scenes
from earshot.export.meters import count_there, time_here
from earshot.export.onnx_export import export_projector, export_semantic, export_spatial
from earshot.export.probe import encoder_steps, probe_audio
from earshot.export.quantize import int8_nodes, quantize_products, stream, worst_snr_db
from earshot.export.targets import RECIPES, Encoding
from tests.tiny import make_encoders, make_projector

FASTER_SEMANTIC = Costs({"semantic": 1.0, "spatial": 1.0}, {"semantic": 0.8, "spatial": 1.1}, "ms")
MIXED = Costs({"semantic": 1.0, "spatial": 1.0}, {"semantic": 0.99, "spatial": 0.5}, "ms")
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
    semantic, spatial = encoder_steps(floats / "semantic.onnx", probe_audio()[:, :16000])
    return {"semantic": semantic, "spatial": spatial}


def choose(
    floats: Path, steps: dict, scratch: Path, costs: Costs | None, limits: dict, encoding: Encoding = "auto"
) -> tuple[Choice, Path]:
    chooser = Chooser(floats, scratch, RECIPES["pi5"], encoding)
    gate = Gate(floats, gate_scenes(None, 2, 1), limits)
    return chooser.choose(steps, gate, lambda a, b: costs), chooser.chosen


def test_the_faster_one_that_passes_is_kept(floats: Path, steps: dict, tmp_path: Path) -> None:
    choice, chosen = choose(floats, steps, tmp_path, MIXED, LOOSE)
    assert [report.kept for report in choice.reports] == ["float32", "int8"]
    assert choice.reports[0].reason == "int8 is not faster"
    assert choice.reports[1].quantized_nodes == len(int8_nodes(chosen / "spatial.onnx")) >= 8
    assert (chosen / "semantic.onnx").read_bytes() == (floats / "semantic.onnx").read_bytes()
    assert choice.figures.keys() == {"top1", "azimuth_error_deg", "azimuth_over_20deg", "f1_20deg"}


def test_what_fails_the_gate_stays_float_and_names_a_layer(floats: Path, steps: dict, tmp_path: Path) -> None:
    choice, chosen = choose(floats, steps, tmp_path, FASTER_SEMANTIC, IMPOSSIBLE)
    assert [report.kept for report in choice.reports] == ["float32", "float32"]
    assert "top1 loses" in choice.reports[0].reason and "Gemm" in choice.reports[0].reason
    for name in ("semantic", "spatial"):
        assert (chosen / f"{name}.onnx").read_bytes() == (floats / f"{name}.onnx").read_bytes()


def test_int8_or_nothing_is_refused_when_it_fails(floats: Path, steps: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"semantic.onnx in int8: top1 loses .* the layer that costs most is /"):
        choose(floats, steps, tmp_path, None, IMPOSSIBLE, "int8")


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


def test_time_is_measured_for_both_and_without_an_emulator_nothing_is_counted(
    floats: Path, steps: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = time_here(floats, floats, steps)
    assert costs.unit == "ms" and min(*costs.float32.values(), *costs.int8.values()) > 0
    monkeypatch.setenv("EARSHOT_AARCH64", str(tmp_path))
    assert count_there("pi4", floats, floats, probe_audio()[:, :16000]) is None
