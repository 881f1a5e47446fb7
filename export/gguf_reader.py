"""GGUF of the Llama family back to what it was written from: configuration, float32 weights, tokenizer.

The inverse of `gguf_llm.write_gguf`, so that training can go on from a bundle. What quantization took away stays away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from earshot.runtime.errors import InputError

_FAMILY = "llama"


@dataclass(frozen=True)
class LlamaWeights:
    """A language model read from a file.

    Attributes
    ----------
    config : dict
        Keyword arguments of `transformers.LlamaConfig`.
    tensors : dict of float32 ndarray
        Under their names in `LlamaForCausalLM`; tied output weights are left out.
    tokenizer : Tokenizer
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, NDArray[np.float32]]
    tokenizer: Tokenizer


def read_gguf(path: Path) -> LlamaWeights:
    """Read a language model that `write_gguf` wrote.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        When the file is no GGUF, of another family, or its tokenizer is no byte-level BPE as trained here.
    """
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a readable GGUF file ({error})") from error
    if fields.get("general.architecture") != _FAMILY:
        raise InputError(
            f"{path}: a {fields.get('general.architecture')} model; only those of the {_FAMILY} family can be read back"
        )
    if fields.get("tokenizer.ggml.pre") != "gpt-2":
        raise InputError(
            f"{path}: its tokenizer splits text by {fields.get('tokenizer.ggml.pre')!r}; only 'gpt-2' can be read back"
        )
    config = _config(fields)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    return LlamaWeights(config, _tensors(stored, config), _tokenizer(fields))


def _config(fields: Mapping[str, Any]) -> dict[str, Any]:
    heads = fields["llama.attention.head_count"]
    return {
        "vocab_size": fields["llama.vocab_size"],
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields.get("llama.attention.head_count_kv", heads),
        "head_dim": fields["llama.attention.key_length"],
        "max_position_embeddings": fields["llama.context_length"],
        "rope_theta": fields["llama.rope.freq_base"],
        # Stored as float32: 1e-6 comes back as 9.999999974752427e-07.
        "rms_norm_eps": float(f"{fields['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _tensors(stored: Mapping[str, Any], config: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Weights under the names of Hugging Face; also notes in the configuration whether the output weights are tied."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    config["tie_word_embeddings"] = "output.weight" not in stored
    out = {}
    for key in _keys(config):
        tensor = stored[str(names.get_name(key, try_suffixes=(".weight",)))]
        shape = tuple(int(length) for length in reversed(tensor.shape))
        data = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32).reshape(shape)
        out[key] = np.ascontiguousarray(_half_split(key, data, config))
    return out


def _keys(config: Mapping[str, Any]) -> list[str]:
    """Names of all weights of a `LlamaForCausalLM`."""
    norms = [f"{name}_layernorm" for name in ("input", "post_attention")]
    products = [f"mlp.{name}_proj" for name in ("gate", "up", "down")] + [f"self_attn.{name}_proj" for name in "qkvo"]
    layers = [f"model.layers.{n}.{p}.weight" for n in range(config["num_hidden_layers"]) for p in norms + products]
    tied = [] if config["tie_word_embeddings"] else ["lm_head.weight"]
    return ["model.embed_tokens.weight", *layers, "model.norm.weight", *tied]


def _half_split(key: str, data: NDArray[np.float32], config: Mapping[str, Any]) -> NDArray[np.float32]:
    """Reorder q and k rows from interleaved pairs (GGUF "llama") to half-split (Hugging Face)."""
    count = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(key.split(".")[-2])
    if count is None:
        return data
    heads = config[count]
    pairs = data.reshape(heads, data.shape[0] // heads // 2, 2, *data.shape[1:])
    return pairs.swapaxes(1, 2).reshape(data.shape)


def _tokenizer(fields: Mapping[str, Any]) -> Tokenizer:
    """The byte-level BPE, its control tokens special."""
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    vocabulary = {text: i for i, text in enumerate(tokens) if kinds[i] != gguf.TokenType.UNUSED}
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    control = [text for text, i in vocabulary.items() if kinds[i] == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in control])
    return tokenizer
