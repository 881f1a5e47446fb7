"""The encoder sessions: shared weights, separate streams, generic state, refusals that say what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from earshot.runtime.errors import BundleError
from earshot.runtime.hearing.encoders import Encoders, EncoderStream
from earshot.runtime.hearing.features import features_of
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.tokens import Tokens
from tests.runtime.hearing.sounds import bursts, noise
from tests.runtime.tiny_bundle import HIGH_CLASS, LOW_CLASS, MIDDLE_CLASS, write_tiny_networks


def hear(stream: EncoderStream, samples: np.ndarray) -> list[HearingFrame]:
    return [stream.step(frame) for frame in features_of(samples)]


def same(first: HearingFrame, second: HearingFrame) -> bool:
    return all(
        np.array_equal(value, getattr(other, name))
        for one, other in ((first, second), (first.evidence, second.evidence))
        for name, value in vars(one).items()
        if name != "evidence"
    )


def test_noise_is_heard_as_its_classes_on_the_louder_side(encoders: Encoders) -> None:
    frame = hear(encoders.open_stream(), noise(1.5, left=0.2, right=0.05))[-1]
    assert set(frame.slot_class.tolist()) == {LOW_CLASS, MIDDLE_CLASS, HIGH_CLASS, -1}
    bins_deg = -175.0 + 10.0 * np.arange(36)
    assert bins_deg[frame.azimuth_posterior[0].argmax()] > 20.0
    assert frame.direction[0, 1] > 0.0


def test_frame_carries_probabilities_and_the_time_of_its_end(encoders: Encoders) -> None:
    frames = hear(encoders.open_stream(), bursts())
    assert frames[0].time_s == pytest.approx(0.04)
    assert frames[-1].time_s == pytest.approx(7.0)
    for frame in frames[::10]:
        assert ((frame.class_probability >= 0) & (frame.class_probability <= 1)).all()
        assert frame.count_probability.sum() == pytest.approx(1.0, abs=1e-5)
        assert ((frame.activity >= 0) & (frame.activity <= 1)).all()


def test_an_empty_slot_says_nothing(encoders: Encoders) -> None:
    frame = hear(encoders.open_stream(), np.zeros((2, 640), np.float32))[0]
    assert (frame.slot_class == -1).all()
    for values in (frame.activity, frame.azimuth_posterior, frame.direction, frame.log_distance):
        assert not values.any()


def test_streams_do_not_disturb_each_other(encoders: Encoders) -> None:
    first, second = encoders.open_stream(), encoders.open_stream()
    features = features_of(bursts())
    mixed = []
    for index, frame in enumerate(features):
        mixed.append(first.step(frame))
        second.step(features[-1 - index])
    alone = hear(encoders.open_stream(), bursts())
    assert all(same(a, b) for a, b in zip(mixed, alone, strict=True))


def test_reset_equals_a_fresh_stream_and_state_matters(encoders: Encoders) -> None:
    used, fresh = encoders.open_stream(), encoders.open_stream()
    hear(used, noise(1.0, seed=3))
    assert not same(hear(used, noise(0.04))[0], hear(fresh, noise(0.04))[0])
    used.reset()
    fresh.reset()
    assert all(same(a, b) for a, b in zip(hear(used, bursts()), hear(fresh, bursts()), strict=True))


def test_a_stream_that_recalls_has_not_heard_what_came_between(encoders: Encoders) -> None:
    used, fresh = encoders.open_stream(), encoders.open_stream()
    hear(used, noise(1.0, 0.2, 0.05)), hear(fresh, noise(1.0, 0.2, 0.05))
    memory = used.memory()
    for _ in range(2):
        hear(used, np.zeros((2, 64_000), np.float32))
        used.recall(memory)
        both = zip(hear(used, bursts()), hear(fresh, bursts()), strict=True)
        assert all(same(replace(one, time_s=other.time_s), other) for one, other in both)
        fresh.recall(memory)


def test_projector_takes_any_number_of_tokens_also_none(encoders: Encoders) -> None:
    rng = np.random.default_rng(0)
    shapes = (317,), (134,), (4, 107)
    silent = [rng.standard_normal((25, *shape)).astype(np.float32) for shape in shapes[:2]] + [np.zeros((25, 4, 107))]
    together = encoders.project(Tokens(*silent))
    assert together.shape == (13 + 1, encoders.embedding_width)
    two = encoders.project(Tokens(*(array[:2] for array in silent)))
    np.testing.assert_allclose(two[0], together[0], atol=1e-5)
    assert encoders.project(Tokens(*(array[:0] for array in silent))).shape == (0, encoders.embedding_width)


def test_constructing_cannot_fail_and_using_before_loading_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"call load\(bundle_dir\) first"):
        Encoders().open_stream()


def test_a_missing_graph_is_named(tmp_path: Path) -> None:
    write_tiny_networks(tmp_path)
    (tmp_path / "spatial.onnx").unlink()
    with pytest.raises(BundleError, match=r"spatial\.onnx: missing"):
        Encoders().load(tmp_path)


def test_a_damaged_graph_is_refused_in_one_line(tmp_path: Path) -> None:
    write_tiny_networks(tmp_path)
    (tmp_path / "semantic.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"semantic\.onnx: not a usable ONNX graph") as caught:
        Encoders().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_graph_that_loses_its_state_is_refused(tmp_path: Path) -> None:
    write_tiny_networks(tmp_path)
    model = onnx.load(tmp_path / "spatial.onnx")
    lost = next(output for output in model.graph.output if output.name == "next.side")
    model.graph.output.remove(lost)
    onnx.save(model, tmp_path / "spatial.onnx")
    with pytest.raises(BundleError, match=r"state\.side has no output next\.side"):
        Encoders().load(tmp_path)


def test_a_graph_with_another_interface_is_refused(tmp_path: Path) -> None:
    write_tiny_networks(tmp_path)
    (tmp_path / "semantic.onnx").write_bytes((tmp_path / "projector.onnx").read_bytes())
    with pytest.raises(BundleError, match=r"semantic\.onnx: inputs .* \['features'\] needed"):
        Encoders().load(tmp_path)
