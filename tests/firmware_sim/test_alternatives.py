"""The graphs that ours is timed against are what they are called, and the timing compares like with like."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from earshot.firmware_sim import alternative_graphs as graphs
from earshot.firmware_sim.alternatives import measure_alternatives, median_ms, time_int8
from earshot.firmware_sim.salsa_lite import ALIASING_HZ, HOP_SAMPLES, SPEED_OF_SOUND_M_S, phase_scale, salsa_lite
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.features import FRAME_SAMPLES
from earshot.runtime.interfaces.loading import open_encoders
from tests.runtime.tiny_bundle import write_tiny_networks

RNG = np.random.default_rng(0)


def run(model: object, value: np.ndarray) -> np.ndarray:
    graphs.check(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])  # type: ignore[attr-defined]
    return np.asarray(session.run(None, {"input": value})[0])


def test_the_seldnet_has_its_published_size_and_answers_every_100_ms() -> None:
    model, parameters = graphs.seldnet()
    assert parameters == pytest.approx(885_000, rel=0.01)
    found = run(model, RNG.standard_normal(graphs.SELDNET_SHAPE, np.float32))
    assert found.shape == (1, 100, 156)
    assert np.isfinite(found).all()
    assert found.std() > 1e-4, "values did not vanish: a network of zeros may be faster than a real one"


def test_a_layer_of_the_vit_has_vit_bases_shape_and_twelve_have_its_size() -> None:
    model, one = graphs.vit_base(layers=1)
    found = run(model, RNG.standard_normal(graphs.VIT_SHAPE, np.float32))
    assert found.shape == (1, 515, 768)
    assert np.isfinite(found).all()
    layer = 4 * (768 * 768 + 768) + 768 * 3072 + 3072 + 3072 * 768 + 768 + 4 * 768
    outside = one - layer
    assert 12 * layer + outside == pytest.approx(86e6, rel=0.01)


def test_weights_are_seeded() -> None:
    assert graphs.seldnet(3)[0] == graphs.seldnet(3)[0]
    assert graphs.seldnet(3)[0] != graphs.seldnet(4)[0]


def test_salsa_lite_finds_the_path_difference_of_a_delayed_noise() -> None:
    """The right ear hears the same five samples later: 5 / 16000 s, 10.7 cm; a low sound stays unambiguous."""
    noise = np.cumsum(RNG.standard_normal(6_000))
    noise -= np.convolve(noise, np.ones(64) / 64, "same")
    ears = np.stack([noise[105:5_000], noise[100:4_995]]).astype(np.float32)[:, : 192 + 10 * HOP_SAMPLES]
    features = salsa_lite(ears)
    assert features.shape == (3, 10, 256)
    below = slice(4, 40)  # 156 Hz to 1.25 kHz
    assert np.median(features[2, :, below]) == pytest.approx(5 / 16_000 * SPEED_OF_SOUND_M_S, rel=0.1)
    assert not phase_scale()[np.arange(1, 257) * 31.25 > ALIASING_HZ].any()


def test_the_salsa_lite_graph_says_the_same_as_numpy() -> None:
    samples = RNG.standard_normal(graphs.SALSA_SHAPE, np.float32)
    ours, theirs = salsa_lite(samples), run(graphs.salsa_lite_graph(), samples)
    assert theirs.shape == ours.shape == (3, 2, 256)
    np.testing.assert_allclose(theirs[:2], ours[:2], atol=2e-3)
    assert np.median(np.abs(theirs[2] - ours[2])) < 1e-4, "but for phases near 180 degrees"


def test_time_is_processor_time_of_the_work_alone() -> None:
    calls = []
    assert median_ms(lambda: calls.append(1), 5) >= 0
    assert len(calls) == 6


@pytest.mark.parametrize("needs", ["onnx"])
def test_without_onnx_the_extra_is_named(needs: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "earshot.firmware_sim.alternative_graphs")
    monkeypatch.delattr("earshot.firmware_sim.alternative_graphs")
    monkeypatch.setitem(sys.modules, needs, None)
    with pytest.raises(UsageError, match=r"earshot\[export\]"):
        measure_alternatives(tmp_path, np.zeros((2, 6400), np.float32))


def test_all_are_timed_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earshot.firmware_sim.alternatives.ROUNDS", 1)
    bundle = write_tiny_networks(tmp_path / "networks")
    samples = RNG.standard_normal((2, 16_000)).astype(np.float32)
    found = measure_alternatives(bundle, 0.1 * samples, vit_layers=1)
    names = [item["name"] for item in found["items"]]
    assert [name.split()[0] for name in names] == ["SALSA-Lite", "SALSA-Lite", "SELDNet-size", "SELDNet-size", "ViT"]
    for item in found["items"]:
        if "skipped" not in item:
            assert item["ours_ms"] > 0
            # Printed to three decimals each: a ratio of 0.042 may stand for 0.0424.
            assert item["ratio"] == pytest.approx(item["theirs_ms"] / item["ours_ms"], rel=0.05, abs=0.001)
    assert found["int8"]["int8_ms"] > 0
    assert "speed only" in found["note"]


def test_the_built_in_networks_run_with_int8_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their stacks of matrices stay float: no kernel takes them with a scale for each column."""
    monkeypatch.setattr("earshot.firmware_sim.alternatives.ROUNDS", 1)
    directory, encoders = open_encoders(None)
    pieces = list(0.1 * RNG.standard_normal((12, 2, FRAME_SAMPLES)).astype(np.float32))
    assert time_int8(directory, encoders, pieces)["int8_ms"] > 0
