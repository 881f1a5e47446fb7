"""Pooling: ten frames make one token, exactly as the contract table of docs/architecture.md says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import features_of
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.objects import projector_inputs
from earshot.runtime.hearing.tokens import TokenPooler, TokenRing, Tokens, pool_frames
from tests.runtime.hearing.sounds import bursts


def random_frames(count: int, seed: int = 0, label: int = 5) -> list[HearingFrame]:
    rng = np.random.default_rng(seed)

    def values(*shape: int) -> np.ndarray:
        return rng.random(shape).astype(np.float32)

    return [
        HearingFrame(
            time_s=0.04 * (k + 1),
            class_probability=values(61),
            semantic_embedding=values(256),
            slot_class=np.array([label, -1, -1, -1]),
            slot_keep=np.ones(4, np.float32),
            activity=values(4),
            azimuth_posterior=values(4, 36),
            direction=values(4, 3),
            log_distance=values(4),
            level_db=values(4) - 40.0,
            scene_embedding=values(128),
            log_t60=float(values(1)[0]),
            count_probability=values(5),
        )
        for k in range(count)
    ]


def test_semantic_and_scene_parts_are_means_in_the_order_of_the_contract() -> None:
    frames = random_frames(10)
    tokens = pool_frames(frames)
    assert tokens.semantic.shape == (1, 317)
    assert tokens.scene.shape == (1, 134)
    np.testing.assert_allclose(tokens.semantic[0, :256], np.mean([f.semantic_embedding for f in frames], 0), rtol=1e-5)
    np.testing.assert_allclose(tokens.semantic[0, 256:], np.mean([f.class_probability for f in frames], 0), rtol=1e-5)
    np.testing.assert_allclose(tokens.scene[0, :128], np.mean([f.scene_embedding for f in frames], 0), rtol=1e-5)
    assert tokens.scene[0, 128] == pytest.approx(np.mean([f.log_t60 for f in frames]), rel=1e-5)
    np.testing.assert_allclose(tokens.scene[0, 129:], np.mean([f.count_probability for f in frames], 0), rtol=1e-5)


def test_slot_part_is_one_hot_five_pair_activities_posterior_direction_distance_level() -> None:
    frames = random_frames(10)
    slot = pool_frames(frames).slots[0, 0]
    assert slot.shape == (107,)
    assert slot[:61].argmax() == 5
    assert slot[:61].sum() == 1.0
    pairs = [np.mean([f.activity[0] for f in frames[i : i + 2]]) for i in range(0, 10, 2)]
    np.testing.assert_allclose(slot[61:66], pairs, rtol=1e-5)
    np.testing.assert_allclose(slot[66:102], np.mean([f.azimuth_posterior[0] for f in frames], 0), rtol=1e-5)
    np.testing.assert_allclose(slot[102:105], np.mean([f.direction[0] for f in frames], 0), rtol=1e-5)
    assert slot[105] == pytest.approx(np.mean([f.log_distance[0] for f in frames]), rel=1e-5)
    assert slot[106] == pytest.approx(0.1 * np.mean([f.level_db[0] for f in frames]), rel=1e-5)


def test_empty_slots_are_all_zero() -> None:
    assert not pool_frames(random_frames(10)).slots[0, 1:].any()


def test_a_slot_that_changed_hands_speaks_for_its_last_class_only() -> None:
    frames = random_frames(10)
    frames[:6] = [replace(f, slot_class=np.array([9, -1, -1, -1])) for f in frames[:6]]
    slot = pool_frames(frames).slots[0, 0]
    assert slot[:61].argmax() == 5
    assert not slot[61:64].any(), "the class did not hold the slot in the first three pairs"
    assert slot[64] == pytest.approx(np.mean([f.activity[0] for f in frames[6:8]]), rel=1e-5)
    np.testing.assert_allclose(slot[66:102], np.mean([f.azimuth_posterior[0] for f in frames[6:]], 0), rtol=1e-5)


def test_a_class_that_left_within_the_token_is_still_told() -> None:
    frames = random_frames(10)
    frames[5:] = [replace(f, slot_class=np.full(4, -1)) for f in frames[5:]]
    slot = pool_frames(frames).slots[0, 0]
    assert slot[:61].argmax() == 5
    assert slot[63] == pytest.approx(frames[4].activity[0] / 2, rel=1e-5)
    assert not slot[64:66].any()


@settings(max_examples=15, deadline=None)
@given(count=st.integers(0, 45), seed=st.integers(0, 99))
def test_stage_and_clip_function_agree(count: int, seed: int) -> None:
    frames = random_frames(count + 1, seed)
    pooler = TokenPooler()
    parts = [token for frame in frames if (token := pooler.process(frame))]
    joined, whole = Tokens.join(parts), pool_frames(frames)
    for name, values in whole.as_dict().items():
        np.testing.assert_array_equal(joined.as_dict()[name], values)


def test_the_ring_keeps_the_last_ten_seconds() -> None:
    frames = random_frames(300)
    ring = TokenRing()
    for start in range(0, 300, 10):
        ring.push(pool_frames(frames[start : start + 10]), frames[start : start + 10])
    assert len(ring.tokens()) == 25
    np.testing.assert_array_equal(ring.tokens().semantic, pool_frames(frames[50:]).semantic)
    ring.reset()
    assert len(ring.tokens()) == 0
    assert ring.tokens().slots.shape == (0, 4, 107)


def test_the_ring_knows_how_far_the_head_has_turned_since_each_token() -> None:
    pooler, ring = TokenPooler(), TokenRing()
    yaws = [*[170.0] * 10, *np.linspace(170.0, 190.0, 10), *[None] * 10, *[-170.0] * 10]
    for frame, yaw_deg in zip(random_frames(40), yaws, strict=True):
        token = pooler.process(frame, None if yaw_deg is None else (yaw_deg + 180.0) % 360.0 - 180.0)
        if token is not None:
            ring.push(token, pooler.frames, pooler.yaw_deg)
    assert ring.turned_deg(-170.0) == pytest.approx((-20.0, -10.0, 0.0, 0.0))
    assert ring.turned_deg(None) == (0.0, 0.0, 0.0, 0.0)
    ring.reset()
    assert ring.turned_deg(0.0) == ()


def test_real_streams_pool_without_surprises(encoders: Encoders) -> None:
    stream = encoders.open_stream()
    tokens = pool_frames([stream.step(features) for features in features_of(bursts())])
    assert len(tokens) == 17
    assert all(np.isfinite(values).all() for values in tokens.as_dict().values())
    inputs = projector_inputs(tokens)
    assert len(inputs.semantic) == 9
    assert encoders.project(tokens).shape == (len(inputs), encoders.embedding_width)
