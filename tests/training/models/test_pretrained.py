"""Language models of others: how they are read, adapted, merged, and written as GGUF."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

pytest.importorskip("peft", reason="peft is not installed")

from earshot.export.gguf_llm import write_gguf
from earshot.runtime.errors import InputError
from earshot.runtime.language.llm import LanguageModel
from earshot.runtime.language.prompt import SPECIAL_TOKENS, build_prompt
from earshot.training.models.llm import save_llm
from earshot.training.models.pretrained import (
    LoraShape,
    control_ids,
    load_causal,
    load_pretrained,
    load_shape,
    merged,
    save_shape,
    with_lora,
)
from tests.tiny import make_llama, make_qwen2, scene_texts


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has them: a Qwen2 whose tokenizer knows nothing of our prompt."""
    directory = tmp_path_factory.mktemp("qwen2")
    make_qwen2().save_pretrained(directory)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=698, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(scene_texts(100), trainer)
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


@pytest.fixture
def adapted(qwen2: Path) -> tuple[torch.nn.Module, Tokenizer]:
    """The network with adapters that do something."""
    model, tokenizer = load_pretrained(str(qwen2))
    model = with_lora(model, tokenizer, LoraShape(str(qwen2), rank=4, alpha=8))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "lora_A" not in name:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval(), tokenizer


def test_control_tokens_are_added_once_and_are_never_split(qwen2: Path, tmp_path: Path) -> None:
    model, tokenizer = load_pretrained(str(qwen2))
    assert len(set(control_ids(tokenizer))) == len(SPECIAL_TOKENS)
    assert model.get_input_embeddings().num_embeddings >= tokenizer.get_vocab_size()
    ids = tokenizer.encode(build_prompt("Where is the dog?").suffix).ids
    assert set(control_ids(tokenizer)) & set(ids) and tokenizer.decode(ids, skip_special_tokens=False).startswith(
        "</audio>"
    )
    model.save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again, again_tokenizer = load_pretrained(str(tmp_path))
    assert again_tokenizer.get_vocab_size() == tokenizer.get_vocab_size()
    assert torch.equal(again.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_only_adapters_and_control_rows_are_trained(adapted: tuple[torch.nn.Module, Tokenizer]) -> None:
    trained = [name for name, parameter in adapted[0].named_parameters() if parameter.requires_grad]
    assert trained and all("lora_" in name or "trainable_tokens" in name for name in trained)


@torch.no_grad()
def test_the_merged_network_and_its_gguf_compute_what_the_adapted_one_does(
    adapted: tuple[torch.nn.Module, Tokenizer], tmp_path: Path
) -> None:
    model, tokenizer = adapted
    prompt = build_prompt("Where is the dog?")
    ids = torch.tensor([tokenizer.encode(prompt.prefix + prompt.suffix).ids])
    expected = model(input_ids=ids).logits[0, -1]
    plain = merged(model)
    assert torch.allclose(plain(input_ids=ids).logits[0, -1], expected, atol=1e-4)

    save_llm(plain, tmp_path)
    again = load_causal(tmp_path).eval()
    assert torch.allclose(again(input_ids=ids).logits[0, -1], expected, atol=1e-4)

    tokenizer.save(str(tmp_path / "tokenizer.json"))
    report = write_gguf(again, tmp_path / "tokenizer.json", tmp_path / "llm.gguf", "F32")
    assert report.architecture == "qwen2"
    llm = LanguageModel(tmp_path / "llm.gguf", exact=True)
    llm.load()
    split = len(tokenizer.encode(prompt.prefix).ids)
    audio = torch.zeros(1, llm.hidden)
    table = again.get_input_embeddings()(ids[0])
    embeddings = torch.cat([table[:split], audio, table[split:]])[None]
    llm.begin(prompt.prefix, audio.numpy(), prompt.suffix)
    ours = again(inputs_embeds=embeddings).logits[0, -1]
    assert torch.allclose(torch.from_numpy(llm.logits()), ours, atol=5e-3)
    llm.close()


@pytest.mark.parametrize("name", ["./no/such/folder", "no such name!"])
def test_a_model_that_cannot_be_loaded_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match="cannot be loaded") as error:
        load_pretrained(name)
    assert "\n" not in str(error.value)


def test_both_families_are_read_back_and_others_refused(tmp_path: Path) -> None:
    model = make_llama()
    save_llm(model, tmp_path)
    ids = torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        assert torch.allclose(load_causal(tmp_path).eval()(ids).logits, model(ids).logits, atol=1e-5)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InputError, match="gpt2"):
        load_causal(tmp_path)
    with pytest.raises(InputError, match="train one first"):
        load_causal(tmp_path / "none")


def test_the_shape_is_kept_with_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pretrained"):
        load_shape(tmp_path)
    save_shape(LoraShape("some/model", 8, 16), tmp_path)
    assert load_shape(tmp_path) == LoraShape("some/model", 8, 16)
