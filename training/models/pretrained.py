"""Language models of others (Llama and Qwen2 families) with LoRA, for bigger runs than `nano`.

The network keeps its own weights; low-rank adapters and the rows of the prompt's control tokens are learned beside them
(LoRA, arXiv 2106.09685). Merged, it is a plain Hugging Face network again, which `earshot export` writes as GGUF.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import AddedToken, Tokenizer
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.utils import cached_file

from earshot.runtime.errors import InputError
from earshot.runtime.language.prompt import BOS, EOS, PAD, SPECIAL_TOKENS
from earshot.training.models.weights import fill, load_settings, load_tensors, save_settings

FAMILIES: dict[str, tuple[Any, Any]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
}
"""Families that can be exported."""


@dataclass(frozen=True)
class LoraShape:
    """Which language model is adapted, and by how much.

    Attributes
    ----------
    name : str
        Folder, or name on the Hugging Face hub.
    rank, alpha : int
        Of the adapters; their product is scaled by ``alpha / rank``.
    """

    name: str
    rank: int = 16
    alpha: int = 32


def load_pretrained(name: str) -> tuple[Any, Tokenizer]:
    """Read a causal language model and give it the prompt's control tokens.

    Parameters
    ----------
    name : str
        Folder with `config.json`, `model.safetensors` and `tokenizer.json`, or name on the Hugging Face hub.

    Returns
    -------
    (model, tokenizers.Tokenizer)
        Network in float32; tokenizer with `SPECIAL_TOKENS` added where it lacks them.

    Raises
    ------
    InputError
        There is no such model, no way to it, or it belongs to a family that cannot be exported.
    """
    try:
        tokenizer_json = cached_file(name, "tokenizer.json")
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, attn_implementation="sdpa")
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"language model {name} cannot be loaded ({reason}): give a folder with config.json, model.safetensors and "
            "tokenizer.json, or a name on the Hugging Face hub while it can be reached"
        ) from error
    if model.config.model_type not in FAMILIES:
        raise InputError(
            f"language model {name} is of the family {model.config.model_type}: choose one of {' or '.join(FAMILIES)}"
        )
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    _add_control_tokens(model, tokenizer)
    return model, tokenizer


def control_ids(tokenizer: Tokenizer) -> list[int]:
    """Ids of the prompt's control tokens."""
    found = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
    return [token for token in found if token is not None]


@torch.no_grad()
def _add_control_tokens(model: Any, tokenizer: Tokenizer) -> None:
    """Add what is missing; new rows start as the mean of all, so that none stands out before it is learned."""
    known = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    table = model.get_input_embeddings()
    mean = table.weight.mean(dim=0)
    if tokenizer.get_vocab_size() > table.num_embeddings:
        model.resize_token_embeddings(tokenizer.get_vocab_size())
    for token in control_ids(tokenizer):
        if token >= known:
            model.get_input_embeddings().weight[token] = mean
    for name, text in {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}.items():
        setattr(model.config, name, tokenizer.token_to_id(text))


def with_lora(model: Any, tokenizer: Tokenizer, shape: LoraShape) -> Any:
    """A `PeftModel` whose adapters and control token rows are trained, all else frozen."""
    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        trainable_token_indices=control_ids(tokenizer),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def merged(model: Any) -> Any:
    """The plain network that computes what the adapted one does."""
    plain = model.merge_and_unload()
    plain.tie_weights()
    return plain.eval()


def save_shape(shape: LoraShape, directory: Path) -> None:
    """Note in `pretrained.json` what a checkpoint adapts."""
    save_settings(asdict(shape), directory / "pretrained.json")


def load_shape(directory: Path) -> LoraShape:
    """Inverse of `save_shape`; `InputError` if the checkpoint is of another kind."""
    path = directory / "pretrained.json"
    if not path.is_file():
        raise InputError(f"{directory} holds no adapted language model: run `earshot train pretrained` first")
    return LoraShape(**load_settings(path))


def load_causal(directory: Path) -> Any:
    """Read a merged network, of either family, that `models.llm.save_llm` wrote.

    Raises
    ------
    InputError
        There is none, or its family is not known.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise InputError(f"no language model at {directory}: train one first")
    settings = load_settings(path)
    family = settings.get("model_type")
    if family not in FAMILIES:
        raise InputError(f"{path}: family {family!r}, but only {' and '.join(FAMILIES)} can be read")
    config_of, network_of = FAMILIES[family]
    config = config_of(**settings)
    config._attn_implementation = "sdpa"
    model = network_of(config)
    weights = directory / "model.safetensors"
    fill(model, load_tensors(weights), weights, whole=False)
    model.tie_weights()
    return model
