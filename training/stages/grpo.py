"""Stage 4: reinforcement learning from scene metadata, with group-relative advantages (GRPO, arXiv 2402.03300).

A group of completions is sampled for every question, each is judged by the truth of its scene (`rewards`), and what is better
than the rest of its group becomes likelier. Two things hold on to what was learned before: the KL divergence to the network
of the sft stage, and in every step a batch of that stage, so that hearing does not get worse while reasoning gets better.
"""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from earshot.runtime.errors import InputError
from earshot.runtime.language.prompt import EOS, PAD
from earshot.training.models.llm import load_llm, save_llm
from earshot.training.models.projector import load_projector, save_projector
from earshot.training.models.tokenizer import load_tokenizer
from earshot.training.stages.alignment import demand_one_width
from earshot.training.stages.audio_items import AudioBatches, AudioMix, audio_loss
from earshot.training.stages.bank_reader import held_out_bank, training_bank
from earshot.training.stages.checkpoint import has_state
from earshot.training.stages.grpo_episodes import Episode, Episodes, is_held_out, probe_episodes, prompt_ids
from earshot.training.stages.grpo_log import RewardLog, score
from earshot.training.stages.grpo_trainer import AudioEmbedding, AudioGRPOTrainer, Sampling, give_ears, without_ears
from earshot.training.stages.loop import Loop, LoopSettings
from earshot.training.stages.option_likelihood import probabilities, weighing
from earshot.training.stages.precision import faster_precision
from earshot.training.stages.rewards import REWARDS

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class GrpoSettings:
    """Settings of reinforcement learning.

    Attributes
    ----------
    loop : LoopSettings
        Schedule. A tenth of sft's learning rate: 5e-4 collapsed in half of the trials.
    sampling : Sampling
        Size of groups, temperature, KL.
    ideal_share : float
        Share of prompts about described scenes as good ears would hear them.
    mix : AudioMix
        Batches of the sft stage.
    replay_weight : float
        Weight of their loss; 0 leaves them out.
    probe_items, probe_steps : int
        Kept questions that are answered greedily before, after, and every so many steps.
    seed : int
        Seed of prompts, sampling and replay.
    """

    loop: LoopSettings = LoopSettings(  # noqa: RUF009 - frozen
        minutes=30.0, learning_rate=5e-5, warmup_steps=10, log_steps=5
    )
    sampling: Sampling = Sampling()  # noqa: RUF009 - frozen
    ideal_share: float = 0.25
    mix: AudioMix = AudioMix(batch_items=12)  # noqa: RUF009 - frozen
    replay_weight: float = 0.2
    probe_items: int = 150
    probe_steps: int = 100
    seed: int = 0


def run(
    directory: Path, tuned: Path, bank: Path, settings: GrpoSettings, resume: bool = False, held_out: Path | None = None
) -> Iterator[dict[str, float]]:
    """Train by reinforcement; yields log records.

    Parameters
    ----------
    directory : Path
        Run directory of the stage; gets the same files as that of sft, `rewards.csv`, `probe.csv` and `rewards.png`.
    tuned : Path
        Checkpoint of the sft stage; also the reference of the KL divergence, when resuming too.
    bank : Path
        Feature bank.
    settings : GrpoSettings
        What to train, and for how long.
    resume : bool
        Go on from the checkpoint in `directory`, if there is one.
    held_out : Path, optional
        Feature bank of scenes that no stage has seen, for the probes; without, scenes of `bank` that only sft saw.

    Raises
    ------
    InputError
        `directory` is that of the sft stage, or a run that began with another network is to go on.
    """
    if directory.resolve() == tuned.resolve():
        raise InputError(f"{directory} holds the sft stage: give grpo a folder of its own")
    resume = resume and has_state(directory)
    if not resume:
        _begin(directory, tuned)
    stage = _Stage(directory, tuned, bank, settings, resume, held_out)
    yield from stage.run()


