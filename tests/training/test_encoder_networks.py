"""The encoders in torch: same features as the runtime, frame by frame = whole clip, blind to the future."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from earshot.runtime.hearing.features import features_of
from earshot.training.models.features import BinauralFeatures
from earshot.training.models.hearing import Hearing, equalise, mistake, rivals, warp_bands
from earshot.training.models.load import load_hearing
from earshot.training.models.semantic import LEVEL_CHANNELS, SemanticConfig, SemanticEncoder
from earshot.training.models.spatial import SpatialEncoder, SpatialOutput
from earshot.training.stages.bank import encode_clips


@pytest.fixture(scope="module")
def hearing() -> Hearing:
    torch.manual_seed(0)
    model = Hearing().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    again = model.spatial.again  # which adds nothing before it is trained
    for weights in (again.wanted.weight, again.correct.weight):
        torch.nn.init.normal_(weights, std=0.2)
    torch.nn.init.constant_(again.rivalry, 0.5)
    return model


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, (2, samples)).astype(np.float32)


def test_torch_and_numpy_features_agree() -> None:
    audio = noise(16_000)
    audio[:, 4000:6000] = 0
    twin = BinauralFeatures()(torch.from_numpy(audio)[None])[0].transpose(0, 1).numpy()
    assert np.abs(twin - features_of(audio)).max() < 1e-4


@torch.no_grad()
def test_semantic_steps_equal_the_whole_clip(hearing: Hearing) -> None:
    features = hearing.features(torch.from_numpy(noise(12_800))[None])
    whole = hearing.semantic(features)
    encoder: SemanticEncoder = hearing.semantic
    state = encoder.initial_state()
    for frame in range(features.shape[2]):
        out, state = encoder.step(features[:, :, frame : frame + 1], state)
        assert torch.allclose(out["logits"], whole.logits[:, frame], atol=1e-4)
        assert torch.allclose(out["embedding"], whole.embedding[:, frame], atol=1e-4)
        assert torch.allclose(out["keys"], whole.keys[:, :, frame], atol=1e-4)


@torch.no_grad()
def test_spatial_steps_equal_the_whole_clip(hearing: Hearing) -> None:
    features = hearing.features(torch.from_numpy(noise(12_800))[None])
    semantic = hearing.semantic(features)
    encoder: SpatialEncoder = hearing.spatial
    queries, claims = torch.tensor([[3, 17, 40, 60]]), torch.tensor([[1.0, 1.0, 0.0, 1.0]])
    whole = encoder(features, semantic.embedding, semantic.keys, queries, claims)
    state = encoder.initial_state()
    for frame in range(features.shape[2]):
        out, state = encoder.step(
            features[:, :, frame : frame + 1],
            semantic.embedding[:, frame],
            semantic.keys[:, :, frame],
            queries,
            torch.ones(1, 4),
            claims,
            state,
        )
        assert torch.allclose(out["slot_activity"], whole.activity[:, :, frame], atol=1e-4)
        assert torch.allclose(out["slot_azimuth"], torch.softmax(whole.azimuth[:, :, frame], -1), atol=1e-4)
        assert torch.allclose(out["slot_direction"], whole.direction[:, :, frame], atol=1e-4)
        assert torch.allclose(out["slot_level"], whole.level[:, :, frame], atol=1e-3)
        assert torch.allclose(out["room_log_t60"], whole.log_t60[:, frame], atol=1e-4)


@torch.no_grad()
def test_a_slot_that_is_not_kept_forgets(hearing: Hearing) -> None:
    encoder: SpatialEncoder = hearing.spatial
    features = hearing.features(torch.from_numpy(noise(6400))[None])
    semantic = hearing.semantic(features)
    arguments = (semantic.embedding[:, 0], semantic.keys[:, :, 0], torch.tensor([[1, 2, 3, 4]]))
    used = encoder.initial_state()
    used |= {name: torch.randn_like(used[name]) for name in ("slots", "slots_again")}
    all_of_them = torch.ones(1, 4)
    fresh, _ = encoder.step(features[:, :, :1], *arguments, all_of_them, all_of_them, encoder.initial_state())
    reset, _ = encoder.step(features[:, :, :1], *arguments, torch.zeros(1, 4), all_of_them, used)
    assert torch.allclose(fresh["slot_azimuth"], reset["slot_azimuth"], atol=1e-6)


@torch.no_grad()
def test_the_encoders_do_not_see_the_future(hearing: Hearing) -> None:
    audio = noise(12_800)
    changed = audio.copy()
    changed[:, 6400:] = noise(6400, seed=1)
    queries = torch.tensor([[5, 6]])
    first, second = (hearing(torch.from_numpy(a)[None], queries) for a in (audio, changed))
    assert torch.allclose(first[0].logits[:, :10], second[0].logits[:, :10], atol=1e-5)
    assert torch.allclose(first[1].azimuth[:, :, :10], second[1].azimuth[:, :, :10], atol=1e-5)
    assert not torch.allclose(first[1].azimuth[:, :, 12:], second[1].azimuth[:, :, 12:], atol=1e-3)


@torch.no_grad()
def test_encoders_that_heard_with_one_ear_hear_as_before(hearing: Hearing, tmp_path: Path) -> None:
    narrow = SemanticEncoder(SemanticConfig(inputs=len(LEVEL_CHANNELS))).eval()
    saved = {
        name: value
        for name, value in hearing.state_dict().items()
        if not name.startswith(("semantic.", "spatial.far.", "spatial.again."))
    }
    saved |= {f"semantic.{name}": value for name, value in narrow.state_dict().items()}
    save_file(saved, tmp_path / "model.safetensors")
    features = hearing.features(torch.from_numpy(noise(6400))[None])
    heard = load_hearing(tmp_path).semantic(features)
    before = narrow(features[:, LEVEL_CHANNELS])
    assert torch.allclose(heard.logits, before.logits, atol=1e-6)
    assert torch.allclose(heard.keys, before.keys, atol=1e-6)


@torch.no_grad()
def test_the_second_look_changes_nothing_before_it_is_trained() -> None:
    model = Hearing().eval()
    _, heard = model(torch.from_numpy(noise(12_800))[None], torch.tensor([[5, 6, 7, 8]]))
    for name in ("activity", "azimuth", "direction", "log_distance", "mask"):
        assert torch.equal(getattr(heard, name), getattr(heard.first, name))


@torch.no_grad()
def test_slots_compete_for_cells_but_those_that_only_ask_claim_nothing(hearing: Hearing) -> None:
    features = hearing.features(torch.from_numpy(noise(12_800))[None])
    semantic = hearing.semantic(features)

    def heard(queries: list[int], claims: list[float]) -> SpatialOutput:
        asked, claiming = torch.tensor([queries]), torch.tensor([claims])
        out: SpatialOutput = hearing.spatial(features, semantic.embedding, semantic.keys, asked, claiming)
        return out

    alone, beside, rivals = heard([5], [1.0]), heard([5, 6, 7], [1.0, 0.0, 0.0]), heard([5, 6, 7], [1.0, 1.0, 1.0])
    assert torch.allclose(alone.azimuth[:, 0], beside.azimuth[:, 0], atol=1e-5)
    assert (rivals.mask[:, 0] < alone.mask[:, 0]).all(), "what others claim is claimed from this one"
    assert not torch.allclose(heard([6], [0.0]).azimuth[:, 0], beside.azimuth[:, 1], atol=1e-3), (
        "who asks hears less too"
    )


@torch.no_grad()
def test_what_a_slot_hears_does_not_depend_on_its_place(hearing: Hearing) -> None:
    audio = torch.from_numpy(noise(12_800))[None]
    first, second = (hearing(audio, torch.tensor([queries]))[1] for queries in ([5, 6, 7], [7, 5, 6]))
    assert torch.allclose(first.azimuth[:, [0, 1, 2]], second.azimuth[:, [1, 2, 0]], atol=1e-4)


def test_bank_tokens_have_the_contract_shapes(hearing: Hearing) -> None:
    first, second = (heard.tokens for heard in encode_clips(hearing, [noise(80_000), noise(64_000)]))
    assert first.semantic.shape == (12, 317)
    assert first.slots.shape == (12, 4, 107)
    assert second.scene.shape == (10, 134)
    assert np.isfinite(first.semantic).all()


def test_a_warped_spectrum_moves_along_frequency_and_back() -> None:
    levels = torch.zeros(1, 2, 3, 64)
    levels[..., 40] = 1.0
    assert torch.equal(warp_bands(levels, torch.ones(1)), levels)
    higher = warp_bands(levels, torch.tensor([1.2]))[0, 0, 0]
    assert int(higher.argmax()) > 41
    smooth = torch.sin(torch.linspace(0, 3, 64)).expand(1, 2, 3, 64)
    back = warp_bands(warp_bands(smooth, torch.tensor([1.1])), torch.tensor([1 / 1.1]))
    assert (back - smooth)[..., :58].abs().max() < 0.01, "the highest bands are lost at the edge"


def test_an_equaliser_at_both_ears_changes_levels_only() -> None:
    features = torch.randn(3, 8, 5, 64)
    out = equalise(features, 0.3)
    assert torch.equal(out[:, [1, 2, 3, 5, 6, 7]], features[:, [1, 2, 3, 5, 6, 7]])
    change = out[:, [0, 4]] - features[:, [0, 4]]
    assert change.abs().max() > 0.1
    assert change.std(dim=(1, 2)).max() < 1e-5, "the same at all times"


def test_a_rival_is_likely_and_absent() -> None:
    logits = torch.full((2, 6, 61), -8.0)
    logits[:, :, [3, 40]], logits[:, 2, 50] = 4.0, 2.0
    asked = torch.tensor([[3, 8, 20, 30], [3, 40, 20, 30]])
    heard = torch.zeros(2, 4, 6)
    heard[0, 0], heard[1, :2] = 1.0, 1.0
    mistaken = torch.tensor([[40, 8, 20, 30], [3, 40, 20, 30]])
    drawn = rivals(mistaken, asked, heard, logits, 1.0)
    assert drawn[0, 0] == 40
    assert drawn[1, :2].tolist() == [3, 40], "queries for sounds that are there stay"
    absent = [*drawn[0, 1:].tolist(), *drawn[1, 2:].tolist()]
    assert 50 in absent
    assert not {3, 40} & set(absent), "neither what is there nor what is asked about already"
    assert torch.equal(rivals(mistaken, asked, heard, logits, 0.0), mistaken)


def test_an_encoder_of_names_that_is_fixed_stays_as_it_is(hearing: Hearing) -> None:
    model = Hearing().train()
    model.fix_names()
    before = {name: value.clone() for name, value in model.semantic.state_dict().items()}
    semantic, spatial = model(torch.from_numpy(noise(6400))[None], torch.tensor([[3, 8]]))
    assert not semantic.logits.requires_grad
    spatial.azimuth.sum().backward()
    assert model.spatial.query.weight.grad is not None
    assert all(torch.equal(value, before[name]) for name, value in model.semantic.state_dict().items())


def test_a_mistaken_query_is_what_the_sound_was_taken_for() -> None:
    queries = torch.tensor([[3, 8, 20]])
    heard = torch.zeros(1, 3, 4)
    heard[0, 0] = 1.0
    logits = torch.full((1, 4, 61), -9.0)
    logits[..., [3, 8]] = 9.0
    logits[..., 5] = 5.0
    assert torch.equal(mistake(queries, heard, logits, 0.0), queries)
    assert mistake(queries, heard, logits, 1.0).tolist() == [[5, 8, 20]], "never one that is asked for anyway"
