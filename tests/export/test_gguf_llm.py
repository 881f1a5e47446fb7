"""The GGUF file is the network it was made from: same tokens, same logits, same answers."""

from __future__ import annotations

import random
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, pre_tokenizers

from earshot.export.gguf_llm import layers_of, requantize, tensor_types, write_gguf
from earshot.runtime.language.llm import LanguageModel
from earshot.runtime.language.prompt import EOS, SPECIAL_TOKENS, build_prompt
from tests.tiny import N_VOCAB, make_llama, make_qwen2, make_tokenizer, scene_texts

FAMILIES = {"llama": make_llama, "qwen2": make_qwen2}


@pytest.fixture(scope="module")
def tokenizer_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def audio(n: int, hidden: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, (n, hidden)).astype(np.float32)


def hf_prompt(model: torch.nn.Module, tokenizer: Tokenizer, question: str, vectors: np.ndarray) -> torch.Tensor:
    """Prompt as input embeddings [1, tokens, hidden]: text | audio | text."""
    prompt = build_prompt(question)
    table = model.get_input_embeddings()
    ids = [torch.tensor(tokenizer.encode(t).ids) for t in (prompt.prefix, prompt.suffix)]
    return torch.cat([table(ids[0]), torch.from_numpy(vectors), table(ids[1])])[None]


@torch.no_grad()
def hf_greedy(
    model: torch.nn.Module, tokenizer: Tokenizer, embeddings: torch.Tensor, count: int
) -> tuple[list[int], np.ndarray]:
    """Greedy continuation without control and unused tokens, and the logits of its first step."""
    tokens: list[int] = []
    first = None
    for _ in range(count):
        logits = model(inputs_embeds=embeddings).logits[0, -1]
        first = logits.numpy().copy() if first is None else first
        logits[: len(SPECIAL_TOKENS)] = -torch.inf
        logits[tokenizer.get_vocab_size() :] = -torch.inf
        tokens.append(int(logits.argmax()))
        embeddings = torch.cat([embeddings, model.get_input_embeddings()(torch.tensor([[tokens[-1]]]))], 1)
    return tokens, first


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("quantization", ["F32", "F16"])
def test_greedy_answers_equal_hugging_face_token_for_token(
    family: str, quantization: str, tokenizer_json: Path, tmp_path: Path
) -> None:
    model = FAMILIES[family]()
    if quantization == "F16":
        model = model.half().float()
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    write_gguf(model, tokenizer_json, tmp_path / "llm.gguf", quantization)
    llm = LanguageModel(tmp_path / "llm.gguf", exact=True)
    llm.load()
    for seed in range(3):
        question, vectors = f"Where is source number {seed}?", audio(5 * seed + 3, llm.hidden, seed)
        expected, logits = hf_greedy(model, tokenizer, hf_prompt(model, tokenizer, question, vectors), 8)
        prompt = build_prompt(question)
        llm.begin(prompt.prefix, vectors, prompt.suffix)
        np.testing.assert_allclose(llm.logits(), logits, atol=2e-3 if quantization == "F32" else 3e-2)
        assert list(llm.generate(8).tokens) == expected
    llm.close()


def test_q8_0_answers_stay_close_to_the_network(tokenizer_json: Path, tmp_path: Path) -> None:
    model = make_llama()
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    report = write_gguf(model, tokenizer_json, tmp_path / "llm.gguf", "Q8_0")
    assert report.tensor_types["Q8_0"] == 7 * 2 + 1
    llm = LanguageModel(tmp_path / "llm.gguf")
    llm.load()
    same = 0
    for seed in range(10):
        question, vectors = f"Where is source number {seed}?", audio(10, llm.hidden, seed)
        expected, logits = hf_greedy(model, tokenizer, hf_prompt(model, tokenizer, question, vectors), 1)
        prompt = build_prompt(question)
        llm.begin(prompt.prefix, vectors, prompt.suffix)
        assert np.corrcoef(llm.logits(), logits)[0, 1] > 0.99
        same += list(llm.generate(1).tokens) == expected
    assert same >= 8
    llm.close()


def test_the_shipped_shape_takes_k_quants(tokenizer_json: Path, tmp_path: Path) -> None:
    """Hidden 256 and FFN 768 are multiples of 256; the vocabulary size does not matter."""
    model = make_llama(hidden=256)
    report = write_gguf(model, tokenizer_json, tmp_path / "llm.gguf", "Q4_K_M")
    assert set(report.tensor_types) == {"F32", "Q4_K", "Q6_K"}
    llm = LanguageModel(tmp_path / "llm.gguf")
    llm.load()
    prompt = build_prompt("Where is the dog?")
    llm.begin(prompt.prefix, audio(25, 256), prompt.suffix)
    assert len(llm.generate(5).tokens) == 5
    llm.close()