def _begin(directory: Path, tuned: Path) -> None:
    """Copy the tokenizer and clear the logs of a run that is written over."""
    load_tokenizer(tuned)  # says in one line what to run first
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tuned / "tokenizer.json", directory / "tokenizer.json")
    (directory / "log.csv").unlink(missing_ok=True)
    RewardLog(directory).forget_after(0)


class _Stage:
    """Networks, prompts and logs of one run."""

    def __init__(
        self, directory: Path, tuned: Path, bank: Path, settings: GrpoSettings, resume: bool, held_out: Path | None
    ) -> None:
        self.directory = directory
        self.settings = settings
        self.tokenizer = load_tokenizer(directory)
        self.model = load_llm(tuned)
        projector = load_projector(tuned)
        demand_one_width(projector, self.model, tuned)
        if projector.per_object > 1:
            raise InputError(f"{tuned}: reinforcement knows no named objects yet; train sft without --named-objects")
        self.ears = give_ears(self.model, projector)
        self.trainer = AudioGRPOTrainer(
            self.model, self.tokenizer, settings.sampling, directory / "state", seed=settings.seed
        )
        if resume:
            self._read_weights(tuned)
        features = training_bank(bank)
        self.episodes = Episodes(
            features, settings.sampling.prompts, settings.ideal_share, settings.seed, settings.mix.absent_share
        )
        self.replay = AudioBatches(features, self.tokenizer, replace(settings.mix, seed=settings.seed + 1), is_held_out)
        kept = features if held_out is None else held_out_bank(held_out, features)
        self.probed = probe_episodes(kept, settings.probe_items, unseen=held_out is not None)
        self.log = RewardLog(directory)
        self.loop = self._make_loop()
        if resume:
            self.loop.restore()
            self.log.forget_after(self.loop.progress.step)

    def run(self) -> Iterator[dict[str, float]]:
        """Train to the end, with probes."""
        if self.loop.progress.step == 0:
            self.probe()
        for record in self.loop.run():
            if self.loop.progress.step % self.settings.probe_steps < self.settings.loop.log_steps:
                self.probe()
            yield record
        if self.log.last_probe() != self.loop.progress.step:
            self.probe()

    def probe(self) -> dict[str, float]:
        """Answer the kept questions greedily; notes and returns their scores."""
        items = [episode.item for episode in self.probed]
        texts = complete(self.model, self.ears, self.tokenizer, self.probed, self.settings.sampling.longest)
        chosen = self._chosen(texts)
        record = {"step": self.loop.progress.step, "items": len(items), **score(items, texts), "chosen": chosen}
        self.log.add_probe(record)
        LOGGER.info("probe at step %(step)d: reward %(reward).3f, right %(right).3f", record)
        return record

    def _chosen(self, texts: Sequence[str]) -> float:
        """Share of the kept questions with options in which the right one is the likeliest after the reasoning, as the runtime weighs them."""
        heard = self.ears.hear([episode.audio for episode in self.probed])
        asked = [
            (
                episode.item,
                weighing(self.tokenizer, episode.item, prompt_ids(self.tokenizer, episode.item, tokens), text),
            )
            for episode, tokens, text in zip(self.probed, heard, texts, strict=True)
            if episode.item.choices
        ]
        weighed = [(item, row) for item, row in asked if row is not None]
        found = probabilities(self.model, [row for _, row in weighed])
        right = sum(max(p) == p[item.choice or 0] for (item, _), p in zip(weighed, found, strict=True))
        return round(right / len(asked), 4) if asked else float("nan")

    def loss(self, step: int) -> tuple[torch.Tensor, int]:
        """Loss of one step, and the tokens that were sampled or replayed."""
        torch.manual_seed(random.Random(f"{self.settings.seed}-{step}").getrandbits(63))
        episodes = self.episodes(step)
        tokens = self.ears.hear([episode.audio for episode in episodes])
        prompts = [
            (episode.item, prompt_ids(self.tokenizer, episode.item, heard))
            for episode, heard in zip(episodes, tokens, strict=True)
        ]
        loss, count, metrics = self.trainer.loss(prompts)
        record = _step_record(step + 1, metrics)
        if self.settings.replay_weight > 0:
            replayed, replayed_tokens = self._replay_loss(step)
            loss, count = loss + self.settings.replay_weight * replayed, count + replayed_tokens
            record["replay_loss"] = round(float(replayed.detach()), 4)
        self.log.add(record)
        return loss, count

    def _replay_loss(self, step: int) -> tuple[torch.Tensor, int]:
        return audio_loss(self.model, self.ears.projector, self.replay(step))

    def _make_loop(self) -> Loop:
        settings = self.settings.loop
        if settings.precision == "auto":
            # Timed on a batch of sft: a step of this stage also samples, which is done in fp32 either way.
            precision, seconds = faster_precision(lambda: self._replay_loss(0)[0])
            LOGGER.info("precision: fp32 %(fp32).2f s, bf16 %(bf16).2f s a batch", seconds)
            self.model.zero_grad()
            settings = replace(settings, precision=precision)
        parameters = dict(self.model.named_parameters())
        options = asdict(self.settings)
        loop = Loop(parameters, self.loss, lambda step: step, self._save, self.directory, settings, options)
        # Not Muon, as in the other stages: it gives every direction of a gradient the same size, and most directions of a
        # gradient from a few sampled groups are noise.
        loop.optimizer = torch.optim.AdamW(parameters.values(), weight_decay=0.0, betas=(0.9, 0.95))  # type: ignore[assignment]
        return loop

    def _save(self) -> None:
        with without_ears(self.model) as model:
            save_llm(model, self.directory)
        save_projector(self.ears.projector, self.directory)

    def _read_weights(self, tuned: Path) -> None:
        """Weights of the checkpoint; the reference has been made from those of sft by now."""
        try:
            with without_ears(self.model) as model:
                model.load_state_dict(load_llm(self.directory).state_dict())
            self.ears.projector.load_state_dict(load_projector(self.directory).state_dict())
        except RuntimeError as error:
            raise InputError(
                f"{tuned}: another network than the one {self.directory} began with; name that with --from"
            ) from error


