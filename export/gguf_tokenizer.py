"""A byte-level BPE `tokenizer.json` as GGUF metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf

from earshot.runtime.language.prompt import BOS, EOS, PAD

# The splitting rule of Qwen2 and Qwen2.5 tokenizers, which llama.cpp knows as "qwen2".
_QWEN2_RULE = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer_json: Path, n_vocab: int) -> None:
    """Copy a tokenizer into a GGUF file under construction.

    Parameters
    ----------
    writer : gguf.GGUFWriter
        File under construction.
    tokenizer_json : Path
        File of the `tokenizers` package.
    n_vocab : int
        Rows of the embedding table; rows beyond the tokenizer's become unused tokens.

    Raises
    ------
    ValueError
        When it is no byte-level BPE, splits text by a rule llama.cpp has no name for, or has more tokens
        than the network.
    """
    spec = json.loads(tokenizer_json.read_text("utf-8"))
    model = spec["model"]
    if model["type"] != "BPE":
        raise ValueError(f"{tokenizer_json.name}: byte-level BPE is needed, not {model['type']}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(spec.get("pre_tokenizer") or {}, tokenizer_json.name))
    tokens, types = _token_table(spec, n_vocab)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    _add_special_ids(writer, tokens)


def _pre_tokenizer(pre: dict[str, Any], where: str) -> str:
    """llama.cpp's name of the rule by which text is split before merging."""
    parts = pre.get("pretokenizers", [pre])
    byte_level = parts[-1]
    if byte_level.get("type") != "ByteLevel" or byte_level.get("add_prefix_space"):
        raise ValueError(f"{where}: a ByteLevel pre-tokenizer without prefix space is needed")
    if len(parts) == 1 and byte_level.get("use_regex", True):
        return "gpt-2"
    if len(parts) == 2 and parts[0].get("pattern", {}).get("Regex") == _QWEN2_RULE:
        return "qwen2"
    raise ValueError(f"{where}: llama.cpp has no name for this pre-tokenizer; use ByteLevel with its own regex")


def _token_table(spec: dict[str, Any], n_vocab: int) -> tuple[list[str], list[int]]:
    """Text and GGUF type of each token id, `n_vocab` of both."""
    tokens = {index: (text, gguf.TokenType.NORMAL) for text, index in spec["model"]["vocab"].items()}
    for added in spec.get("added_tokens", []):
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]] = (added["content"], kind)
    if max(tokens) >= n_vocab:
        raise ValueError(f"the tokenizer has ids up to {max(tokens)}, the network only {n_vocab} embeddings")
    table = [tokens.get(i, (f"[unused{i}]", gguf.TokenType.UNUSED)) for i in range(n_vocab)]
    return [text for text, _ in table], [int(kind) for _, kind in table]


def _add_special_ids(writer: gguf.GGUFWriter, tokens: list[str]) -> None:
    """Ids of start, end and padding. The prompt spells its `<bos>` out, so llama.cpp must not add another."""
    index = {text: i for i, text in enumerate(tokens)}
    for text, add in (
        (BOS, writer.add_bos_token_id),
        (EOS, writer.add_eos_token_id),
        (PAD, writer.add_pad_token_id),
    ):
        if text not in index:
            raise ValueError(f"the tokenizer lacks the control token {text}")
        add(index[text])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