def test_tokens_are_those_of_the_tokenizer(tokenizer_json: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    write_gguf(make_llama(layers=1), tokenizer_json, tmp_path / "llm.gguf", "F16")
    llm = LanguageModel(tmp_path / "llm.gguf")
    llm.load()
    for text in scene_texts(700, seed=1) + random_texts(300):
        assert llm.tokenize(text) == tokenizer.encode(text).ids
        assert llm.detokenize(llm.tokenize(text)) == text
    assert llm.tokenize(EOS) == [llm.eos] == [tokenizer.token_to_id(EOS)]
    llm.close()


def with_pre_tokenizer(tokenizer_json: Path, path: Path, pre: pre_tokenizers.PreTokenizer) -> Path:
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    tokenizer.pre_tokenizer = pre
    tokenizer.save(str(path))
    return path


def test_qwen2_tokenizers_keep_their_own_splitting_rule(tokenizer_json: Path, tmp_path: Path) -> None:
    rule = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = pre_tokenizers.Split(Regex(rule), "isolated")
    pre = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    path = with_pre_tokenizer(tokenizer_json, tmp_path / "tokenizer.json", pre)
    tokenizer = Tokenizer.from_file(str(path))
    write_gguf(make_qwen2(layers=1), path, tmp_path / "llm.gguf", "F16")
    llm = LanguageModel(tmp_path / "llm.gguf")
    llm.load()
    for text in scene_texts(100, seed=2) + random_texts(300):
        assert llm.tokenize(text) == tokenizer.encode(text).ids
    llm.close()


def test_splitting_rules_that_llama_cpp_cannot_name_are_refused(tokenizer_json: Path, tmp_path: Path) -> None:
    """A wrong rule would give other tokens in half of the texts, without any error."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    for pre in (digits, byte_level, pre_tokenizers.ByteLevel(add_prefix_space=True)):
        path = with_pre_tokenizer(tokenizer_json, tmp_path / "tokenizer.json", pre)
        with pytest.raises(ValueError, match="pre-tokenizer"):
            write_gguf(make_llama(layers=1), path, tmp_path / "llm.gguf")


def random_texts(count: int) -> list[str]:
    """Printable noise with runs of spaces, digits, quotes and line breaks."""
    rng = random.Random(5)
    alphabet = [chr(c) for c in range(32, 127)] + ["\n", " ", "  ", "'s", "12", "é", "°"]
    return ["".join(rng.choices(alphabet, k=rng.randint(1, 60))) for _ in range(count)]


def test_what_the_file_says_about_itself(tokenizer_json: Path, tmp_path: Path) -> None:
    report = write_gguf(make_llama(), tokenizer_json, tmp_path / "llm.gguf", "F16", name="tiny")
    reader = gguf.GGUFReader(report.path)
    value = {key: field.contents() for key, field in reader.fields.items()}
    assert value["general.architecture"] == "llama"
    assert value["llama.context_length"] == 512
    assert value["earshot.audio_token_rate_hz"] == 2.5
    assert value["tokenizer.ggml.pre"] == "gpt-2"
    assert len(value["tokenizer.ggml.tokens"]) == N_VOCAB
    assert value["tokenizer.ggml.token_type"][: len(SPECIAL_TOKENS)] == [3] * len(SPECIAL_TOKENS)
    assert "output.weight" not in {tensor.name for tensor in reader.tensors}


@pytest.mark.parametrize("quantization", ["F16", "Q8_0", "Q4_K_M"])
def test_the_same_network_gives_the_same_bytes(quantization: str, tokenizer_json: Path, tmp_path: Path) -> None:
    model = make_llama(hidden=256, layers=1)
    files = [tmp_path / "a.gguf", tmp_path / "b.gguf"]
    for file in files:
        write_gguf(model, tokenizer_json, file, quantization)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_unknown_formats_and_families_are_refused(tokenizer_json: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one of F32"):
        write_gguf(make_llama(), tokenizer_json, tmp_path / "llm.gguf", "Q3")
    scaled = make_llama()
    scaled.config.rope_scaling = {"rope_type": "linear", "factor": 2.0}
    with pytest.raises(ValueError, match="RoPE"):
        write_gguf(scaled, tokenizer_json, tmp_path / "llm.gguf")
    model = make_llama()
    model.config.model_type = "gpt_neox"
    with pytest.raises(ValueError, match="gpt_neox"):
        write_gguf(model, tokenizer_json, tmp_path / "llm.gguf")


def test_a_layer_can_be_left_out_of_quantization(tmp_path: Path) -> None:
    """So that a failed gate can name the layer that costs most."""
    write_gguf(make_llama(), make_tokenizer(tmp_path / "tokenizer.json"), tmp_path / "f16.gguf", "F16")
    assert layers_of(tmp_path / "f16.gguf") == ["token_embd", "blk.0", "blk.1"]
    requantize(tmp_path / "f16.gguf", tmp_path / "all.gguf", "Q8_0")
    requantize(tmp_path / "f16.gguf", tmp_path / "but.gguf", "Q8_0", keep=("blk.1",))
    assert tensor_types(tmp_path / "all.gguf").get("F16", 0) == 0
    assert tensor_types(tmp_path / "but.gguf")["F16"] == 7, "q, k, v, o, gate, up, down"
    requantize(tmp_path / "f16.gguf", tmp_path / "embd.gguf", "Q8_0", keep=("token_embd",))
    assert tensor_types(tmp_path / "embd.gguf")["F16"] == 1
