"""The stages that train a language model: what is learned from, that learning works, and that resuming changes nothing."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from typer.testing import CliRunner

from earshot.runtime.errors import EarshotError, InputError
from earshot.runtime.hearing.objects import ProjectorInputs, class_of
from earshot.runtime.labels import by_key, class_id
from earshot.runtime.language.prompt import THINK_END, parse_evidence
from earshot.training.models.llm import TINY, build_llm, load_llm, save_llm, shape_of
from earshot.training.models.projector import save_projector
from earshot.training.models.tokenizer import save_tokenizer, train_tokenizer
from earshot.training.questions.drills import drill
from earshot.training.questions.generate import generate_items, item_stream
from earshot.training.questions.items import Item
from earshot.training.questions.scenes import sample_scene
from earshot.training.stages import alignment, checkpoint, language, sft
from earshot.training.stages.audio_items import WEAK_TASKS, AudioBatches, AudioMix, spread_audio
from earshot.training.stages.bank_reader import FeatureBank, held_out_bank, training_bank
from earshot.training.stages.command import app
from earshot.training.stages.examples import (
    DRILL_QUESTION,
    Example,
    collate_text,
    encode_chain,
    encode_drill,
    encode_item,
    gold_prompt,
    split_think,
)
from earshot.training.stages.loop import LoopSettings, Progress, learning_rate_at
from earshot.training.stages.text_items import LONGEST, text_examples
from tests.training.stages.conftest import losses
from tests.training.stages.fake_bank import make_fake_bank

QUICK = LoopSettings(steps=8, log_steps=1, precision="fp32", warmup_steps=2)
LANGUAGE = language.LanguageSettings(loop=QUICK, shape=TINY, batch_items=4, chunk_batches=3, tokenizer_items=300)
MIX = AudioMix(batch_items=4, chunk_batches=3, replay_share=0.3)
ALIGNING = replace(MIX, no_think_share=0.0, replay_share=0.0)
"""With a frozen language model there is nothing to learn from text alone."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(items=1000)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """An untrained language stage to begin alignment with."""
    directory = tmp_path_factory.mktemp("language")
    save_llm(build_llm(TINY), directory)
    save_tokenizer(tokenizer, directory)
    return directory


@pytest.fixture(autouse=True)
def no_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "held_out_items", lambda count: [])


def test_loss_is_on_evidence_steps_and_answer_but_not_on_the_question(tokenizer: Tokenizer) -> None:
    for item in itertools.islice(item_stream(8), 100):
        example = encode_item(tokenizer, item, 0.25)
        evidence, steps = split_think(item.think)
        light = tokenizer.decode(example.suffix[example.weights == 0.25].tolist(), skip_special_tokens=False)
        full = tokenizer.decode(example.suffix[example.weights == 1.0].tolist(), skip_special_tokens=False)
        assert light == evidence
        assert full == f"{steps}{THINK_END}{item.answer}<eos>"
        assert item.question not in light + full


def test_without_thinking_only_the_answer_is_learned(tokenizer: Tokenizer) -> None:
    item = next(item_stream(8))
    example = encode_item(tokenizer, item, 0.25, think=False)
    learned = tokenizer.decode(example.suffix[example.weights > 0].tolist(), skip_special_tokens=False)
    assert learned == f"{item.answer}<eos>"


def test_padding_carries_no_loss(tokenizer: Tokenizer) -> None:
    examples = [encode_item(tokenizer, item, 0.25) for item in itertools.islice(item_stream(8), 6)]
    batch = collate_text(examples)
    for row, example in enumerate(examples):
        assert batch.weights[row, example.length :].sum() == 0 and batch.ids[row, example.length :].sum() == 0


def test_a_chain_writes_the_evidence_once_and_answers_every_question(tokenizer: Tokenizer) -> None:
    items = generate_items(sample_scene(random.Random(5)), random.Random(5), 6)
    chain = encode_chain(tokenizer, items, 0.0, 2000)
    learned = tokenizer.decode(chain.suffix[chain.weights == 1.0].tolist(), skip_special_tokens=False)
    assert learned == "".join(f"{split_think(item.think)[1]}{THINK_END}{item.answer}<eos>" for item in items)
    text = tokenizer.decode(chain.suffix.tolist(), skip_special_tokens=False)
    assert text.count(split_think(items[0].think)[0]) == 1 and all(item.question in text for item in items)


def test_a_chain_ends_before_it_is_too_long(tokenizer: Tokenizer) -> None:
    items = generate_items(sample_scene(random.Random(5)), random.Random(5), 6)
    assert encode_chain(tokenizer, items, 0.0, 2000).length > 300 >= encode_chain(tokenizer, items, 0.0, 300).length


def test_a_drill_asks_only_for_what_follows(tokenizer: Tokenizer) -> None:
    lines = drill(random.Random(2))
    example = encode_drill(tokenizer, lines)
    learned = tokenizer.decode(example.suffix[example.weights == 1.0].tolist(), skip_special_tokens=False)
    assert learned == "".join(f"{right}\n" for _, right in lines)


def test_text_examples_are_a_function_of_the_seed(tokenizer: Tokenizer) -> None:
    first, again, other = (list(itertools.islice(text_examples(tokenizer, seed, 0.02), 12)) for seed in (1, 1, 2))
    assert all(np.array_equal(a.suffix, b.suffix) for a, b in zip(first, again, strict=True))
    assert any(len(a.suffix) != len(b.suffix) for a, b in zip(first, other, strict=True))
    assert max(example.length for example in first) <= LONGEST


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate_at(Progress(step=step), replace(QUICK, steps=50, warmup_steps=10)) for step in range(51)]
    assert rates[0] < rates[5] < rates[9] and rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert max(rates) <= QUICK.learning_rate


def test_resuming_gives_the_loss_curve_of_an_unbroken_run(tmp_path: Path) -> None:
    list(language.run(tmp_path / "whole", LANGUAGE))
    broken = language.run(tmp_path / "broken", replace(LANGUAGE, loop=replace(QUICK, checkpoint_s=0.0)))
    list(itertools.islice(broken, 5))  # stopped behind the checkpoint of step 4
    broken.close()
    written = losses(tmp_path / "broken")
    list(language.run(tmp_path / "broken", LANGUAGE, resume=True))
    assert written == losses(tmp_path / "whole")[:5]
    assert losses(tmp_path / "broken")[5:] == pytest.approx(losses(tmp_path / "whole")[4:], abs=1e-4)


@pytest.mark.parametrize("stage", ["language", "alignment", "sft", "cascade", "grpo"])
def test_a_checkpoint_is_not_written_over_when_resume_was_forgotten(tmp_path: Path, stage: str, bank: Path) -> None:
    state = tmp_path / stage / "state" / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text('{"step": 1633}')
    command = [stage, "--run", str(tmp_path), "--steps", "1"] + ([] if stage == "language" else ["--bank", str(bank)])
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2, result.output
    assert "--resume" in " ".join(result.stderr.split()) and "another --run" in " ".join(result.stderr.split())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [state]


def test_a_tiny_model_overfits_32_items(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    items = [item for item in itertools.islice(item_stream(9), 60) if item.form == "choice"][:32]
    examples = sorted((encode_item(tokenizer, item, 0.0) for item in items), key=lambda example: example.length)
    batches = [collate_text(examples[first : first + 8]) for first in range(0, 32, 8)]
    model = build_llm(TINY)
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    for step in range(150):
        loss, _ = language.text_loss(model, batches[step % 4])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    total = sum(float(language.text_loss(model, batch)[0].detach()) for batch in batches) / 4
    assert total < 0.1
    scores = language.gold_accuracy(model, tokenizer, items[:8])
    assert scores["choice"] > 0.8


def test_gold_prompt_ends_behind_the_evidence(tokenizer: Tokenizer) -> None:
    item = next(item for item in item_stream(3) if item.task == "turn")
    prompt, rest = gold_prompt(item)
    assert prompt.endswith(split_think(item.think)[0]) and rest.endswith(f"{THINK_END}{item.answer}")


def test_alignment_trains_the_projector_and_nothing_else(tmp_path: Path, start: Path, bank: Path) -> None:
    settings = alignment.AlignmentSettings(loop=replace(QUICK, steps=30), mix=ALIGNING)
    list(alignment.run(tmp_path, start, bank, settings))
    assert (tmp_path / "model.safetensors").read_bytes() == (start / "model.safetensors").read_bytes()
    before = alignment.new_projector(build_llm(TINY)).state_dict()
    after = alignment.load_projector(tmp_path).state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_sft_goes_on_from_alignment_and_resumes(tmp_path: Path, start: Path, bank: Path) -> None:
    aligned = tmp_path / "alignment"
    list(alignment.run(aligned, start, bank, alignment.AlignmentSettings(loop=QUICK, mix=ALIGNING)))
    settings = sft.SftSettings(loop=replace(QUICK, checkpoint_s=0.0), mix=MIX)
    list(sft.run(tmp_path / "whole", aligned, bank, settings))
    broken = sft.run(tmp_path / "broken", aligned, bank, settings)
    list(itertools.islice(broken, 4))
    broken.close()
    list(sft.run(tmp_path / "broken", aligned, bank, settings, resume=True))
    assert losses(tmp_path / "broken")[4:] == pytest.approx(losses(tmp_path / "whole")[3:], abs=1e-4)
    assert {path.name for path in (tmp_path / "whole").iterdir()} >= {
        "model.safetensors", "config.json", "tokenizer.json", "projector.safetensors", "projector.json", "state",
    }  # fmt: skip


def test_audio_batches_mix_replay_and_no_think(tokenizer: Tokenizer, bank: Path) -> None:
    batches = AudioBatches(
        FeatureBank(bank), tokenizer, replace(MIX, batch_items=40, chunk_batches=5, replay_share=0.6)
    )
    think, end = tokenizer.token_to_id("<think>"), tokenizer.token_to_id("</audio>")
    rows = with_think = replayed = 0
    for step in range(5):
        ids = batches(step).ids
        rows += len(ids)
        with_think += int((ids == think).any(dim=1).sum())
        replayed += int((ids[:, 2] == end).sum())
    assert 0.45 < replayed / rows < 0.75
    assert 0.9 < with_think / rows < 1.0


def test_a_question_hears_what_it_names_though_it_was_not_told_of(bank: Path) -> None:
    features = FeatureBank(bank)
    index, scene = next((i, s) for i, s in enumerate(features.scenes) if s["asked_rows"][1] > s["asked_rows"][0])
    label = class_id(scene["sources"][0]["label"])
    ask = lambda text, *options: Item("q", "s", "L1", "where", "open", text, options or None, "", None, "", {})  # noqa: E731
    heard = lambda item: {class_of(row) for row in features.audio(index, item).objects[:-1]}  # noqa: E731
    named = by_key(scene["sources"][0]["label"]).definite
    assert label not in heard(None) | heard(ask("How many are there?"))
    assert label in heard(ask(f"Where is {named}?")) & heard(ask("Which is it?", "nothing", named))


def test_a_bank_that_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scenes\.jsonl is missing"):
        FeatureBank(tmp_path / "none")
    broken = make_fake_bank(tmp_path / "bank", scenes=3)
    np.save(broken / "slots.npy", np.zeros((99, 4, 100), dtype=np.float16))
    with pytest.raises(InputError, match="other encoders"):
        FeatureBank(broken)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scenes.jsonl", b'{"id": "a", "bank_row": 0, "tok'),
        ("scenes.jsonl", b'{"id": "a", "tokens": 3}\n'),
        ("scenes.jsonl", b""),
        ("slots.npy", None),
    ],
    ids=["cut off", "without rows", "empty", "array cut off"],
)
def test_a_damaged_bank_is_refused_in_one_line(name: str, content: bytes | None, tmp_path: Path) -> None:
    bank = make_fake_bank(tmp_path / "bank", scenes=3)
    (bank / name).write_bytes((bank / name).read_bytes()[:500] if content is None else content)
    with pytest.raises(InputError, match="make it again") as caught:
        FeatureBank(bank)
    assert str(bank) in str(caught.value)


def of_split(bank: Path, split: str, out: Path) -> Path:
    """A copy of a bank whose scenes are of a split, under names of their own."""
    shutil.copytree(bank, out)
    scenes = [json.loads(line) for line in (bank / "scenes.jsonl").read_text().splitlines()]
    lines = [json.dumps({**scene, "split": split, "id": f"{split}-{scene['id']}"}) for scene in scenes]
    (out / "scenes.jsonl").write_text("\n".join(lines) + "\n")
    return out


@pytest.mark.parametrize("stage", ["alignment", "sft", "cascade", "grpo", "pretrained"])
def test_no_stage_learns_from_validation_scenes(stage: str, start: Path, bank: Path, tmp_path: Path) -> None:
    kept = of_split(bank, "validation", tmp_path / "bank")
    shutil.copytree(start, tmp_path / "language")
    save_projector(alignment.new_projector(load_llm(start)), shutil.copytree(start, tmp_path / "begun"))
    command = [stage, "--bank", str(kept), "--run", str(tmp_path), "--steps", "1"]
    command += {
        "sft": ["--start", str(tmp_path / "begun")],
        "cascade": ["--start", str(start)],
        "grpo": ["--from", str(tmp_path / "begun")],
        "pretrained": ["--llm", str(start)],
    }.get(stage, [])
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 3, result.output
    assert "a bank of validation scenes" in " ".join(result.stderr.split())
    assert not list(tmp_path.rglob("state.json"))


def test_probes_of_scenes_that_training_sees_are_refused(bank: Path, tmp_path: Path) -> None:
    learned = training_bank(bank)
    assert len(held_out_bank(of_split(bank, "validation", tmp_path / "validation"), learned)) == len(learned)
    for seen in (bank, of_split(bank, "train", tmp_path / "train")):
        with pytest.raises(InputError, match="a bank of scenes that training sees"):
            held_out_bank(seen, learned)


def test_a_run_that_diverges_leaves_the_last_good_checkpoint(tmp_path: Path, start: Path, bank: Path) -> None:
    begun = shutil.copytree(start, tmp_path / "begun")
    projector = alignment.new_projector(load_llm(start))
    save_projector(projector, begun)
    settings = sft.SftSettings(loop=replace(QUICK, steps=2), mix=MIX)
    list(sft.run(tmp_path / "sft", begun, bank, settings))
    weights = load_file(tmp_path / "sft" / "projector.safetensors")
    weights["object.gain"][0] = float("nan")
    save_file(weights, tmp_path / "sft" / "projector.safetensors")
    before = {path: path.read_bytes() for path in (tmp_path / "sft").rglob("*") if path.is_file()}
    with pytest.raises(EarshotError, match="nothing can be learned any more"):
        list(sft.run(tmp_path / "sft", begun, bank, replace(settings, loop=QUICK), resume=True))
    assert {path: path.read_bytes() for path in before} == before


def test_the_last_step_is_logged_though_it_ends_no_round(tmp_path: Path) -> None:
    settings = replace(LANGUAGE, loop=replace(QUICK, steps=5, log_steps=3))
    records = list(language.run(tmp_path, settings))
    assert [(record["step"], record["share"]) for record in records] == [(3, 0.6), (5, 1.0)]
    assert len(losses(tmp_path)) == 2


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_run_that_goes_on_with_other_options_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loop = replace(QUICK, steps=1)
    list(language.run(tmp_path, replace(LANGUAGE, loop=loop)))
    with caplog.at_level("WARNING"):
        list(language.run(tmp_path, replace(LANGUAGE, loop=replace(loop, steps=2, log_steps=2)), resume=True))
        assert not warned(caplog), "how long it lasts may change"
        changed = replace(LANGUAGE, loop=replace(loop, steps=3, learning_rate=1e-3), seed=5)
        list(language.run(tmp_path, changed, resume=True))
    assert [message.removeprefix(f"{tmp_path}: ") for message in warned(caplog)] == [
        "learning_rate was 0.0015 until now and is 0.001 from here on", "seed was 0 until now and is 5 from here on",
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", ["elapsed_s", "seconds"])
def test_a_state_without_its_progress_is_one_line(seconds: str, tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.AdamW([parameter])
    checkpoint.save_state(tmp_path, optimizer, {"a": parameter}, {"step": 3})
    with pytest.raises(InputError, match=f"not a checkpoint of this network .'{seconds}'"):
        checkpoint.load_state(tmp_path, optimizer, {"a": parameter}, seconds)


def test_a_projector_of_another_width_is_refused_before_training(tmp_path: Path, start: Path, bank: Path) -> None:
    wide = shutil.copytree(start, tmp_path / "wide")
    save_projector(alignment.build_projector("hybrid", 128, 0.02), wide)
    with pytest.raises(InputError, match="embeddings of width 128, its language model reads 64"):
        next(sft.run(tmp_path / "sft", wide, bank, sft.SftSettings(loop=QUICK, mix=MIX)))
    assert not (tmp_path / "sft").exists()


@pytest.mark.parametrize("shape", ['{"foo": 3}', '{"hidden": "x"}', '{"hidden": -1}', '{"kind": "dual", "foo": 1}'])
def test_sizes_of_something_else_are_no_projector(shape: str, tmp_path: Path) -> None:
    save_projector(alignment.new_projector(build_llm(TINY)), tmp_path)
    (tmp_path / "projector.json").write_text(shape)
    with pytest.raises(InputError, match=r"projector\.json: not the size of a projector"):
        alignment.load_projector(tmp_path)


def test_a_batch_may_hold_a_single_object(bank: Path) -> None:
    projector = alignment.new_projector(build_llm(TINY)).train()
    audio = FeatureBank(bank).audio(1)
    parts = [torch.as_tensor(getattr(audio, name)) for name in ("semantic", "scene", "objects")]
    assert torch.isfinite(projector(*(part[:1] for part in parts))).all()
    assert torch.isfinite(projector(*parts)).all()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["grpo"], 2),
        (["language", "--precision", "int3"], 2),
        (["sft", "--bank", "bank", "--fresh", "--start", "sft"], 2),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: list[str], code: int) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code and "Traceback" not in result.output


def test_a_missing_checkpoint_is_exit_code_3(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["alignment", "--bank", str(tmp_path), "--run", str(tmp_path)])
    assert result.exit_code == 3


def test_questions_are_written_as_json_lines(tmp_path: Path, bank: Path) -> None:
    out = tmp_path / "items.jsonl"
    arguments = ["questions", "--out", str(out), "--scenes", str(bank / "scenes.jsonl"), "--count", "30"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    items = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(items) == 30 and all(item["scene"].startswith("fake-") for item in items)


def test_a_share_of_the_scenes_is_only_asked_what_is_learned_last(bank: Path, tokenizer: Tokenizer) -> None:
    batches = AudioBatches(FeatureBank(bank), tokenizer, replace(MIX, where_share=0.0, weak_share=0.6))
    tasks = [item.task for _, item in itertools.islice(batches._audio_items(random.Random(3)), 300)]
    weak = sum(name in WEAK_TASKS for name in tasks) / len(tasks)
    rest = AudioBatches(FeatureBank(bank), tokenizer, replace(MIX, where_share=0.0))
    usual = [item.task for _, item in itertools.islice(rest._audio_items(random.Random(3)), 300)]
    assert weak > sum(name in WEAK_TASKS for name in usual) / len(usual) + 0.1
    assert set(tasks) - set(WEAK_TASKS)


def test_a_share_of_the_scenes_is_only_asked_what_is_louder(bank: Path, tokenizer: Tokenizer) -> None:
    def louder(share: float) -> float:
        batches = AudioBatches(FeatureBank(bank), tokenizer, replace(MIX, where_share=0.0, louder_share=share))
        tasks = [item.task for _, item in itertools.islice(batches._audio_items(random.Random(3)), 300)]
        return tasks.count("louder") / len(tasks)

    assert louder(0.6) > louder(0.0) + 0.15


def test_a_share_of_the_scenes_is_only_asked_what_few_scenes_allow(bank: Path, tokenizer: Tokenizer) -> None:
    def extremes(share: float) -> float:
        batches = AudioBatches(FeatureBank(bank), tokenizer, replace(MIX, where_share=0.0, rare_share=share))
        made = [item.think for _, item in itertools.islice(batches._audio_items(random.Random(3)), 300)]
        kinds = ("asked: further right extreme", "asked: ends earlier extreme", "asked: side open")
        return sum(kind in think for think in made for kind in kinds) / len(made)

    assert extremes(0.7) > extremes(0.0) + 0.2


def test_text_states_levels_only_where_its_evidence_holds_them(tokenizer: Tokenizer) -> None:
    """Steps that read what is written nowhere would be learned as guesses."""
    pages = (
        tokenizer.decode(list(example.suffix)) for example in itertools.islice(text_examples(tokenizer, 5, 0.02), 150)
    )
    pages = [page for page in pages if not page.startswith(DRILL_QUESTION)]
    reading = [page for page in pages if "\nlevel: " in page or "\nquiet: " in page]
    assert reading
    for page in reading:
        told = {evidence.label: evidence.level_db for evidence in parse_evidence(page)}
        for line in page.split("\n"):
            if line.startswith(("level: ", "quiet: ")):
                values = line.split(": ")[1].split(", ")
                assert all(told[value.rpartition(" ")[0]] == int(value.rpartition(" ")[2]) for value in values), page
    assert any(parse_evidence(page)[0].level_db is None for page in pages if parse_evidence(page))


def test_sft_grows_the_language_model_it_begins_with_and_resumes_with_the_larger_one(
    bank: Path, start: Path, tmp_path: Path
) -> None:
    larger = replace(TINY, layers=3, ffn=192)
    settings = sft.SftSettings(QUICK, MIX, shape=larger)
    aligned = tmp_path / "alignment"
    list(alignment.run(aligned, start, bank, alignment.AlignmentSettings(replace(QUICK, steps=1), ALIGNING)))
    list(sft.run(tmp_path / "sft", aligned, bank, replace(settings, loop=replace(QUICK, steps=3))))
    list(sft.run(tmp_path / "sft", aligned, bank, settings, resume=True))
    assert shape_of(load_llm(tmp_path / "sft")) == larger
    assert len(losses(tmp_path / "sft")) == QUICK.steps


def test_an_unknown_size_is_refused(bank: Path) -> None:
    result = CliRunner().invoke(app, ["sft", "--bank", str(bank), "--size", "huge"])
    assert result.exit_code == 2
    assert "choose nano, small, medium" in result.output


def test_every_batch_has_some_audio() -> None:
    """Pages of text are long: sorted by length, they would fill batches of their own."""
    text = [Example(np.zeros(2, np.int64), np.zeros(400 + k, np.int64), np.ones(400 + k, np.float32)) for k in range(8)]
    heard = ProjectorInputs(
        np.zeros((3, 317), np.float32), np.zeros((3, 134), np.float32), np.zeros((2, 299), np.float32)
    )
    spoken = [replace(example, suffix=example.suffix[:9], weights=example.weights[:9], audio=heard) for example in text]
    batches = [spoken[:4], spoken[4:], text[:4], text[4:]]
    spread_audio(batches)
    assert [sum(example.audio is not None for example in batch) for batch in batches] == [2, 2, 2, 2]
    assert sorted(id(example) for batch in batches for example in batch) == sorted(map(id, text + spoken))
    few = [spoken[:1], text[:4]]
    spread_audio(few)
    assert few == [spoken[:1], text[:4]]
