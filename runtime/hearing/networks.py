"""One ONNX graph with explicit state: opened single-threaded, its interface checked, run step by step.

State is generic: whatever a graph calls `state.X` is fed with the `next.X` of the step before, so a bundle
may bring any recurrent network that keeps the interface of docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from earshot.runtime.errors import BundleError
from earshot.runtime.hearing.interfaces import INTERFACES, NEWER_INPUTS, NEXT, OPTIONAL, STATE, interface_problem
from earshot.runtime.hearing.names import NAMES_SAMPLES
from earshot.runtime.hearing.slots import CLASSES

Tensors = dict[str, NDArray[Any]]

_SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "names": {"samples": (1, NAMES_SAMPLES), "logits": (1, CLASSES), "trust": (1,)},
}
"""Where it matters before the first run; all of them are float32."""
_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Network:
    """One ONNX graph with explicit state."""

    def __init__(self, session: Any) -> None:
        self.session = session
        inputs = session.get_inputs()
        self._outputs = [output.name for output in session.get_outputs()]
        self.inputs = frozenset(i.name for i in inputs if not i.name.startswith(STATE))
        self.outputs = frozenset(name for name in self._outputs if not name.startswith(NEXT))
        self._state = {i.name: (tuple(i.shape), i.type) for i in inputs if i.name.startswith(STATE)}

    def initial_state(self) -> Tensors:
        """Zeros for every `state.X` input."""
        return {name: np.zeros(shape, _DTYPES[kind]) for name, (shape, kind) in self._state.items()}

    def run(self, inputs: Mapping[str, NDArray[Any]], state: Tensors) -> tuple[Tensors, Tensors]:
        """One step; returns the outputs and the state to give to the next step."""
        known = {name: value for name, value in inputs.items() if name in self.inputs or name not in NEWER_INPUTS}
        values = self.session.run(self._outputs, {**known, **state})
        outputs = dict(zip(self._outputs, values, strict=True))
        following = {name: outputs.pop(NEXT + name.removeprefix(STATE)) for name in self._state}
        return outputs, following

    def width_of(self, output: str) -> int:
        """Last dimension of an output."""
        return int(next(o.shape[-1] for o in self.session.get_outputs() if o.name == output))

    def misshapen(self, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
        """Which input or output is not float32 of the shape needed, or None; a graph that has shapes needs no state."""
        if self._state:
            return f"inputs {sorted(self._state)} found, no state needed"
        for value in (*self.session.get_inputs(), *self.session.get_outputs()):
            needed = shapes.get(value.name)
            if needed is not None and (tuple(value.shape), value.type) != (needed, "tensor(float)"):
                return f"{value.name} is {value.type} {list(value.shape)}, tensor(float) {list(needed)} needed"
        return None

    def problem(self) -> str | None:
        """What is wrong with the state of this graph, or None."""
        for name, (shape, kind) in self._state.items():
            if not all(isinstance(size, int) for size in shape):
                return f"{name} has the shape {list(shape)}, fixed sizes needed"
            if kind not in _DTYPES:
                return f"{name} is {kind}, one of {', '.join(_DTYPES)} needed"
            if NEXT + name.removeprefix(STATE) not in self._outputs:
                return f"{name} has no output {NEXT}{name.removeprefix(STATE)}"
        return None


def graphs_in(folder: Path) -> list[str]:
    """Names of the graphs to open in a folder: those that every bundle has, and the optional ones that are there."""
    return [name for name in INTERFACES if name not in OPTIONAL or (folder / f"{name}.onnx").is_file()]


def open_network(path: Path, threads: int = 1) -> Network:
    """Open one graph and check its interface.

    Parameters
    ----------
    path : Path
        `semantic.onnx`, `spatial.onnx`, `projector.onnx` or `names.onnx`; the name decides which interface is needed.
    threads : int
        That compute it.

    Raises
    ------
    BundleError
        If the file is missing, is no ONNX graph or has another interface.
    """
    if not path.is_file():
        needed = ", ".join(f"{name}.onnx" for name in INTERFACES if name not in OPTIONAL)
        raise BundleError(f"{path}: missing; a bundle needs {needed}")
    try:
        session = ort.InferenceSession(str(path), _session_options(threads), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no public base
        raise BundleError(f"{path}: not a usable ONNX graph ({_first_line(error)}); export it again") from error
    network = Network(session)
    problem = interface_problem(path.stem, network.inputs, network.outputs) or network.problem()
    if problem is None and path.stem in _SHAPES:
        problem = network.misshapen(_SHAPES[path.stem])
    if problem:
        raise BundleError(f"{path}: {problem}; export it again with this version of earshot")
    return network


def _session_options(threads: int) -> Any:
    """Threads that sleep while they wait: hearing takes a few per cent of one core and must not spin."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
