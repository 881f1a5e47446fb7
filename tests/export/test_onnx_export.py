"""An exported graph, stepped frame by frame, is the torch network."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from earshot.export.onnx_export import export_names, export_projector, export_semantic, export_spatial, export_streaming
from earshot.export.parity import check_names
from earshot.export.probe import probe_audio
from earshot.runtime.bundle.onnx_check import check_onnx
from earshot.runtime.hearing.networks import Network, open_network
from tests.tiny import make_encoders, make_names, make_projector

FRAMES = 30


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    semantic, spatial = make_encoders()
    export_semantic(semantic, folder / "semantic.onnx")
    export_spatial(spatial, folder / "spatial.onnx")
    export_projector(make_projector(hidden=128), folder / "projector.onnx")
    return folder


def features(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (frames, 1, 8, 1, 64)).astype(np.float32)


def spatial_inputs(frames: int, seed: int = 1) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "features": f,
            "semantic_embedding": rng.normal(0, 0.5, (1, 256)).astype(np.float32),
            "semantic_keys": rng.normal(0, 0.5, (1, 96, 8)).astype(np.float32),
            "slot_class": rng.integers(0, 61, (1, 4)),
            "slot_keep": rng.integers(0, 2, (1, 4)).astype(np.float32),
            "slot_claims": rng.integers(0, 2, (1, 4)).astype(np.float32),
        }
        for f in features(frames, seed)
    ]


@torch.no_grad()
def assert_same_stream(module: torch.nn.Module, network: Network, steps: list[dict[str, np.ndarray]]) -> None:
    state, onnx_state = module.initial_state(), network.initial_state()
    for inputs in steps:
        expected, state = module.step(**{k: torch.from_numpy(v) for k, v in inputs.items()}, state=state)
        outputs, onnx_state = network.run(inputs, onnx_state)
        assert set(outputs) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(outputs[name], value.numpy(), atol=1e-4, err_msg=name)
    for name, value in state.items():
        np.testing.assert_allclose(onnx_state[f"state.{name}"], value.numpy(), atol=1e-4, err_msg=name)


def test_semantic_graph_streams_like_the_network(graphs: Path) -> None:
    steps = [{"features": f} for f in features(FRAMES)]
    assert_same_stream(make_encoders()[0], open_network(graphs / "semantic.onnx"), steps)


def test_spatial_graph_streams_like_the_network(graphs: Path) -> None:
    assert_same_stream(make_encoders()[1], open_network(graphs / "spatial.onnx"), spatial_inputs(FRAMES))


@torch.no_grad()
def test_streamed_semantic_graph_equals_the_whole_clip(graphs: Path) -> None:
    clip = features(FRAMES)
    whole = make_encoders()[0](torch.from_numpy(clip[:, 0, :, 0]).permute(1, 0, 2)[None])
    network = open_network(graphs / "semantic.onnx")
    state = network.initial_state()
    for t, f in enumerate(clip):
        outputs, state = network.run({"features": f}, state)
        np.testing.assert_allclose(outputs["logits"][0], whole.logits[0, t].numpy(), atol=1e-3)


@pytest.mark.parametrize("tokens", [1, 3, 25])
@torch.no_grad()
def test_projector_takes_any_number_of_tokens(graphs: Path, tokens: int) -> None:
    rng = np.random.default_rng(tokens)
    shapes = {"semantic": (tokens, 317), "scene": (tokens, 134), "objects": (tokens // 2 + 1, 299)}
    inputs = {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    expected = make_projector(hidden=128)(**{k: torch.from_numpy(v) for k, v in inputs.items()})
    outputs, _ = open_network(graphs / "projector.onnx").run(inputs, {})
    np.testing.assert_allclose(outputs["embeddings"], expected.numpy(), atol=1e-4)


def test_graphs_hold_no_paths_and_repeat_bit_for_bit(graphs: Path, tmp_path: Path) -> None:
    export_semantic(make_encoders()[0], tmp_path / "semantic.onnx")
    again = (tmp_path / "semantic.onnx").read_bytes()
    assert again == (graphs / "semantic.onnx").read_bytes()
    for path in graphs.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        assert model.opset_import[0].version >= 17
        assert not model.metadata_props
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
        assert not re.search(rb"[a-z_]{4,}\.py\b", path.read_bytes())


def test_exporting_leaves_a_network_in_evaluation_mode(tmp_path: Path) -> None:
    """The exporter of torch put it back into training mode, and batch norms changed with every later step."""
    semantic, projector = make_encoders()[0], make_projector(hidden=64)
    export_semantic(semantic, tmp_path / "semantic.onnx")
    export_projector(projector, tmp_path / "projector.onnx")
    assert not any(m.training for m in [*semantic.modules(), *projector.modules()])


def test_a_network_with_other_outputs_is_refused(tmp_path: Path) -> None:
    semantic = make_encoders()[0]
    with pytest.raises(ValueError, match="lacks the outputs count_logits"):
        export_streaming(semantic, {"features": torch.zeros(1, 8, 1, 64)}, tmp_path / "spatial.onnx")
    with pytest.raises(ValueError, match="not a streaming network"):
        export_semantic(torch.nn.Linear(3, 3), tmp_path / "semantic.onnx")


def test_the_names_graph_is_the_network_but_for_the_rounding_of_its_weights(tmp_path: Path) -> None:
    names = make_names()
    export_names(names, tmp_path / "names.onnx")
    check_onnx(tmp_path / "names.onnx")
    assert 0.0 < check_names(names, tmp_path / "names.onnx", probe_audio()) < 2e-3
    with pytest.raises(ValueError, match=r"names\.onnx differs from its network by"):
        check_names(make_names(seed=1), tmp_path / "names.onnx", probe_audio())
    short = probe_audio()[:, :8000]
    assert check_names(names, tmp_path / "names.onnx", short) < 2e-3, "a sound shorter than a second is heard too"
    assert not any(module.training for module in names.modules())


def test_large_weights_and_tables_of_the_names_graph_are_stored_in_16_bits(tmp_path: Path) -> None:
    export_names(make_names(), tmp_path / "names.onnx")
    graph = onnx.load(tmp_path / "names.onnx").graph
    kinds = {"FLOAT": 1, "FLOAT16": 10}
    large = {tuple(w.dims): w.data_type for w in graph.initializer if np.prod(w.dims) >= 1000}
    assert large == dict.fromkeys([(66, 1, 64), (64, 16, 1, 1), (256, 64, 1, 1), (61, 256)], kinds["FLOAT16"])
    small = {w.data_type for w in graph.initializer if np.prod(w.dims) < 1000}
    assert kinds["FLOAT"] in small and kinds["FLOAT16"] not in small
    assert not [a for n in graph.node if n.op_type == "Constant" for a in n.attribute if np.prod(a.t.dims) >= 1000]
    assert (tmp_path / "names.onnx").stat().st_size < 2.5 * sum(np.prod(dims) for dims in large)


def test_the_names_graph_repeats_bit_for_bit(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        export_names(make_names(), tmp_path / folder / "names.onnx")
    first, second = ((tmp_path / folder / "names.onnx").read_bytes() for folder in ("first", "second"))
    assert first == second
    assert not re.search(rb"[a-z_]{4,}\.py\b", first)


def test_a_weight_too_large_for_16_bits_is_refused(tmp_path: Path) -> None:
    names = make_names()
    with torch.no_grad():
        names.head.weight[3, 5] = 7e4
    with pytest.raises(ValueError, match=r"head\.weight: a weight of 70000, 65504 is the most"):
        export_names(names, tmp_path / "names.onnx")
