"""A bundle turned back into checkpoints: the same networks as before, ready to be trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from earshot.export.gguf_llm import write_gguf
from earshot.export.gguf_reader import read_gguf
from earshot.export.onnx_export import export_names, export_projector, export_semantic, export_spatial
from earshot.export.quantize import quantize_products
from earshot.export.targets import RECIPES
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.bundle.builtin import builtin_bundle_dir
from earshot.runtime.demo.scene import render_demo
from earshot.runtime.errors import InputError
from earshot.runtime.hearing.asked import ask_by_name, possible_classes
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.objects import class_of, object_rows, strongest_first
from earshot.training.models.causal import CausalConv2d
from earshot.training.models.load import TrainedNetworks, load_hearing, load_networks
from earshot.training.models.names import SAMPLES, Names, load_names
from earshot.training.stages.bank import encode_clips
from earshot.training.stages.command import app
from earshot.training.stages.restore import procedural_audio, restore_hearing, restore_names, restore_projector

BUNDLE = builtin_bundle_dir()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of the built-in bundle, made by the command."""
    folder = tmp_path_factory.mktemp("restored") / "run"
    result = CliRunner().invoke(app, ["restore", "--run", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def networks(run: Path) -> TrainedNetworks:
    """The restored networks, as the exporter loads them."""
    return load_networks(run)


def frames_of(name: str, path: Path, frames: int = 12) -> list[np.ndarray]:
    """What an encoder's graph says over some frames of noise, its state carried on (older graphs have less of it)."""
    graph = onnxruntime.InferenceSession(path)
    rng = np.random.default_rng(3)
    state: dict[str, np.ndarray] = {}
    heard = []
    for _ in range(frames):
        feed = {}
        for value in graph.get_inputs():
            if value.name.startswith("state."):
                feed[value.name] = state.get(value.name, np.zeros(value.shape, np.float32))
            elif value.name == "slot_class":
                feed[value.name] = np.array([[1, 5, 7, 9]])
            else:
                feed[value.name] = rng.standard_normal(value.shape, np.float32)
        outputs = dict(zip((v.name for v in graph.get_outputs()), graph.run(None, feed), strict=True))
        state = {f"state.{key[5:]}": value for key, value in outputs.items() if key.startswith("next.")}
        heard += [value for key, value in outputs.items() if not key.startswith("next.")]
    return heard


def test_language_model_and_projector_come_back_byte_for_byte(networks: TrainedNetworks, tmp_path: Path) -> None:
    write_gguf(networks.llm, networks.tokenizer_path, tmp_path / "llm.gguf", "Q8_0", "nano")
    assert (tmp_path / "llm.gguf").read_bytes() == (BUNDLE / "llm.gguf").read_bytes()
    export_projector(networks.projector, tmp_path / "projector.onnx")
    assert (tmp_path / "projector.onnx").read_bytes() == (BUNDLE / "projector.onnx").read_bytes()


@pytest.mark.parametrize(("name", "export"), [("semantic", export_semantic), ("spatial", export_spatial)])
def test_the_encoders_hear_as_before(name: str, export: object, networks: TrainedNetworks, tmp_path: Path) -> None:
    assert callable(export)
    export(getattr(networks, name), tmp_path / f"{name}.onnx")
    for before, after in zip(
        frames_of(name, BUNDLE / f"{name}.onnx"), frames_of(name, tmp_path / f"{name}.onnx"), strict=True
    ):
        np.testing.assert_allclose(after, before, atol=2e-3, rtol=1e-3)


def test_batch_norms_meet_in_training_what_they_have_settled_on() -> None:
    audio = procedural_audio(2)
    hearing = restore_hearing(BUNDLE, audio)
    for layer in (m for m in hearing.modules() if isinstance(m, CausalConv2d)):
        assert float((layer.norm.running_var - 1.0).abs().max()) > 0.01  # else it would only add a bias
    features = hearing.features(audio)
    settled = hearing.spatial.trunk.eval()(features)
    in_training = hearing.spatial.trunk.train()
    in_training.norm.eval()  # that of the features keeps what it learned
    torch.testing.assert_close(in_training(features), settled, atol=1e-3, rtol=1e-3)


def test_both_weights_of_the_checkpoint_are_the_same_and_training_starts_from_them(run: Path) -> None:
    shipped, raw = (load_file(run / "encoders" / f"{name}.safetensors") for name in ("model", "raw"))
    for name, value in raw.items():
        torch.testing.assert_close(shipped[name].float(), value.float())


def test_a_run_that_has_a_stage_is_not_touched(run: Path) -> None:
    result = CliRunner().invoke(app, ["restore", "--run", str(run)])
    assert result.exit_code == InputError.exit_code
    assert "restore into another run directory" in result.output


def test_quantized_encoders_are_refused(tmp_path: Path) -> None:
    for name in ("semantic", "spatial"):
        quantize_products(BUNDLE / f"{name}.onnx", tmp_path / f"{name}.onnx", RECIPES["x86"])
    with pytest.raises(InputError, match="not float32 weights of the network that is trained here"):
        restore_hearing(tmp_path, torch.zeros(1, 2, 16_000))


def test_what_is_no_projector_or_language_model_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no hybrid projector"):
        restore_projector(BUNDLE / "semantic.onnx")
    (tmp_path / "llm.gguf").write_bytes(b"no language model")
    with pytest.raises(InputError, match="not a readable GGUF file"):
        read_gguf(tmp_path / "llm.gguf")


def test_a_names_network_comes_back_as_its_file_holds_it(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Names().eval()
    network.trust.fill_(0.75)
    export_names(network, tmp_path / "names.onnx")
    restored = restore_names(tmp_path / "names.onnx")
    export_names(restored, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "names.onnx").read_bytes()
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, SAMPLES)).astype(np.float32))
    graph = onnxruntime.InferenceSession(tmp_path / "names.onnx")
    logits, trust = graph.run(["logits", "trust"], {"samples": samples.numpy()})
    with torch.no_grad():
        expected, said = restored(samples)
    np.testing.assert_allclose(logits, expected, atol=2e-3)
    np.testing.assert_allclose(trust, said)


def test_a_bank_hears_what_the_runtime_hears_and_finds_the_same_by_name(run: Path) -> None:
    audio = np.ascontiguousarray(render_demo(), np.float32)
    clip = encode_clips(load_hearing(run / "encoders"), [audio], load_names(run / "names"))[0]
    encoders = Encoders()
    encoders.load(BUNDLE)
    hearing = Hearing(encoders)
    hearing.process(AudioChunk(audio, 0))
    window = hearing.window()
    told = object_rows(window.tokens)
    assert object_rows(clip.tokens).keys() == told.keys()
    np.testing.assert_allclose(clip.tokens.semantic, window.tokens.semantic, atol=2e-2)
    probabilities = np.stack([frame.class_probability for frame in window.frames])
    wanted = [label for label in possible_classes(probabilities) if label not in told]
    assert [class_of(row) for row in clip.asked] == wanted
    assert wanted, "the demo leaves something to be asked for"
    np.testing.assert_allclose(
        clip.asked, ask_by_name(encoders, window.frames, wanted, strongest_first(told)), atol=3e-2
    )