def _step_record(step: int, metrics: dict[str, float]) -> dict[str, float]:
    """A line of `rewards.csv`, from TRL's metrics."""
    names = {
        "reward": "reward", "reward_std": "reward_std", "same_groups": "frac_reward_zero_std",
        **{part.name: f"rewards/{part.name}/mean" for part in REWARDS},
        "length": "completions/mean_length", "cut_off": "completions/clipped_ratio", "kl": "kl", "entropy": "entropy",
    }  # fmt: skip
    return {"step": step, **{name: round(metrics.get(key, 0.0), 5) for name, key in names.items()}}


@torch.no_grad()
def complete(
    model: Any, ears: AudioEmbedding, tokenizer: Tokenizer, episodes: Sequence[Episode], longest: int, batch: int = 50
) -> list[str]:
    """Greedy completions, special tokens written out, of `episodes`."""
    pad, end = tokenizer.token_to_id(PAD), tokenizer.token_to_id(EOS)
    texts: list[str] = []
    for start in range(0, len(episodes), batch):
        part = episodes[start : start + batch]
        heard = ears.hear([episode.audio for episode in part])
        rows = [prompt_ids(tokenizer, e.item, tokens) for e, tokens in zip(part, heard, strict=True)]
        width = max(map(len, rows))
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=longest,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=pad,
        )[:, width:]
        decoded = tokenizer.decode_batch(out.tolist(), skip_special_tokens=False)
        texts.extend(text.partition(EOS)[0] + (EOS if EOS in text else "") for text in decoded)
    return texts
