"""torch networks to ONNX graphs with explicit state, as docs/architecture.md names their inputs and outputs.

The networks come as modules: this package does not know how they are trained. An encoder has
`initial_state()` and `step(..., state)` for one frame of one stream; every state tensor X becomes an
input `state.X` and an output `next.X`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from earshot.export.fold_pads import fold_pads
from earshot.export.half_weights import halve_weights
from earshot.runtime.hearing.interfaces import INTERFACES
from earshot.runtime.hearing.names import NAMES_SAMPLES
from earshot.runtime.hearing.objects import OBJECT_WIDTH
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import SCENE_WIDTH, SEMANTIC_WIDTH

OPSET = 17
SLOTS = 4
_PROJECTOR_EXAMPLE_TOKENS = 3


@runtime_checkable
class StreamingNetwork(Protocol):
    """A causal network that runs one frame of one stream at a time."""

    def initial_state(self) -> dict[str, Tensor]:
        """Zeros, batch 1."""

    def step(self, *args: Tensor, **kwargs: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Outputs and next state of one frame."""


def export_semantic(network: nn.Module, path: Path) -> None:
    """Write the semantic encoder as `semantic.onnx`; see `export_streaming`."""
    export_streaming(network, {"features": torch.zeros(1, 8, 1, 64)}, path)


def export_spatial(network: nn.Module, path: Path, embedding: int = 256, keys: int = 96, bands: int = 8) -> None:
    """Write the spatial encoder as `spatial.onnx`; see `export_streaming`.

    Parameters
    ----------
    network : nn.Module
    path : Path
    embedding, keys, bands : int
        Sizes of what the semantic encoder hands over.
    """
    inputs = {
        "features": torch.zeros(1, 8, 1, 64),
        "semantic_embedding": torch.zeros(1, embedding),
        "semantic_keys": torch.zeros(1, keys, bands),
        "slot_class": torch.zeros(1, SLOTS, dtype=torch.int64),
        "slot_keep": torch.ones(1, SLOTS),
        "slot_claims": torch.ones(1, SLOTS),
    }
    export_streaming(network, inputs, path)


def export_streaming(network: nn.Module, inputs: Mapping[str, Tensor], path: Path) -> None:
    """Write an encoder's `step` as a graph with fixed shapes.

    Parameters
    ----------
    network : nn.Module
        A `StreamingNetwork`; put into evaluation mode.
    inputs : mapping
        Example of every input but the state, in the order of `step`'s parameters.
    path : Path
        File to write. Its stem (`semantic`, `spatial`) decides which outputs are needed.

    Raises
    ------
    ValueError
        When the network has no `step` or its outputs are not those of docs/architecture.md.
    """
    if not isinstance(network, StreamingNetwork):
        raise ValueError(f"{type(network).__name__} has no initial_state() and step(): not a streaming network")
    wrapped = _Step(network, list(inputs)).eval()  # the exporter restores the wrapper's own mode, children included
    with torch.no_grad():
        outputs, _ = network.step(**inputs, state=network.initial_state())
    _check_outputs(path, set(outputs))
    state = network.initial_state()
    _export(
        wrapped,
        (*inputs.values(), *state.values()),
        [*inputs, *(f"state.{name}" for name in state)],
        [*outputs, *(f"next.{name}" for name in state)],
        path,
    )


def export_projector(network: nn.Module, path: Path) -> None:
    """Write the projector as `projector.onnx`; the numbers of moments and objects stay free.

    Parameters
    ----------
    network : nn.Module
        Called with keywords `semantic` [N, 317], `scene` [N, 134], `objects` [M, 299]; returns [N + M, hidden].
    path : Path
    """
    n = _PROJECTOR_EXAMPLE_TOKENS
    example = (torch.zeros(n, SEMANTIC_WIDTH), torch.zeros(n, SCENE_WIDTH), torch.zeros(n + 1, OBJECT_WIDTH))
    names = ["semantic", "scene", "objects"]
    free = {"semantic": {0: "moments"}, "scene": {0: "moments"}, "objects": {0: "objects"}, "embeddings": {0: "tokens"}}
    _export(_Projector(network).eval(), example, names, ["embeddings"], path, free)


def export_names(network: nn.Module, path: Path) -> None:
    """Write the names network as `names.onnx`, its weights in 16 bits.

    Large weights are stored as float16 and cast to float32, which ONNX Runtime does once when it loads: the file is half as
    large, and everything is computed as before.

    Parameters
    ----------
    network : nn.Module
        Called with samples [1, 15600]; returns logits [1, 61] and trust [1].
    path : Path

    Raises
    ------
    ValueError
        When a weight is not finite in 16 bits.
    """
    _export(_Names(network).eval(), (torch.zeros(1, NAMES_SAMPLES),), ["samples"], ["logits", "trust"], path)
    graph = onnx.load(path, load_external_data=False)
    _name_outputs(graph.graph, ["logits", "trust"])
    fold_pads(graph)
    halve_weights(graph)
    onnx.checker.check_model(graph, full_check=True)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _name_outputs(graph: onnx.GraphProto, names: list[str]) -> None:
    """Give outputs their names where the exporter did not: it takes another one for what does not depend on an input."""
    for output, name in zip(graph.output, names, strict=True):
        if output.name != name:
            graph.node.append(helper.make_node("Identity", [output.name], [name], f"{name}/Identity"))
            output.name = name


class _Step(nn.Module):
    """`step` with flat tensors in and out, as a graph needs them."""

    def __init__(self, network: Any, input_names: list[str]) -> None:
        super().__init__()
        self.network = network
        self._inputs = input_names
        self._states = list(network.initial_state())

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Inputs then states in; outputs then next states out."""
        inputs = dict(zip(self._inputs, tensors, strict=False))
        state = dict(zip(self._states, tensors[len(self._inputs) :], strict=True))
        outputs, following = self.network.step(**inputs, state=state)
        return (*outputs.values(), *(following[name] for name in self._states))


class _Projector(nn.Module):
    """The projector with its inputs by name, whatever its own order is."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, semantic: Tensor, scene: Tensor, objects: Tensor) -> Tensor:
        """Embeddings [N + M, hidden]."""
        out: Tensor = self.network(semantic=semantic, scene=scene, objects=objects)
        return out


class _Names(nn.Module):
    """The names network with fixed shapes, also where the exporter cannot infer them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [1, 61] and trust [1]."""
        logits, trust = self.network(samples)
        return logits.reshape(1, CLASSES), trust.reshape(1)


def _check_outputs(path: Path, found: set[str]) -> None:
    needed = INTERFACES[path.stem][1] if path.stem in INTERFACES else frozenset(found)
    if not needed <= found:
        raise ValueError(f"{path.stem}: the network lacks the outputs {', '.join(sorted(needed - found))}")


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    path: Path,
    free: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """Trace, clean, check, write. The TorchScript exporter also folds batch norms into convolutions."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            buffer,  # type: ignore[arg-type]
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=dict(free or {}),
            opset_version=OPSET,
            dynamo=False,
        )
    graph = cleaned(onnx.load_from_string(buffer.getvalue()))
    onnx.checker.check_model(graph, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def cleaned(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without remarks, inner shapes and producer: they vary and may name files of a machine."""
    del graph.graph.value_info[:]
    del graph.metadata_props[:]
    graph.doc_string = graph.graph.doc_string = ""
    graph.graph.name = "earshot"
    graph.producer_name, graph.producer_version = "earshot", ""
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    return graph
