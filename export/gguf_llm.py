"""Hugging Face Llama and Qwen2 networks to GGUF, written directly with the `gguf` package.

Directly, because llama.cpp's own converter knows tokenizers by a list of checksums and refuses one
trained here. Names follow `gguf.get_tensor_name_map`; the tokenizer stays byte-level BPE ("gpt2" in
GGUF's terms) and is copied token by token, so `tests/export` can ask for token-for-token equality with
the network it came from.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as GgmlType
from numpy.typing import NDArray

from earshot.export.gguf_tokenizer import add_tokenizer
from earshot.runtime.language.prompt import MAX_AUDIO_TOKENS

DIRECT_TYPES = {"F32": GgmlType.F32, "F16": GgmlType.F16, "Q8_0": GgmlType.Q8_0}
"""Formats written here; each matrix gets this type, each vector stays float32."""

LLAMA_CPP_TYPES = ("Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K")
"""Formats made from F16 by llama.cpp's quantizer."""

QUANTIZATIONS = (*DIRECT_TYPES, *LLAMA_CPP_TYPES)

AUDIO_TOKEN_RATE_HZ = 2.5
_ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
    "Q4_K_M": gguf.LlamaFileType.MOSTLY_Q4_K_M,
    "Q5_K_M": gguf.LlamaFileType.MOSTLY_Q5_K_M,
    "Q6_K": gguf.LlamaFileType.MOSTLY_Q6_K,
}


@dataclass(frozen=True)
class GgufReport:
    """What was written.

    Attributes
    ----------
    path : Path
    architecture : str
        "llama" or "qwen2".
    hidden, context : int
        Embedding width; longest context in tokens.
    quantization : str
        The format asked for.
    tensor_types : dict
        Number of tensors per GGML type really in the file: K-quants fall back to Q5_0 or Q8_0 for rows
        whose length is not a multiple of 256.
    size_bytes : int
    """

    path: Path
    architecture: Literal["llama", "qwen2"]
    hidden: int
    context: int
    quantization: str
    tensor_types: dict[str, int]
    size_bytes: int


def write_gguf(
    model: torch.nn.Module,
    tokenizer_json: Path,
    path: Path,
    quantization: str = "Q8_0",
    name: str = "earshot",
) -> GgufReport:
    """Write a causal language model as one GGUF file.

    Parameters
    ----------
    model : torch.nn.Module
        `LlamaForCausalLM` or `Qwen2ForCausalLM`, weights in any float type.
    tokenizer_json : Path
        `tokenizer.json` of the `tokenizers` package: byte-level BPE, control tokens as special added
        tokens.
    path : Path
        File to write; overwritten.
    quantization : str
        One of `QUANTIZATIONS`.
    name : str
        `general.name` in the file.

    Returns
    -------
    GgufReport

    Raises
    ------
    ValueError
        For another family, another kind of tokenizer, RoPE scaling, or a row length the format cannot hold.
    """
    if quantization not in QUANTIZATIONS:
        raise ValueError(f"LLM format {quantization!r} is unknown: choose one of {', '.join(QUANTIZATIONS)}")
    config = _checked_config(model.config)
    path.parent.mkdir(parents=True, exist_ok=True)
    if quantization in DIRECT_TYPES:
        _write(model, config, tokenizer_json, path, quantization, name)
    else:
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            f16 = Path(scratch) / "f16.gguf"
            _write(model, config, tokenizer_json, f16, "F16", name)
            requantize(f16, path, quantization)
    return GgufReport(
        path=path,
        architecture=config.model_type,
        hidden=config.hidden_size,
        context=config.max_position_embeddings,
        quantization=quantization,
        tensor_types=tensor_types(path),
        size_bytes=path.stat().st_size,
    )


def requantize(source: Path, target: Path, quantization: str, keep: Sequence[str] = ()) -> None:
    """Make a smaller GGUF file with llama.cpp's quantizer.

    Parameters
    ----------
    source : Path
        F16 or F32 file.
    target : Path
        File to write.
    quantization : str
        Name in llama.cpp's list, for example "Q4_K_M".
    keep : sequence of str
        Layers that stay F16, as `layers_of` names them.

    Raises
    ------
    ValueError
        When llama.cpp refuses.
    """
    import llama_cpp.llama_cpp as lib  # compiled library: only needed for these formats

    from earshot.runtime.language.llama import silence_llama_log

    silence_llama_log()
    params = lib.llama_model_quantize_default_params()
    params.ftype = int(_FILE_TYPES[quantization])
    params.nthread = 1
    overrides = (lib.llama_model_tensor_override * (len(keep) + 1))()  # a null pattern ends it
    for override, layer in zip(overrides, keep, strict=False):
        override.pattern, override.type = f"^{re.escape(layer)}[.]".encode(), int(GgmlType.F16)
    if keep:
        params.tt_overrides = overrides
    if lib.llama_model_quantize(str(source).encode(), str(target).encode(), params) != 0:
        raise ValueError(f"llama.cpp could not quantize {source.name} to {quantization}")


