"""Feature banks: what the frozen encoders make of many scenes, pooled to audio tokens, for the language stages.

The slots are allocated by the runtime's own code and every slot's memory starts when it starts in the runtime, so that
projector and language model learn from exactly what they will get.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from earshot.runtime.errors import InputError
from earshot.runtime.hearing.asked import possible_classes, rounds
from earshot.runtime.hearing.objects import OBJECT_WIDTH, object_rows, strongest_first
from earshot.runtime.hearing.presence import present
from earshot.runtime.hearing.slots import EMPTY, allocate
from earshot.runtime.hearing.tokens import FRAMES_PER_TOKEN, Tokens, pool_tokens
from earshot.training.files import replace_array, replace_text, together
from earshot.training.models.hearing import Hearing
from earshot.training.models.names import SAMPLES, Names, of_both
from earshot.training.models.spatial import masked_level_db
from earshot.training.stages.doubt import Doubt
from earshot.training.synthesis.dataset import Shard, iterate_scenes, open_shards, splits_of
from earshot.training.synthesis.scenes import Scene, fully_known, restrict

FRAME_SAMPLES = 640
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class BankSettings:
    """How bank scenes are drawn from stem scenes.

    Attributes
    ----------
    mixtures : int
        Mixtures per rendered scene.
    source_counts : tuple of float
        Probabilities of 0, 1, 2, 3 sources.
    duration_s : (float, float)
        Range of scene lengths.
    swap_probability : float
        How often the ears are exchanged (and the truth mirrored).
    doubt : bool
        Names as unsure as those of sounds that were never heard; see `doubt`. Those of validation scenes are so already.
    """

    mixtures: int = 3
    source_counts: tuple[float, float, float, float] = (0.04, 0.31, 0.38, 0.27)
    duration_s: tuple[float, float] = (5.0, 10.0)
    swap_probability: float = 0.5
    gain_db: float = 2.5
    background_db: tuple[float, float] = (-6.0, 6.0)
    level_db: float = 8.0
    batch: int = 16
    seed: int = 11
    doubt: bool = False


def build_bank(
    data: Path, model: Hearing, out: Path, settings: BankSettings = BankSettings(), names: Names | None = None
) -> int:
    """Encode mixtures of all scenes of a stem data set; returns the number of bank scenes.

    Parameters
    ----------
    data : Path
        Folder of stem shards.
    model : Hearing
        Trained encoders, in evaluation mode.
    names : Names, optional
        The names network, if the bundle will have one.
    out : Path
        Gets ``scenes.jsonl`` (with ``bank_row``, ``tokens`` and ``asked_rows``), ``semantic.npy``, ``scene.npy``, ``slots.npy``, and
        ``asked.npy``: rows of the classes that hearing had not told of but would find when they are named.

    Raises
    ------
    InputError
        There is no shard, or no scene in them that can be asked about.
    """
    rng = np.random.default_rng(settings.seed)
    shards = open_shards(data)
    heard_before = "validation" not in splits_of(shards)
    doubt = Doubt(model.semantic.classify, settings.seed) if settings.doubt and heard_before else None
    known = [(s, row) for s, row in iterate_scenes(shards) if fully_known(s.scenes[row])]
    if not known:
        raise InputError(f"{data}: no scene whose distances are all known; render others with `earshot synth stems`")
    work = [item for item in known for _ in range(settings.mixtures)]
    scenes: list[Scene] = []
    tokens: list[Tokens] = []
    asked: list[FloatArray] = []
    row = asked_row = 0
    for first in track(range(0, len(work), settings.batch), description="encoding", console=Console(stderr=True)):
        drawn = [mix_scene(shard, index, settings, rng) for shard, index in work[first : first + settings.batch]]
        clips = encode_clips(model, [audio for _, audio in drawn], names, doubt, [scene for scene, _ in drawn])
        for (scene, _), heard in zip(drawn, clips, strict=True):
            count = len(heard.tokens)
            place = {"bank_row": row, "tokens": count, "asked_rows": [asked_row, asked_row + len(heard.asked)]}
            scenes.append({**scene, **place, "id": f"{scene['id']}-{len(scenes)}"})
            tokens.append(_halved(heard.tokens))
            asked.append(cast(FloatArray, heard.asked.astype(np.float16)))
            row, asked_row = row + count, asked_row + len(heard.asked)
    _write(out, scenes, Tokens.join(tokens), np.concatenate([*asked, np.zeros((0, OBJECT_WIDTH), np.float16)]))
    return len(scenes)


def _halved(tokens: Tokens) -> Tokens:
    """The tokens rounded as they will be stored, in half of the memory."""
    return Tokens(*(cast(FloatArray, part.astype(np.float16)) for part in tokens.as_dict().values()))


def _write(out: Path, scenes: list[Scene], tokens: Tokens, asked: FloatArray) -> None:
    """Write the files of a bank, all or none: a full disk leaves the one that was there."""
    out.mkdir(parents=True, exist_ok=True)
    with together():
        for name, part in {**tokens.as_dict(), "asked": asked}.items():
            replace_array(out / f"{name}.npy", part.astype(np.float16))
        replace_text(out / "scenes.jsonl", "".join(json.dumps(scene) + "\n" for scene in scenes))
        (out / "scenes.jsonl").unlink(missing_ok=True)  # killed while files are moved: no bank, not one of two


def mix_scene(shard: Shard, row: int, settings: BankSettings, rng: np.random.Generator) -> tuple[Scene, FloatArray]:
    """A random mixture of a rendered scene's stems: its description and its audio [2, samples]."""
    scene = shard.scenes[row]
    count = int(rng.choice(4, p=settings.source_counts))
    low, high = settings.duration_s
    duration_s = float(np.floor(rng.uniform(low, min(high, scene["duration_s"]) + 0.39) / 0.4) * 0.4)
    early = [i for i, s in enumerate(scene["sources"]) if s["onset_s"] < duration_s - 0.8]
    keep = sorted(rng.permutation(early)[:count].tolist())
    mixed = restrict(scene, keep, round(duration_s, 1))
    samples = int(duration_s * 16_000)
    audio = 10 ** (rng.uniform(*settings.background_db) / 20) * shard.stems[row, -1, :, :samples].astype(np.float32)
    for source in mixed["sources"]:
        gain_db = float(rng.normal(0, settings.gain_db))
        audio += 10 ** (gain_db / 20) * shard.stems[row, source["stem"], :, :samples]
        source["level_db"] = round(source["level_db"] + gain_db, 1)
    level_db = float(rng.uniform(-settings.level_db, settings.level_db))
    audio = (audio * shard.scale[row] * 10 ** (level_db / 20)).astype(np.float32)
    if rng.random() < settings.swap_probability:
        mixed, audio = mirrored(mixed), np.ascontiguousarray(audio[::-1])
    return mixed, audio


