"""Small networks with random weights, for tests that need a real file of every kind but no training."""

from __future__ import annotations

import math
import random
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from earshot.runtime.labels import load_labels
from earshot.runtime.language.prompt import (
    SPECIAL_TOKENS,
    build_completion,
    build_prompt,
    choice_text,
    evidence_line,
)
from earshot.training.models.projector import DenseHybridProjector, ProjectorShape
from earshot.training.models.semantic import SemanticEncoder
from earshot.training.models.spatial import SpatialEncoder

torch.set_num_threads(1)  # waiting threads spin: beside other work two are slower than one

N_VOCAB = 700  # deliberately no multiple of 32


def scene_texts(count: int, seed: int = 0) -> list[str]:
    """Sentences as training sees them: prompts and completions about made-up scenes."""
    rng = random.Random(seed)
    spoken = [label.spoken for label in load_labels()]
    texts = []
    for _ in range(count):
        label, other = rng.sample(spoken, 2)
        azimuth, distance, onset = rng.randint(-180, 180), rng.uniform(0.3, 6), rng.uniform(0, 5)
        evidence = evidence_line(label, azimuth, rng.randint(-40, 60), distance, onset, onset + 2)
        prompt = build_prompt(f"Where is the {label}, and is it closer than the {other}?", [label, other])
        texts.append(prompt.prefix + prompt.suffix + build_completion(choice_text(0, label), evidence))
    return texts


def make_tokenizer(path: Path, n_vocab: int = N_VOCAB) -> Path:
    """Train a byte-level BPE with the project's control tokens and save it as `tokenizer.json`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(scene_texts(400), trainer)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return path


def make_llama(seed: int = 0, hidden: int = 128, layers: int = 2, **settings: int) -> PreTrainedModel:
    """A Llama of the shipped shape family (heads of 64, tied embeddings), random weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(**_sizes(hidden, layers), **settings)
    return _lively(LlamaForCausalLM(config))


def make_qwen2(seed: int = 0, hidden: int = 128, layers: int = 2) -> PreTrainedModel:
    """A small Qwen2 (biased q, k, v; two query heads share one key head), random weights."""
    torch.manual_seed(seed)
    sizes = {**_sizes(hidden, layers), "num_key_value_heads": 1}
    return _lively(Qwen2ForCausalLM(Qwen2Config(**sizes)))


def _sizes(hidden: int, layers: int) -> dict[str, object]:
    heads = hidden // 64
    return {
        "vocab_size": N_VOCAB,
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": 512,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _lively(model: PreTrainedModel) -> PreTrainedModel:
    """Larger random weights than a fresh network: outputs depend on every input, choices are clear."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.05 if "embed" in name else 1.0 / parameter.shape[1] ** 0.5)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.5)
            else:
                parameter.uniform_(0.5, 1.5)
    return model.eval()


def make_encoders(seed: int = 0) -> tuple[SemanticEncoder, SpatialEncoder]:
    """Both encoders at their real sizes, random weights, batch norms that do something."""
    torch.manual_seed(seed)
    encoders = SemanticEncoder(), SpatialEncoder()
    for module in (m for encoder in encoders for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)):
        module.running_mean.normal_(0.0, 0.2)
        module.running_var.uniform_(0.5, 2.0)
    nn.init.normal_(encoders[0].classify.bias, -0.5, 1.0)  # some classes sound, so that slots are taken
    again = encoders[1].again  # changes nothing until it is trained
    for part in (again.wanted.weight, again.correct.weight, again.correct.bias, again.rivalry):
        nn.init.normal_(part, std=0.1)
    return encoders[0].eval(), encoders[1].eval()


class TinyLogMel(nn.Module):
    """A log spectrum by convolution with a table that is not saved."""

    table: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        angle = 2 * math.pi * torch.outer(torch.arange(33), torch.arange(64)) / 64
        table = torch.cat([torch.cos(angle), torch.sin(angle)]) * torch.hann_window(64)
        self.register_buffer("table", table[:, None], persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples [1, 15600] -> [1, 1, 98, 33]."""
        real, imaginary = nn.functional.conv1d(samples[:, None], self.table, stride=160).chunk(2, dim=1)
        return torch.log(real * real + imaginary * imaginary + 1e-3).transpose(1, 2)[:, None]


class TinyLayer(nn.Module):
    """A convolution, padded behind only where it strides, and a ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2 if stride == 1 else 0, groups=groups)
        self.behind = stride > 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer."""
        return torch.relu(self.convolution(nn.functional.pad(x, (0, 1, 0, 1)) if self.behind else x))


class TinyTrunk(nn.Module):
    """A MobileNet of five layers."""

    def __init__(self) -> None:
        super().__init__()
        shapes = ((1, 16, 3, 2), (16, 16, 3, 2, 16), (16, 64, 1, 1), (64, 64, 3, 1, 64), (64, 256, 1, 1))
        self.layers = nn.Sequential(*(TinyLayer(*shape) for shape in shapes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature map [1, 256, T, F]."""
        return self.layers(x)


class TinyNames(nn.Module):
    """A names network with the parts of the real one: a spectrum, a trunk of convolutions by channel and by point, a head."""

    trust: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("trust", torch.tensor([0.7]))
        self.log_mel, self.trunk = TinyLogMel(), TinyTrunk()
        self.head = nn.Linear(256, 61)

    def forward(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples [1, 15600] -> logits [1, 61], trust [1]."""
        return self.head(self.trunk(self.log_mel(samples)).mean(dim=(2, 3))), self.trust + 0.0


def make_names(seed: int = 0) -> TinyNames:
    """A small names network, random weights."""
    torch.manual_seed(seed)
    return TinyNames().eval()


def make_projector(hidden: int, seed: int = 0) -> DenseHybridProjector:
    """The projector at its real sizes but for `hidden`, random weights."""
    torch.manual_seed(seed)
    return DenseHybridProjector(ProjectorShape(hidden=hidden, output_rms=0.3)).eval()
