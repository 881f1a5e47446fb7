"""The cascade baseline: its text says what the projector's inputs hold, its questions are those of sft, and it trains."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from typer.testing import CliRunner

from earshot.runtime.errors import InputError
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.objects import OBJECT_WIDTH, ProjectorInputs
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.labels import by_key
from earshot.runtime.language.prompt import AUDIO_START, BOS
from earshot.training.models.llm import load_llm
from earshot.training.models.projector import OBJECT_PARTS
from earshot.training.models.tokenizer import load_tokenizer
from earshot.training.questions.items import Item
from earshot.training.stages import cascade
from earshot.training.stages.audio_items import AudioBatches, AudioMix
from earshot.training.stages.bank_reader import FeatureBank
from earshot.training.stages.cascade_text import AMBIGUOUS, tracks_text
from earshot.training.stages.command import app
from earshot.training.stages.grpo_episodes import probe_episodes
from earshot.training.stages.grpo_log import score
from earshot.training.stages.loop import LoopSettings
from earshot.training.stages.sft import SftSettings
from tests.training.stages.conftest import losses, rows
from tests.training.stages.fake_bank import make_fake_bank

LOOP = LoopSettings(steps=4, log_steps=1, precision="fp32", warmup_steps=1, checkpoint_s=0.0)
MIX = AudioMix(batch_items=4, chunk_batches=3, replay_share=0.25)
SETTINGS = SftSettings(LOOP, MIX)


@pytest.fixture(scope="module")
def tokenizer(start: Path) -> Tokenizer:
    return load_tokenizer(start)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, start: Path, bank: Path) -> Path:
    """A run without a stop."""
    directory = tmp_path_factory.mktemp("whole")
    list(cascade.run(directory, start, bank, SETTINGS, probe_items=2))
    return directory


def test_the_text_says_what_was_heard_where_and_when(bank: Path) -> None:
    """The features of this bank spell out its scenes."""
    features = FeatureBank(bank)
    for index, scene in enumerate(features.scenes):
        asked = question_about(scene["sources"])
        told = {track[0]: track for track in json.loads(tracks_text(features.audio(index, asked)))}
        assert set(told) == {by_key(source["label"]).spoken for source in scene["sources"]}
        for source in scene["sources"]:
            _, azimuth, elevation, distance, since, until, confidence, *_ = told[by_key(source["label"]).spoken]
            point = source["trajectory"][0]
            assert angle_between_azimuths(azimuth, point["azimuth_deg"]) <= 10
            assert abs(elevation - point["elevation_deg"]) <= 6
            assert distance == pytest.approx(point["distance_m"], rel=0.05, abs=0.06)
            assert abs(since - source["onset_s"]) <= 0.5 and abs(until - source["offset_s"]) <= 0.5
            assert 0.0 <= confidence <= 1.0


def question_about(sources: Sequence[Mapping[str, Any]]) -> Item:
    """Whoever names all sounds hears of all."""
    names = ", ".join(by_key(source["label"]).definite for source in sources)
    return Item("q", "s", "L1", "where", "open", f"Where are {names}?", None, "", None, "", {})


AT = {name: sum(list(OBJECT_PARTS.values())[:i]) for i, name in enumerate(OBJECT_PARTS)}


def object_row(posterior: np.ndarray, seed: int = 0) -> np.ndarray:
    """A row with a given azimuth posterior, and anything for the rest."""
    rng = np.random.default_rng(seed)
    row = rng.normal(0.0, 1.0, OBJECT_WIDTH).astype(np.float32)
    row[:CLASSES] = np.eye(CLASSES)[seed % CLASSES]
    row[AT["posterior"] : AT["posterior"] + 36] = posterior
    return row


def mirrored(row: np.ndarray) -> np.ndarray:
    out = row.copy()
    out[AT["posterior"] : AT["posterior"] + 36] = row[AT["posterior"] : AT["posterior"] + 36][::-1]
    for sideways in (AT["posterior"] + 36 + 1, AT["first"] + 1, AT["second"] + 1):
        out[sideways] = -row[sideways]
    return out


def told_of(*objects: np.ndarray) -> list[Any]:
    none = np.zeros((0, 1), np.float32)
    text = tracks_text(ProjectorInputs(none, none, np.stack([*objects, np.zeros(OBJECT_WIDTH)]).astype(np.float32)))
    return list(json.loads(text))


def negated(track: list[Any]) -> list[Any]:
    """What is said of a sound, as it must be with the ears exchanged."""
    turn = lambda azimuth: azimuth if azimuth == 180 else -azimuth  # noqa: E731
    rest = [[turn(part[0]), part[1]] if isinstance(part, list) else part for part in track[2:]]
    return [track[0], turn(track[1]), *rest]


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_exchanged_ears_change_the_sign_of_azimuths_and_nothing_else(seed: int) -> None:
    row = object_row(np.random.default_rng(seed + 1).uniform(size=36), seed)
    straight, exchanged = told_of(row, mirrored(row))
    assert exchanged == negated(straight)


def test_it_is_said_where_front_and_back_cannot_be_told_apart() -> None:
    sure, torn = np.zeros(36), np.zeros(36)
    sure[20] = torn[20] = 1.0
    torn[35 // 2 - 20 + 36] = 0.8
    assert [AMBIGUOUS in track for track in told_of(object_row(sure), object_row(torn))] == [False, True]


def test_only_of_a_sound_that_moved_two_places_are_said() -> None:
    still, moved, nearer, short = (object_row(np.eye(36)[20], 1) for _ in range(4))
    for row, first, second in (
        (still, [1, 0.1, 0, 0.5], [1, 0.2, 0, 0.5]),
        (moved, [1, 1, 0, 0.5], [1, -1, 0, 0.5]),
        (nearer, [1, 0, 0, 1.0], [1, 0, 0, 0.5]),
        (short, [0, 0, 0, 0], [1, -1, 0, 0.5]),
    ):
        row[AT["first"] : AT["first"] + 8] = [*first, *second]
    told = told_of(still, moved, nearer, short)
    assert [track[7:] for track in told] == [[], [[45, 1.6], [-45, 1.6]], [[0, 2.7], [0, 1.6]], []]


def test_silence_is_an_empty_list() -> None:
    assert told_of() == []


def test_angles_are_one_token_and_other_numbers_single_digits(tokenizer: Tokenizer, bank: Path) -> None:
    text = tracks_text(FeatureBank(bank).audio(1))
    numbers = [t.strip("Ġ") for t in tokenizer.encode(text).tokens if re.search(r"\d", t)]
    assert all(len(number) == 1 or int(number) % 5 == 0 for number in numbers)
    assert len(tokenizer.encode(text).ids) <= 55 * len(json.loads(text)) + 2


def test_text_stands_where_the_embeddings_were(tokenizer: Tokenizer, bank: Path) -> None:
    mix = replace(MIX, replay_share=0.5)
    spoken = list(itertools.islice(AudioBatches(FeatureBank(bank), tokenizer, mix)._examples(0), 30))
    read = list(itertools.islice(cascade.WrittenBatches(FeatureBank(bank), tokenizer, mix)._examples(0), 30))
    for heard, told in zip(spoken, read, strict=True):
        assert told.audio is None
        assert np.array_equal(told.suffix, heard.suffix) and np.array_equal(told.weights, heard.weights)
        prefix = tokenizer.decode(told.prefix.tolist(), skip_special_tokens=False)
        assert prefix == f"{BOS}{AUDIO_START}{'' if heard.audio is None else tracks_text(heard.audio)}"


def test_the_questions_are_those_of_sft(tokenizer: Tokenizer, bank: Path) -> None:
    asked = []
    for kind in (AudioBatches, cascade.WrittenBatches):
        batches = kind(FeatureBank(bank), tokenizer, MIX)
        steps = [batches(step) for step in range(MIX.chunk_batches)]
        learned = [tuple(row[weight > 0].tolist()) for b in steps for row, weight in zip(b.ids, b.weights, strict=True)]
        asked.append(Counter(learned))
    assert asked[0] == asked[1]


def test_a_probe_reads_a_prompt_as_training_writes_it(tokenizer: Tokenizer, bank: Path) -> None:
    episode = probe_episodes(FeatureBank(bank), 1)[0]
    text = cascade.prompt_text(episode)
    assert text.startswith(f"{BOS}{AUDIO_START}[") and episode.item.question in text
    parts = re.split(r"(?=</audio>)", text)
    assert tokenizer.encode(text).ids == [i for part in parts for i in tokenizer.encode(part).ids]


def test_it_trains_resumes_and_scores_itself(tmp_path: Path, whole: Path, start: Path, bank: Path) -> None:
    broken = cascade.run(tmp_path, start, bank, SETTINGS, probe_items=2)
    list(itertools.islice(broken, 3))  # stopped behind the checkpoint of step 2
    broken.close()
    list(cascade.run(tmp_path, start, bank, SETTINGS, resume=True, probe_items=2))
    assert losses(tmp_path)[3:] == pytest.approx(losses(whole)[2:], abs=1e-4)
    probes = rows(whole / "probe.csv")
    assert list(probes[0]) == ["step", "items", *score([], [])]
    assert (probes[0]["step"], probes[0]["items"]) == ("4", "2")
    assert load_llm(whole).config.max_position_embeddings == cascade.CONTEXT
    assert not (whole / "projector.json").exists()


def test_a_bank_to_probe_with_is_opened_before_training(tmp_path: Path, start: Path, bank: Path) -> None:
    with pytest.raises(InputError, match="no feature bank at"):
        next(cascade.run(tmp_path / "run", start, bank, SETTINGS, held_out=tmp_path / "none"))
    assert not (tmp_path / "run" / "state").exists()


def test_all_scenes_that_no_stage_has_seen_are_asked_about(tmp_path: Path, start: Path, bank: Path) -> None:
    unseen = make_fake_bank(tmp_path / "unseen", scenes=4, seed=9)
    scenes = [json.loads(line) for line in (unseen / "scenes.jsonl").read_text().splitlines()]
    named = [json.dumps({**scene, "id": f"unseen-{number}"}) for number, scene in enumerate(scenes)]
    (unseen / "scenes.jsonl").write_text("\n".join(named) + "\n")
    settings = replace(SETTINGS, loop=replace(LOOP, steps=1))
    list(cascade.run(tmp_path / "run", start, bank, settings, held_out=unseen, probe_items=2))
    assert rows(tmp_path / "run" / "probe.csv")[0]["items"] == "2"


def test_a_missing_start_is_exit_code_3(tmp_path: Path, bank: Path) -> None:
    result = CliRunner().invoke(app, ["cascade", "--bank", str(bank), "--run", str(tmp_path)])
    assert result.exit_code == 3 and "no language model" in str(result.output)
