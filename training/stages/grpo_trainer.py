"""TRL's GRPO with prompts that hold audio.

TRL samples the groups, asks the rewards, normalises the advantages and computes the clipped loss with its KL term; nothing of
that is written again here. Three things have to be added, and each is an override of one method:

- Its prompts are token ids, and its loss calls the network below any outer `forward` that would splice audio in. So a row
  of projector input becomes a *virtual token* (`vocabulary size + row`) that `AudioEmbedding`, in the place of the
  embedding table, sends through the projector; prompts arrive as ids (`_tokenize_prompts`).
- Its reference model is loaded from a path of Hugging Face's layout, with no projector: it is copied here instead.
- Its own training loop ends after a number of steps and writes pickled state. `loss` gives the loss of one batch of
  prompts, so that the loop all stages share sets schedule and time limit, and writes the checkpoints.

The names that are overridden are private to TRL: its version is pinned in `pyproject.toml`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedTokenizerFast
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.runtime.language.prompt import BOS, EOS, PAD
from earshot.training.models.projector_parts import Projector
from earshot.training.stages.option_likelihood import probabilities, weighing
from earshot.training.stages.rewards import REWARDS, RewardPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earshot.training.questions.items import Item


class AudioEmbedding(nn.Embedding):
    """Embedding table whose ids from the vocabulary size on are audio of the present batch.

    The projector keeps its running statistics: what is sampled and what is scored must come from the same network.

    Parameters
    ----------
    table : nn.Embedding
        Embeddings of the language model; its weight is shared, not copied.
    projector : Projector
        Makes the embeddings of audio.
    """

    def __init__(self, table: nn.Embedding, projector: Projector) -> None:
        super().__init__(table.num_embeddings, table.embedding_dim, padding_idx=table.padding_idx, _weight=table.weight)
        self.weight = table.weight
        self.projector = projector.eval()
        self.inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    def train(self, mode: bool = True) -> AudioEmbedding:
        """Switch the mode of the table only."""
        super().train(mode)
        self.projector.eval()
        return self

    def hear(self, audios: Sequence[ProjectorInputs]) -> list[list[int]]:
        """Take the audio of a batch; returns the virtual tokens of each, moments first."""
        device = self.weight.device
        names = ("semantic", "scene", "objects")
        semantic, scene, objects = (
            torch.cat([torch.as_tensor(getattr(audio, name), dtype=torch.float32) for audio in audios]).to(device)
            for name in names
        )
        self.inputs = (semantic, scene, objects)
        moment, first_object = self.num_embeddings, self.num_embeddings + len(semantic)
        tokens = []
        for audio in audios:
            moments, heard = len(audio.semantic), len(audio.objects)
            tokens.append([*range(moment, moment + moments), *range(first_object, first_object + heard)])
            moment, first_object = moment + moments, first_object + heard
        return tokens

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings [..., H] of tokens and virtual tokens."""
        is_audio = ids >= self.num_embeddings
        embeddings = super().forward(ids.masked_fill(is_audio, 0))
        if self.inputs is None or not bool(is_audio.any()):
            return embeddings
        audio = self.projector(*self.inputs).to(embeddings.dtype)
        return embeddings.masked_scatter(is_audio.unsqueeze(-1), audio[ids[is_audio] - self.num_embeddings])


def give_ears(model: Any, projector: Projector) -> AudioEmbedding:
    """Put an `AudioEmbedding` in the place of a model's table."""
    ears = AudioEmbedding(model.get_input_embeddings(), projector)
    model.set_input_embeddings(ears)
    return ears


@contextmanager
def without_ears(model: Any) -> Iterator[Any]:
    """The model with its plain table, as checkpoints are written."""
    ears: AudioEmbedding = model.get_input_embeddings()
    plain = nn.Embedding(ears.num_embeddings, ears.embedding_dim, _weight=ears.weight)
    plain.weight = ears.weight
    model.set_input_embeddings(plain)
    try:
        yield model
    finally:
        model.set_input_embeddings(ears)


@dataclass(frozen=True)
class Sampling:
    """How completions are sampled and scored.

    Attributes
    ----------
    group : int
        Completions per prompt; advantages are normalised among them.
    prompts : int
        Prompts per step.
    temperature : float
        Of sampling (and of the policy that is scored).
    longest : int
        Tokens of a completion at most.
    kl : float
        Weight of the KL divergence to the network that training began with.
    clip : float
        Range in which the probability ratio may move.
    as_used : bool
        Questions with options are judged by the probability of the right one, as the runtime weighs them, instead of the letter and words written.
    """

    group: int = 8
    prompts: int = 8
    temperature: float = 1.0
    longest: int = 128
    kl: float = 0.02
    clip: float = 0.2
    as_used: bool = True


