"""Gates: a file must be the network it came from, on real inputs, before it may go into a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from earshot.export.quantize import Steps, stream
from earshot.runtime.hearing.names import NAMES_SAMPLES
from earshot.runtime.hearing.networks import open_network
from earshot.runtime.hearing.objects import MAX_OBJECTS, OBJECT_WIDTH
from earshot.runtime.hearing.tokens import MAX_TOKENS, SCENE_WIDTH, SEMANTIC_WIDTH
from earshot.runtime.language.llm import LanguageModel
from earshot.runtime.language.prompt import build_prompt

MAX_GRAPH_ERROR = 1e-3
"""Largest difference of any output of a float graph, relative to the output's own largest value."""

MAX_NAMES_ERROR = 1e-2
"""The same for the names network, whose weights are rounded to 11 bits."""

MIN_CORRELATION = {"F32": 0.9999, "F16": 0.999, "Q8_0": 0.99}
"""Least correlation of next-token logits with the network's; other formats: `MIN_CORRELATION_SMALL`."""

MIN_CORRELATION_SMALL = 0.95
_PROJECTED = ((1, 1), (MAX_TOKENS // 2, 3), (MAX_TOKENS, MAX_OBJECTS + 1))
"""Moments and objects (the last one is the end mark) that the projector is compared with."""
_QUESTIONS = (
    "Where is the dog?",
    "How many sources do you hear?",
    "Which is closer, the rain or the speech?",
)


@torch.no_grad()
def graph_error(network: Any, path: Path, steps: Steps) -> float:
    """Largest difference between a streaming network and its graph, each with its own state.

    Parameters
    ----------
    network : nn.Module
        With `initial_state()` and `step()`.
    path : Path
        Float graph.
    steps : sequence of mappings
        Inputs of consecutive frames.

    Returns
    -------
    float
        Over all outputs: largest difference / (largest value of that output + 1e-3); NaN when either gives one.
    """
    found, _ = stream(path, steps)
    state = network.initial_state()
    errors = [0.0]
    for t, inputs in enumerate(steps):
        outputs, state = network.step(**_tensors(inputs), state=state)
        for name, value in outputs.items():
            scale = float(np.abs(found[name]).max()) + 1e-3
            errors.append(float(np.abs(found[name][t] - value.numpy()).max()) / scale)
    return float(np.max(errors))


def check_graph(network: Any, path: Path, steps: Steps) -> float:
    """`graph_error`, or ValueError when it is larger than `MAX_GRAPH_ERROR`."""
    return _demand_alike(path, graph_error(network, path, steps), MAX_GRAPH_ERROR)


@torch.no_grad()
def check_projector(network: Any, path: Path) -> float:
    """Largest difference between the projector and its graph, re the largest value, with few moments and objects and with many.

    The answers of a bundle cannot tell: what they are compared with is answered through the same graph.

    Raises
    ------
    ValueError
        When it is larger than `MAX_GRAPH_ERROR`.
    """
    graph, network, rng = open_network(path), network.eval(), np.random.default_rng(0)
    errors = []
    for moments, objects in _PROJECTED:
        shapes = {
            "semantic": (moments, SEMANTIC_WIDTH),
            "scene": (moments, SCENE_WIDTH),
            "objects": (objects, OBJECT_WIDTH),
        }
        inputs = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
        found = graph.run(inputs, {})[0]["embeddings"]
        expected = network(**_tensors(inputs)).float().numpy()
        errors.append(float(np.abs(found - expected).max()) / (float(np.abs(found).max()) + 1e-3))
    return _demand_alike(path, float(np.max(errors)), MAX_GRAPH_ERROR)


def _demand_alike(path: Path, error: float, most: float) -> float:
    """The error, or ValueError when it is too large; NaN is."""
    if not error <= most:
        raise ValueError(f"{path.name} differs from its network by {error:.2g}, more than {most:g}")
    return error


@torch.no_grad()
def check_names(network: Any, path: Path, audio: NDArray[np.float32]) -> float:
    """Largest difference between the names network and its graph, re the largest logit.

    Parameters
    ----------
    network : nn.Module
        Samples [1, 15600] -> logits [1, 61] and trust [1].
    path : Path
    audio : ndarray, float32 [2, samples]
        16 kHz; every second of it is heard.

    Raises
    ------
    ValueError
        When it is larger than `MAX_NAMES_ERROR`.
    """
    graph, network = open_network(path), network.eval()
    mono = np.pad(audio.mean(axis=0, dtype=np.float32), (0, max(0, NAMES_SAMPLES - audio.shape[1])))
    errors, largest = [0.0], 1e-3
    for start in range(0, len(mono) - NAMES_SAMPLES + 1, NAMES_SAMPLES):
        samples = mono[None, start : start + NAMES_SAMPLES]
        found, _ = graph.run({"samples": samples}, {})
        for name, value in zip(("logits", "trust"), network(torch.from_numpy(samples)), strict=True):
            errors.append(float(np.abs(found[name] - value.numpy()).max()))
            largest = max(largest, float(np.abs(found[name]).max()))
    return _demand_alike(path, float(np.max(errors)) / largest, MAX_NAMES_ERROR)  # max() would lose NaN


@torch.no_grad()
def language_correlation(model: Any, tokenizer_json: Path, gguf: Path, vectors: NDArray[np.float32]) -> float:
    """Least correlation of next-token logits between a network and its GGUF file.

    Parameters
    ----------
    model : nn.Module
        Hugging Face causal language model.
    tokenizer_json, gguf : Path
    vectors : ndarray, float32 [n, hidden]
        Audio embeddings to put into the prompts.
    """
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    llm = LanguageModel(gguf)
    llm.load()
    try:
        return float(np.min([_correlation(model, tokenizer, llm, question, vectors) for question in _QUESTIONS]))
    finally:
        llm.close()


def check_language(
    model: Any, tokenizer_json: Path, gguf: Path, quantization: str, vectors: NDArray[np.float32]
) -> float:
    """`language_correlation`, or ValueError when it is too small for the format."""
    correlation = language_correlation(model, tokenizer_json, gguf, vectors)
    needed = MIN_CORRELATION.get(quantization, MIN_CORRELATION_SMALL)
    if not correlation >= needed:
        raise ValueError(f"the {quantization} language model follows its network by {correlation:.4f} of {needed}")
    return correlation


def _correlation(
    model: Any, tokenizer: Tokenizer, llm: LanguageModel, question: str, vectors: NDArray[np.float32]
) -> float:
    prompt = build_prompt(question)
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in (prompt.prefix, prompt.suffix)]
    if ids != [llm.tokenize(prompt.prefix), llm.tokenize(prompt.suffix)]:
        raise ValueError("the GGUF file splits text into other tokens than its tokenizer")
    table = model.get_input_embeddings()
    before, after = (table(torch.tensor(part)).float() for part in ids)
    embeddings = torch.cat([before, torch.from_numpy(vectors), after])[None]
    expected = model(inputs_embeds=embeddings.to(table.weight.dtype)).logits[0, -1].float().numpy()
    llm.begin(prompt.prefix, vectors, prompt.suffix)
    return float(np.corrcoef(llm.logits(), expected)[0, 1])


def _tensors(inputs: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in inputs.items()}
