"""Reinforcement learning on a tiny random model: it trains, it resumes, and its checkpoint is one like the others."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from typer.testing import CliRunner

pytest.importorskip("trl", reason="trl is not installed")

from earshot.runtime.errors import InputError
from earshot.runtime.language.prompt import THINK_END, choice_text
from earshot.training.models.llm import TINY, build_llm, load_llm, save_llm
from earshot.training.models.projector import load_projector, save_projector
from earshot.training.models.splice import collate_spliced, spliced_embeddings
from earshot.training.models.tokenizer import load_tokenizer
from earshot.training.questions.generate import item_stream
from earshot.training.stages import grpo
from earshot.training.stages.alignment import new_projector
from earshot.training.stages.audio_items import AudioMix
from earshot.training.stages.bank_reader import FeatureBank
from earshot.training.stages.command import app
from earshot.training.stages.examples import encode_item
from earshot.training.stages.grpo_episodes import Episodes, is_held_out, probe_episodes, prompt_ids
from earshot.training.stages.grpo_log import RewardLog, score
from earshot.training.stages.grpo_trainer import AudioGRPOTrainer, Sampling, give_ears, without_ears
from earshot.training.stages.loop import LoopSettings
from earshot.training.stages.option_likelihood import probabilities, weighing
from earshot.training.stages.rewards import MOST_REWARD, RewardPart, gold_completion
from tests.training.stages.conftest import rows

LOOP = LoopSettings(steps=2, log_steps=1, precision="fp32", warmup_steps=1, learning_rate=1e-3, checkpoint_s=0.0)
SETTINGS = grpo.GrpoSettings(
    loop=LOOP, sampling=Sampling(group=2, prompts=2, longest=6, kl=0.1), mix=AudioMix(batch_items=2, chunk_batches=2),
    probe_items=2, probe_steps=1000,
)  # fmt: skip


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, start: Path) -> Path:
    """A checkpoint as sft leaves it, untrained."""
    directory = shutil.copytree(start, tmp_path_factory.mktemp("sft"), dirs_exist_ok=True)
    save_projector(new_projector(load_llm(directory)), directory)
    return directory


@pytest.fixture(scope="module")
def tokenizer(tuned: Path) -> Tokenizer:
    return load_tokenizer(tuned)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tuned: Path, bank: Path) -> Path:
    """A run of two steps without a stop."""
    directory = tmp_path_factory.mktemp("whole")
    list(grpo.run(directory, tuned, bank, SETTINGS))
    return directory


def test_virtual_tokens_embed_as_spliced_audio_does(tuned: Path, bank: Path, tokenizer: Tokenizer) -> None:
    model, projector = load_llm(tuned), load_projector(tuned).eval()
    features = FeatureBank(bank)
    items = list(itertools.islice(item_stream(1), 3))
    audios = [features.audio(index) for index in (3, 4, 5)]
    examples = [replace(encode_item(tokenizer, i, 1.0), audio=a) for i, a in zip(items, audios, strict=True)]
    expected = spliced_embeddings(model, projector, collate_spliced(examples))
    ears = give_ears(model, projector)
    for row, (item, heard) in enumerate(zip(items, ears.hear(audios), strict=True)):
        ids = prompt_ids(tokenizer, item, heard)
        assert torch.allclose(ears(torch.tensor(ids)), expected[row, : len(ids)], atol=1e-6)


def test_gradients_reach_the_projector_through_virtual_tokens(tuned: Path, bank: Path) -> None:
    model = load_llm(tuned)
    ears = give_ears(model, load_projector(tuned))
    heard = ears.hear([FeatureBank(bank).audio(2)])[0]
    model(input_ids=torch.tensor([heard])).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in ears.projector.object.parameters())
    with without_ears(model) as plain:
        assert not [name for name in plain.state_dict() if "projector" in name]
    assert model.get_input_embeddings() is ears


def test_what_is_rewarded_becomes_likelier(tmp_path: Path, tuned: Path, bank: Path, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    model = load_llm(tuned)
    ears = give_ears(model, load_projector(tuned))
    spaces = RewardPart("spaces", lambda item, text: min(1.0, text.count(" ") / 6), 1.0)
    trainer = AudioGRPOTrainer(model, tokenizer, Sampling(group=8, prompts=2, longest=6, kl=0.0), tmp_path, [spaces])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    episodes = Episodes(FeatureBank(bank), 2, 0.0, seed=1)
    rewards = []
    for step in range(40):
        heard = ears.hear([episode.audio for episode in episodes(step)])
        prompts = [(e.item, prompt_ids(tokenizer, e.item, h)) for e, h in zip(episodes(step), heard, strict=True)]
        loss, _, metrics = trainer.loss(prompts)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        rewards.append(metrics["reward"])
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.1


def test_options_are_weighed_as_one_text_each_would_be(tuned: Path, bank: Path, tokenizer: Tokenizer) -> None:
    """Rows of other lengths and numbers of options in one batch, against one pass for every option."""
    model = load_llm(tuned).eval()
    ears = give_ears(model, load_projector(tuned))
    episodes = [e for e in probe_episodes(FeatureBank(bank), 12) if e.item.choices][:3]
    items = [episodes[0].item, *(replace(e.item, choices=e.item.choices[:3], choice=0) for e in episodes[1:])]
    heard = ears.hear([episode.audio for episode in episodes])
    prompts = [prompt_ids(tokenizer, item, tokens) for item, tokens in zip(items, heard, strict=True)]
    texts = [gold_completion(episode.item) for episode in episodes]
    rows_ = [weighing(tokenizer, *row) for row in zip(items, prompts, texts, strict=True)]
    assert None not in rows_
    assert weighing(tokenizer, items[0], prompts[0], "nothing concluded") is None
    found = probabilities(model, [row for row in rows_ if row is not None])
    for row, probability in zip(rows_, found, strict=True):
        assert row is not None and sum(probability) == pytest.approx(1.0)
        likely = []
        for option in row.options:
            ids = torch.tensor([[*row.prefix, *option]])
            with torch.no_grad():
                logs = torch.log_softmax(model(input_ids=ids).logits[0, :-1], dim=-1)
            likely.append(logs[torch.arange(len(row.prefix) - 1, ids.shape[1] - 1), torch.tensor(option)].sum())
        assert torch.softmax(torch.stack(likely), dim=0).tolist() == pytest.approx(probability, abs=1e-4)


def test_a_conclusion_is_worth_the_probability_of_the_right_option(
    tmp_path: Path, tuned: Path, bank: Path, tokenizer: Tokenizer
) -> None:
    model = load_llm(tuned)
    ears = give_ears(model, load_projector(tuned))
    trainer = AudioGRPOTrainer(model, tokenizer, Sampling(group=2, prompts=1), tmp_path)
    episode = next(e for e in probe_episodes(FeatureBank(bank), 12) if e.item.choices)
    prompt = prompt_ids(tokenizer, episode.item, ears.hear([episode.audio])[0])
    gold, letter = gold_completion(episode.item), f"nothing{THINK_END}{choice_text(0, 'x')}"
    ids = [tokenizer.encode(text).ids for text in (gold, letter)]
    judge = trainer.reward_funcs[0]
    marks = judge(completion_ids=ids, item=[episode.item] * 2, prompts=[prompt] * 2)
    row = weighing(tokenizer, episode.item, prompt, gold)
    assert row is not None
    expected = probabilities(model, [row])[0][episode.item.choice or 0]
    assert marks[0] == pytest.approx(expected, abs=1e-5) and 0 < marks[0] < 1
    assert marks[1] in (0.0, 0.5)  # without a conclusion letter and words count as ever


def test_the_checkpoint_is_read_like_that_of_sft_and_has_learned(whole: Path, tuned: Path) -> None:
    before, after = load_llm(tuned).state_dict(), load_llm(whole).state_dict()
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    old, new = load_projector(tuned).state_dict(), load_projector(whole).state_dict()
    assert any(not torch.equal(old[name], new[name]) for name in old)
    assert torch.equal(old["scale_object.running_mean"], new["scale_object.running_mean"])
    names = {path.name for path in whole.iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "projector.safetensors", "state", "log.csv"}
    assert {path.name for path in (whole / "state").iterdir()} == {"state.json", "optimizer.safetensors"}


def test_every_step_and_probe_is_logged(whole: Path) -> None:
    steps, probes = rows(whole / "rewards.csv"), rows(whole / "probe.csv")
    assert [int(row["step"]) for row in steps] == [1, 2]
    assert all(0 <= float(row["reward"]) <= MOST_REWARD and 0 < float(row["length"]) <= 6 for row in steps)
    assert float(steps[0]["kl"]) == pytest.approx(0.0, abs=1e-4)
    assert {"right_L1", "right_L2", "right_L3", "azimuth"} <= probes[0].keys() and int(probes[0]["step"]) == 0
    assert (whole / "rewards.png").stat().st_size > 1000


def test_resuming_makes_the_steps_of_an_unbroken_run(tmp_path: Path, tuned: Path, bank: Path, whole: Path) -> None:
    broken = grpo.run(tmp_path, tuned, bank, SETTINGS)
    list(itertools.islice(broken, 2))
    broken.close()  # stopped behind the checkpoint of step 1, with the line of step 2 written
    assert json.loads((tmp_path / "state" / "state.json").read_text())["step"] == 1
    list(grpo.run(tmp_path, tuned, bank, SETTINGS, resume=True))
    for again, once in zip(rows(tmp_path / "rewards.csv"), rows(whole / "rewards.csv"), strict=True):
        assert {name: float(value) for name, value in again.items()} == pytest.approx(
            {name: float(value) for name, value in once.items()}, abs=1e-3
        )
    after, expected = load_llm(tmp_path).state_dict(), load_llm(whole).state_dict()
    assert all(torch.allclose(after[name], expected[name], atol=1e-5) for name in expected)


def test_a_finished_run_that_is_resumed_is_not_probed_again(
    tmp_path: Path, tuned: Path, bank: Path, whole: Path
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    list(grpo.run(tmp_path, tuned, bank, SETTINGS, resume=True))
    assert rows(tmp_path / "probe.csv") == rows(whole / "probe.csv")


def test_resuming_behind_another_sft_is_one_line(tmp_path: Path, tuned: Path, bank: Path, whole: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    other = shutil.copytree(tuned, tmp_path / "other")
    save_llm(build_llm(replace(TINY, layers=TINY.layers + 1)), other)
    with pytest.raises(InputError, match=r"other.*another network.*--from"):
        next(grpo.run(tmp_path, other, bank, SETTINGS, resume=True))


def test_lines_of_steps_that_will_be_made_again_are_dropped(tmp_path: Path) -> None:
    log = RewardLog(tmp_path)
    for step in (1, 2, 3):
        log.add({"step": step, "reward": 0.5})
    log.forget_after(2)
    assert [row["step"] for row in rows(log.rewards)] == ["1", "2"]
    log.forget_after(0)
    assert not log.rewards.exists()


def test_episodes_depend_on_the_step_alone_and_leave_kept_scenes_out(bank: Path) -> None:
    features = FeatureBank(bank)
    first, second = (Episodes(features, 3, 0.3, seed=5) for _ in range(2))
    for step in (40, 2):
        assert [episode.item for episode in first(step)] == [episode.item for episode in second(step)]
    kept = {scene["id"] for index, scene in enumerate(features.scenes) if is_held_out(index)}
    assert not kept & {episode.item.scene for step in range(64) for episode in first(step)}
    probed = {episode.item.scene for episode in probe_episodes(features, 10)}
    assert probed and probed <= kept
    assert len(probe_episodes(features, 1000, unseen=True)) > len(probe_episodes(features, 1000))


def test_scenes_that_are_probed_are_not_replayed(tmp_path: Path, tuned: Path, bank: Path) -> None:
    features = FeatureBank(bank)
    stage = grpo._Stage(tmp_path, shutil.copytree(tuned, tmp_path, dirs_exist_ok=True), bank, SETTINGS, False, None)
    asked = {index for index, _ in itertools.islice(stage.replay._audio_items(random.Random(1)), 400)}
    assert asked == {index for index in range(len(features)) if not is_held_out(index)}


def test_scores_of_perfect_completions() -> None:
    items = list(itertools.islice(item_stream(3), 30))
    scores = score(items, [gold_completion(item) for item in items])
    assert scores["right"] == scores["right_L3"] == scores["azimuth"] == 1 and scores["reward"] == pytest.approx(
        MOST_REWARD
    )


def test_a_missing_checkpoint_is_one_line_and_exit_code_3(tmp_path: Path, bank: Path) -> None:
    result = CliRunner().invoke(app, ["grpo", "--bank", str(bank), "--run", str(tmp_path)])
    assert result.exit_code == 3 and "no tokenizer at" in result.output and "Traceback" not in result.output
    assert not (tmp_path / "grpo").exists()


def test_the_folder_of_sft_is_never_written_over(tuned: Path, bank: Path) -> None:
    with pytest.raises(InputError, match="folder of its own"):
        next(grpo.run(tuned, tuned, bank, SETTINGS))