def mirrored(scene: Scene) -> Scene:
    """The scene as it is with the ears exchanged."""
    sources = []
    for source in scene["sources"]:
        points = [{**p, "azimuth_deg": -p["azimuth_deg"]} for p in source["trajectory"]]
        sources.append({**source, "trajectory": points})
    return {**scene, "sources": sources}


@dataclass(frozen=True, eq=False)
class HeardClip:
    """A clip as the runtime would hear it.

    Attributes
    ----------
    tokens : Tokens
    asked : ndarray, float32 [K, 299]
        One object of each class that may have sounded but was not told of.
    """

    tokens: Tokens
    asked: FloatArray


@torch.no_grad()
def encode_clips(
    model: Hearing,
    clips: list[FloatArray],
    names: Names | None = None,
    doubt: Doubt | None = None,
    scenes: Sequence[Scene] = (),
) -> list[HeardClip]:
    """Clips [2, samples] of any lengths as the runtime would hear them; an incomplete last token is left out.

    With `doubt`, which must know the clips' ``scenes``, names are less sure than the runtime's.
    """
    tokens = [clip.shape[1] // (FRAMES_PER_TOKEN * FRAME_SAMPLES) for clip in clips]
    longest = max(clip.shape[1] for clip in clips) // FRAME_SAMPLES * FRAME_SAMPLES
    audio = torch.from_numpy(np.stack([_padded(clip, longest) for clip in clips]))
    features = model.features(audio)
    semantic = model.semantic(features)
    cells = model.spatial.trunk(features)
    scene, rest = model.spatial.describe(cells)
    logits = semantic.logits if names is None else fused_logits(semantic.logits, audio, names)
    told = semantic.embedding
    if doubt is not None:
        doubted = [doubt(*parts) for parts in zip(scenes, logits, told, strict=True)]
        logits, told = (torch.stack(parts) for parts in zip(*doubted, strict=True))
    heard = zip(features, cells, logits, semantic.embedding, told, semantic.keys, scene, rest, strict=True)
    return [
        _heard(model, _ClipCells(*(part[:, :length] if part.ndim == 3 else part[:length] for part in parts)))
        for parts, length in zip(heard, (count * FRAMES_PER_TOKEN for count in tokens), strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _ClipCells:
    """What the networks made of one clip of T frames: [8, T, 64], [C, T, 8], [T, 61], [T, 256] twice, [96, T, 8], [T, 128], [T, 6].

    The spatial network is asked with ``embedding``; the language model is told ``told``, which differs when there is doubt.
    """

    features: Tensor
    cells: Tensor
    logits: Tensor
    embedding: Tensor
    told: Tensor
    keys: Tensor
    scene: Tensor
    rest: Tensor


@torch.no_grad()
def fused_logits(logits: Tensor, audio: Tensor, names: Names) -> Tensor:
    """Class logits [B, T, 61] of the semantic encoder with those of the names network, as the runtime adds them.

    One frame before every tenth the names network hears the last 0.975 s of each ear, which takes it that frame and the tenth: what
    it says holds from the tenth on, and before the first time there is nothing. See `earshot.runtime.hearing.names`. (Where one ear
    is dead, the runtime is done a frame earlier; not so here.)
    """
    padded = nn.functional.pad(audio, (SAMPLES, 0))
    out = logits.clone()
    for tenth in range(FRAMES_PER_TOKEN, logits.shape[1] + 1, FRAMES_PER_TOKEN):
        end = tenth - 1
        named, trust = of_both(names, padded[..., end * FRAME_SAMPLES : end * FRAME_SAMPLES + SAMPLES])
        frames = slice(tenth - 1, tenth - 1 + FRAMES_PER_TOKEN)
        risen = torch.relu(logits[:, frames] - logits[:, end - 1 : end])
        out[:, frames] = trust * logits[:, frames] + (1.0 - trust) * risen + named[:, None]
    return out


def _heard(model: Hearing, clip: _ClipCells) -> HeardClip:
    """Allocate the slots and pool; then ask for what may have sounded as well."""
    probability = torch.sigmoid(clip.logits).numpy()
    allocation = allocate(probability)
    slots = _ask_slots(model, clip, allocation.asked, allocation.taken)
    tokens = _pooled(clip, slots, present(allocation, torch.sigmoid(slots[..., 0]).numpy()))
    told = object_rows(tokens)
    others = [label for label in possible_classes(probability) if label not in told]
    if not others:
        return HeardClip(tokens, np.zeros((0, OBJECT_WIDTH), np.float32))
    rows: dict[int, FloatArray] = {}
    for named, beside in rounds(others, strongest_first(told)):
        asked = np.tile(np.array(beside, np.int64), (len(probability), 1))
        found = _ask_slots(model, clip, asked, np.ones(asked.shape, bool))[:, : len(named)]
        rows |= object_rows(_pooled(clip, found, asked[:, : len(named)]))
    return HeardClip(tokens, np.stack([rows[label] for label in others]))


def _pooled(clip: _ClipCells, slots: Tensor, classes: NDArray[np.int64]) -> Tokens:
    """Tokens of a clip whose slots [T, Q, 42] hold classes [T, Q]."""
    return pool_tokens(
        semantic_embedding=clip.told.numpy(),
        class_probability=torch.sigmoid(clip.logits).numpy(),
        slot_class=classes,
        activity=torch.sigmoid(slots[..., 0]).numpy(),
        azimuth_posterior=torch.softmax(slots[..., 1:37], -1).numpy(),
        direction=slots[..., 37:40].numpy(),
        log_distance=slots[..., 40].numpy(),
        level_db=slots[..., 41].numpy(),
        scene_embedding=clip.scene.numpy(),
        log_t60=clip.rest[..., 0].numpy(),
        count_probability=torch.softmax(clip.rest[..., 1:], -1).numpy(),
    )


def _padded(clip: FloatArray, length: int) -> FloatArray:
    out = np.zeros((2, length), np.float32)
    count = min(length, clip.shape[1])
    out[:, :count] = clip[:, :count]
    return out


def _ask_slots(model: Hearing, clip: _ClipCells, asked: NDArray[np.int64], claims: NDArray[np.bool_]) -> Tensor:
    """Head outputs and levels [T, Q, 42] of slots asked for classes [T, Q], of which some claim what they hear; each stretch of one class in one slot starts with empty memory."""
    frames, slots = asked.shape
    out = torch.zeros(frames, slots, 42)
    stretches = [s for slot in range(slots) for s in _stretches(asked[:, slot], slot)]
    if not stretches:
        return out
    spatial = model.spatial
    wanted = sorted({label for _, _, _, label in stretches})
    pooled, mask = spatial.ask(clip.cells[None], clip.embedding[None], clip.keys[None], torch.tensor([wanted]))
    memory = spatial.remember(
        _packed([pooled[0, wanted.index(label), begin:end] for _, begin, end, label in stretches])
    )
    read, masks = torch.zeros(slots, frames, memory.shape[-1]), torch.zeros(slots, frames, mask.shape[-1])
    for (slot, begin, end, label), row in zip(stretches, memory, strict=True):
        read[slot, begin:end] = row[: end - begin]
        masks[slot, begin:end] = mask[0, wanted.index(label), begin:end]
    keys, _ = spatial.again.keys(clip.cells[None], clip.keys[None])
    claiming = torch.from_numpy(claims.T).float()[None]
    again = spatial.again.claim(clip.cells[None], keys, read[None], masks[None], claiming)
    level = masked_level_db(torch.sigmoid(again.mask), clip.features[None])[0]
    added = spatial.again.remember(_packed([again.heard[0, slot, begin:end] for slot, begin, end, _ in stretches]))
    heads = spatial.say(memory + added, _packed([clip.scene[begin:end] for _, begin, end, _ in stretches]))
    for (slot, begin, end, _), values in zip(stretches, heads, strict=True):
        out[begin:end, slot, :41] = values[: end - begin]
        out[begin:end, slot, 41] = level[slot, begin:end]
    return out


def _packed(rows: list[Tensor]) -> Tensor:
    """Rows [T, ...] of any lengths as [N, T, ...], zeros after the shorter ones."""
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def _stretches(labels: NDArray[np.int64], slot: int) -> list[tuple[int, int, int, int]]:
    """Runs of one class in a slot as (slot, first frame, end frame, class)."""
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [
        (slot, begin, end, int(labels[begin])) for begin, end in itertools.pairwise(edges) if labels[begin] != EMPTY
    ]
