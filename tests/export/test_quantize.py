"""int8 is kept where it is exact and fast enough, and never silently absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from earshot.export.onnx_export import export_semantic, export_spatial
from earshot.export.probe import encoder_steps, probe_audio
from earshot.export.quantize import quantize_graph, quantize_matrix_products, stream, worst_snr_db
from tests.tiny import make_encoders


@pytest.fixture(scope="module")
def float_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("float")
    semantic, spatial = make_encoders()
    export_semantic(semantic, folder / "semantic.onnx")
    export_spatial(spatial, folder / "spatial.onnx")
    return folder


@pytest.fixture(scope="module")
def steps(float_graphs: Path) -> dict[str, list[dict[str, np.ndarray]]]:
    audio = probe_audio()[:, : 4 * 16000]
    semantic, spatial = encoder_steps(float_graphs / "semantic.onnx", audio)
    return {"semantic": semantic, "spatial": spatial}


def copied(graph: Path, folder: Path) -> Path:
    (folder / graph.name).write_bytes(graph.read_bytes())
    return folder / graph.name


@pytest.mark.parametrize("name", ["semantic", "spatial"])
def test_int8_products_replace_float_ones_in_place(name: str, float_graphs: Path, steps: dict, tmp_path: Path) -> None:
    path = copied(float_graphs / f"{name}.onnx", tmp_path)
    expected, _ = stream(path, steps[name])
    report = quantize_graph(path, steps[name], "int8", min_snr_db=10)
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert report.kept == "int8"
    assert operators.count("MatMulInteger") == report.quantized_nodes >= 4
    assert "ConvInteger" not in operators and "Conv" in operators
    found, _ = stream(path, steps[name])
    assert worst_snr_db(expected, found) == pytest.approx(report.snr_db, abs=0.1)
    assert path.stat().st_size < 0.7 * (float_graphs / path.name).stat().st_size
    assert sorted(tmp_path.iterdir()) == [path]


def test_float_stays_when_int8_is_not_exact_enough(float_graphs: Path, steps: dict, tmp_path: Path) -> None:
    path = copied(float_graphs / "semantic.onnx", tmp_path)
    report = quantize_graph(path, steps["semantic"], "auto", min_snr_db=90)
    assert report.kept == "float32" and "of 90 dB" in report.reason
    assert path.read_bytes() == (float_graphs / path.name).read_bytes()


def test_float_stays_when_asked(float_graphs: Path, tmp_path: Path) -> None:
    path = copied(float_graphs / "semantic.onnx", tmp_path)
    assert quantize_graph(path, [], "float").kept == "float32"


def test_a_graph_without_products_is_refused(tmp_path: Path) -> None:
    shape = [1, 4]
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        tmp_path / "a.onnx",
    )
    with pytest.raises(ValueError, match="nothing to quantize"):
        quantize_matrix_products(tmp_path / "a.onnx", tmp_path / "b.onnx")


def test_snr_takes_the_worst_output_and_knows_identity() -> None:
    value = np.random.default_rng(0).normal(0, 1, (100, 3)).astype(np.float32)
    assert worst_snr_db({"a": value}, {"a": value}) > 100
    assert worst_snr_db({"a": value, "b": value}, {"a": value, "b": value + 0.1}) == pytest.approx(20, abs=1)