class AudioGRPOTrainer(GRPOTrainer):  # type: ignore[misc]  # trl has no types
    """GRPO over prompts of token ids and virtual tokens; see the module's docstring.

    Parameters
    ----------
    model : LlamaForCausalLM
        The policy, with `give_ears`.
    tokenizer : tokenizers.Tokenizer
        Decodes completions, special tokens included.
    sampling : Sampling
        Settings.
    scratch : Path
        A folder that TRL insists on; nothing is written into it.
    rewards : sequence of RewardPart
        What completions are judged by.
    seed : int
        Replaces the global seed while TRL is being set up.
    """

    def __init__(
        self, model: Any, tokenizer: Tokenizer, sampling: Sampling, scratch: Path,
        rewards: Sequence[RewardPart] = REWARDS, seed: int = 0,
    ) -> None:  # fmt: skip
        reference = copy.deepcopy(model).requires_grad_(False) if sampling.kl > 0 else None
        super().__init__(
            model,
            [
                self._judge_as_used(part, tokenizer)
                if sampling.as_used and part.name == "answer"
                else _judge(part, tokenizer)
                for part in rewards
            ],
            _config(sampling, scratch, rewards, seed),
            Dataset.from_dict({"prompt": ["unused"]}),
            processing_class=PreTrainedTokenizerFast(
                tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS
            ),
        )
        self.group = sampling.group
        self.current_gradient_accumulation_steps = 1
        if reference is not None:
            self.beta = sampling.kl
            self.ref_model = reference.eval()
            add_fused_lm_head(self.ref_model, temperature=sampling.temperature)

    def loss(self, prompts: Sequence[tuple[Item, Sequence[int]]]) -> tuple[torch.Tensor, int, dict[str, float]]:
        """Sample a group for every prompt and score it.

        Parameters
        ----------
        prompts : sequence of (Item, ids)
            What is asked, and the prompt as tokens and virtual tokens of the audio that was heard last.

        Returns
        -------
        (loss, tokens, metrics)
            Loss to descend; tokens that were sampled; TRL's own metrics by TRL's names.
        """
        self.model.train()
        self._share_audio()
        rows = [{"prompt": list(ids), "item": item} for item, ids in prompts for _ in range(self.group)]
        with torch.autocast("cpu", enabled=False):
            inputs = self._generate_and_score_completions(rows)
        loss: torch.Tensor = self._compute_loss(self.model, inputs)  # type: ignore[no-untyped-call]
        metrics = {name: values[-1] for name, values in self._metrics["train"].items() if values}
        self._metrics["train"].clear()
        return loss, int(inputs["completion_mask"].sum()), metrics

    def _judge_as_used(self, part: RewardPart, tokenizer: Tokenizer) -> Callable[..., list[float]]:
        """A reward in TRL's form; questions with options get the probability of the right one after the reasoning."""
        usual = _judge(part, tokenizer)

        def judge(
            completion_ids: Sequence[Sequence[int]], item: Sequence[Item], prompts: Sequence[Sequence[int]], **_: Any
        ) -> list[float]:
            texts = tokenizer.decode_batch([list(ids) for ids in completion_ids], skip_special_tokens=False)
            rows = [weighing(tokenizer, *row) for row in zip(item, prompts, texts, strict=True)]
            found = iter(probabilities(self.model, [row for row in rows if row is not None]))
            marks = usual(completion_ids, item)
            for number, row in enumerate(rows):
                if row is not None:
                    marks[number] = next(found)[item[number].choice or 0]
            return marks

        judge.__name__ = part.name
        return judge

    def _share_audio(self) -> None:
        if self.ref_model is not None:
            self.ref_model.get_input_embeddings().inputs = self.model.get_input_embeddings().inputs

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """Prompts come as ids."""
        return prompts, None, {}


def _config(sampling: Sampling, scratch: Path, rewards: Sequence[RewardPart], seed: int) -> Any:
    """TRL's settings; `beta` stays 0 there because the reference model is not loaded by TRL."""
    return GRPOConfig(
        output_dir=str(scratch),
        per_device_train_batch_size=sampling.group * sampling.prompts,
        gradient_accumulation_steps=1,
        num_generations=sampling.group,
        max_completion_length=sampling.longest,
        temperature=sampling.temperature,
        epsilon=sampling.clip,
        beta=0.0,
        loss_type="dapo",
        scale_rewards="group",
        reward_weights=[part.weight for part in rewards],
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
        report_to="none",
        seed=seed,
        max_steps=1,
    )


def _judge(part: RewardPart, tokenizer: Tokenizer) -> Callable[..., list[float]]:
    """A reward in TRL's form, under its own name."""

    def judge(completion_ids: Sequence[Sequence[int]], item: Sequence[Item], **_: Any) -> list[float]:
        texts = tokenizer.decode_batch([list(ids) for ids in completion_ids], skip_special_tokens=False)
        return [part.function(asked, text) for asked, text in zip(item, texts, strict=True)]

    judge.__name__ = part.name
    return judge