def layers_of(path: Path) -> list[str]:
    """Parts of a language model that hold matrices: `token_embd`, `blk.0`, ..., in the order of the file."""
    matrices = (t.name.removesuffix(".weight") for t in gguf.GGUFReader(path).tensors if len(t.shape) > 1)
    return list(dict.fromkeys(re.sub(r"^(blk[.][0-9]+)[.].*", r"\1", name) for name in matrices))


def tensor_types(path: Path) -> dict[str, int]:
    """Number of tensors per GGML type in a GGUF file, sorted by name."""
    reader = gguf.GGUFReader(path)
    return dict(sorted(Counter(t.tensor_type.name for t in reader.tensors).items()))


def _checked_config(config: Any) -> Any:
    """The network's configuration, if this writer keeps its promise for it."""
    if config.model_type not in _ARCHITECTURES:
        raise ValueError(f"model type {config.model_type!r}: only {' and '.join(_ARCHITECTURES)} can be exported")
    if _rope_scaled(config):
        raise ValueError("RoPE scaling is not supported by the exporter")
    if config.model_type == "llama" and (config.attention_bias or config.mlp_bias):
        raise ValueError("a Llama with biases cannot be written as GGUF 'llama'")
    if getattr(config, "use_sliding_window", False):
        raise ValueError("sliding-window attention is not supported by the exporter")
    return config


def _rope_scaled(config: Any) -> bool:
    scaling = getattr(config, "rope_scaling", None) or {}
    return bool(scaling.get("rope_type", "default") != "default")


def _rope_theta(config: Any) -> float:
    """RoPE base; transformers 5 keeps it in `rope_parameters`."""
    theta = getattr(config, "rope_theta", None)
    return float(theta if theta is not None else config.rope_parameters["rope_theta"])


def _write(model: torch.nn.Module, config: Any, tokenizer_json: Path, path: Path, quantization: str, name: str) -> None:
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[_ARCHITECTURES[config.model_type]])
    _add_settings(writer, config, quantization, name)
    add_tokenizer(writer, tokenizer_json, config.vocab_size)
    for tensor_name, data in _tensors(model.state_dict(), config):
        _add_tensor(writer, tensor_name, data, DIRECT_TYPES[quantization])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_settings(writer: gguf.GGUFWriter, config: Any, quantization: str, name: str) -> None:
    head_dim = _head_dim(config)
    writer.add_name(name)
    writer.add_file_type(_FILE_TYPES[quantization])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(_rope_theta(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_float32("earshot.audio_token_rate_hz", AUDIO_TOKEN_RATE_HZ)
    writer.add_uint32("earshot.max_audio_tokens", MAX_AUDIO_TOKENS)


def _head_dim(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _tensors(state: Mapping[str, torch.Tensor], config: Any) -> list[tuple[str, NDArray[np.float32]]]:
    """GGUF names and float32 values; tied output weights are left out, Llama's q and k rows reordered."""
    names = gguf.get_tensor_name_map(_ARCHITECTURES[config.model_type], config.num_hidden_layers)
    out: list[tuple[str, NDArray[np.float32]]] = []
    for key, tensor in state.items():
        if key.endswith("rotary_emb.inv_freq") or (key == "lm_head.weight" and config.tie_word_embeddings):
            continue
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ValueError(f"GGUF has no place for the tensor {key!r}")
        data = tensor.detach().to("cpu", torch.float32).numpy()
        if config.model_type == "llama":
            data = _interleave_rotary(key, data, config)
        out.append((name, np.ascontiguousarray(data)))
    return out


def _interleave_rotary(key: str, data: NDArray[np.float32], config: Any) -> NDArray[np.float32]:
    """Reorder q and k rows from half-split (Hugging Face) to interleaved pairs (GGUF "llama").

    Per head, row ``h * half + i`` (h = 0, 1) moves to ``2 * i + h``: each rotated pair becomes neighbours.
    """
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(key.split(".")[-2])
    if heads is None:
        return data
    split = data.reshape(heads, 2, data.shape[0] // heads // 2, *data.shape[1:])
    return split.swapaxes(1, 2).reshape(data.shape)


def _add_tensor(writer: gguf.GGUFWriter, name: str, data: NDArray[np.float32], kind: GgmlType) -> None:
    if data.ndim < 2 or kind is GgmlType.F32:
        writer.add_tensor(name, data)
    elif kind is GgmlType.F16:
        writer.add_tensor(name, data.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
