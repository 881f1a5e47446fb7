"""`earshot profile --board BOARD` elsewhere than on the board: counted instructions, converted to time. An ESTIMATE.

The listener's own code runs on an emulated core; the instructions of each stage are counted and divided by the
published speed of a board in instructions per second.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot import runtime
from earshot.firmware_sim.emulator import CORES, SETUP_SCRIPT, Core, Emulation, emulate, find_environment
from earshot.runtime.bundle.manifest import LLM_NAME
from earshot.runtime.demo.scene import render_demo
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.names import NAMES_EVERY
from earshot.runtime.hearing.tokens import MAX_TOKENS, Tokens
from earshot.runtime.interfaces.measure import QUESTIONS, hops

RANGE = 0.4
"""Published times of one network spread so far around its instruction counts, up and down."""
SOURCE = "public single-thread times of MobileNet-v1 on the board, divided by the instructions counted for that network"
COUNTED_HOPS = 30
"""A multiple of ten: the names network hears each ear once in ten hops."""
_GUEST = Path(__file__).with_name("count_guest.py")
_WARM_HOPS = 5


@dataclass(frozen=True)
class Calibration:
    """How fast one core of a board executes neural networks and signal processing.

    Attributes
    ----------
    board, processor : str
    core : str
        Key of `CORES`.
    giga_per_s : float
        Instructions per second, in 10^9.
    memory_gb_s : float or None
        Weights that a language model can read per second; None when nothing is published.
    """

    board: str
    processor: str
    core: str
    giga_per_s: float
    memory_gb_s: float | None = None

    def seconds(self, instructions: float) -> float:
        """Time of some instructions on one core."""
        return instructions / (1e9 * self.giga_per_s)


CALIBRATIONS: dict[str, Calibration] = {
    c.board: c
    for c in (
        Calibration("zero2w", "Cortex-A53, 1.0 GHz", "cortex-a53", 0.86),
        Calibration("pi4", "Cortex-A72, 1.5 GHz", "cortex-a72", 1.66, 3.3),
        Calibration("pi5", "Cortex-A76, 2.4 GHz", "cortex-a76", 6.1, 10.0),
        Calibration("rk3588", "Cortex-A76, 2.4 GHz", "cortex-a76", 5.4),
    )
}


@dataclass(frozen=True)
class Counts:
    """Instructions of the stages.

    Attributes
    ----------
    stages : dict of float
        Mean per hop; `names` is for each time that network hears (one ear, in two of ten hops; `hearing` holds a fifth of it).
        `projector`, `prompt`, `first_token` and `answer` are for one question, from the question on: up to the first token
        written, to the first of the answer (after the reasoning), and to the end.
    typical, most : dict of float
        The median and the dearest hop; a mean may hold a hop in which memory was allocated.
    written : mapping or None
        `reasoning` and `answer` of the language model, `prompt_tokens`, `reasoning_tokens` and `answer_tokens`; None
        when it was not run.
    """

    stages: dict[str, float]
    typical: dict[str, float]
    most: dict[str, float]
    written: Mapping[str, Any] | None


def estimate_board(board: str, bundle: Path, samples: NDArray[np.float32]) -> dict[str, Any]:
    """Estimate a board.

    Parameters
    ----------
    board : str
        Key of `CALIBRATIONS`.
    bundle : Path
        Verified; or only its graphs, and then the language model is not counted.
    samples : ndarray, float32 [2, n]
        At 16 kHz, a frame at least; what is heard is their first second or so, see `long_enough`. The question is always about the scene of the demo: how
        long an answer takes depends on what there is to tell, and boards and models are to be compared.

    Returns
    -------
    dict
        The document of `earshot profile --board`.

    Raises
    ------
    UsageError
        Without an aarch64 environment, or when the emulated listener fails.
    """
    calibration, llm = CALIBRATIONS[board], bundle / LLM_NAME
    counts = count_board(calibration, bundle, samples)
    return to_document(calibration, counts, llm.stat().st_size if llm.is_file() else None)


def count_board(calibration: Calibration, bundle: Path, samples: NDArray[np.float32]) -> Counts:
    """Run the listener on the emulated core; see `estimate_board`."""
    environment, core = find_environment(), CORES[calibration.core]
    language = (environment / core.llama).is_dir() and (bundle / LLM_NAME).is_file()
    heard = long_enough(samples)
    key = (core.name, language, _fingerprint(bundle, heard))
    if key not in _COUNTED:
        _COUNTED[key] = _count(environment, core, bundle, heard, language)
    return _COUNTED[key]


def long_enough(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is counted of some sound [2, n]: whole tens of hops after the warm ones, ten at least, for which it is repeated.

    In other numbers of hops names would have another share than in use.
    """
    tens = (samples.shape[1] // FRAME_SAMPLES - _WARM_HOPS) // NAMES_EVERY
    count = (_WARM_HOPS + min(COUNTED_HOPS, NAMES_EVERY * max(1, tens))) * FRAME_SAMPLES
    times = -(-count // samples.shape[1])
    return np.ascontiguousarray(np.tile(samples[:, :count], (1, times))[:, :count], np.float32)


_COUNTED: dict[tuple[str, bool, str], Counts] = {}
"""Boards with the same core need not be counted twice: one run takes a minute or more."""


def _fingerprint(bundle: Path, heard: NDArray[np.float32]) -> str:
    """Of everything whose change would change the counts, but for the program."""
    digest = hashlib.sha256(heard.tobytes())
    for path in sorted(bundle.iterdir()):
        if path.name.endswith((".onnx", ".gguf")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _count(environment: Path, core: Core, bundle: Path, heard: NDArray[np.float32], language: bool) -> Counts:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "earshot"
        package.mkdir()
        (package / "runtime").symlink_to(Path(next(iter(runtime.__path__))).resolve())
        tokens = Path(folder) / "tokens.npz"
        np.savez(tokens, **demo_tokens(bundle).as_dict())  # type: ignore[arg-type]
        arguments = [str(_GUEST), str(bundle.resolve()), str(tokens), "language" if language else "no-language"]
        return counts_of(emulate(environment, core, arguments, heard.tobytes(), [Path(folder)]))


def demo_tokens(bundle: Path) -> Tokens:
    """What is asked about: the scene of the demo as the graphs of a bundle hear it, repeated to ten seconds."""
    encoders = Encoders()
    encoders.load(bundle)
    hearing = Hearing(encoders)
    for chunk in hops(render_demo()):
        hearing.process(chunk)
    parts = hearing.window().tokens.as_dict()
    return Tokens(**{name: np.resize(value, (MAX_TOKENS, *value.shape[1:])) for name, value in parts.items()})


def counts_of(emulation: Emulation) -> Counts:
    """Instructions of the stages, less what marking them costs."""
    told = json.loads(emulation.output.splitlines()[-1])
    passages = {name: emulation.regions[number] for number, name in enumerate(told["regions"])}
    marking = float(np.median(passages.pop("nothing")))
    passages.pop("step", None)  # holds the markers of the networks
    stages = {name: max(0.0, float(np.mean(counts)) - marking) for name, counts in passages.items()}
    typical = {name: max(0.0, float(np.median(counts)) - marking) for name, counts in passages.items()}
    most = {name: max(0.0, max(counts) - marking) for name, counts in passages.items()}
    return Counts(stages, typical, most, told["written"])


def to_document(calibration: Calibration, counts: Counts, llm_bytes: int | None) -> dict[str, Any]:
    """Counts as times with their range."""
    written = counts.written
    notes = ["ESTIMATE from counted instructions; no board was measured", _note_on_language(written)]
    part = calibration.seconds(counts.stages["hearing"]) / FRAME_S
    return {
        "board": calibration.board,
        "kind": "ESTIMATE",
        "processor": calibration.processor,
        "hop_s": FRAME_S,
        "calibration": {
            "giga_instructions_per_s": calibration.giga_per_s,
            "range": f"±{RANGE:.0%}",
            "source": SOURCE,
        },
        "stages": {name: _stage(calibration, count, counts.most[name]) for name, count in counts.stages.items()},
        "realtime_factor": _with_range(part),
        "reads_weights_ms_per_token": weight_reading_ms(calibration, llm_bytes),
        "written": written,
        "notes": notes,
    }


def _note_on_language(written: Mapping[str, Any] | None) -> str:
    if written is None:
        return f"the language model was not counted: run {SETUP_SCRIPT} --language"
    return (
        f'asked on one thread about the scene of the demo: "{QUESTIONS[0]}"; prompt of {written["prompt_tokens"]} tokens, '
        f"then {written['reasoning_tokens']} of reasoning before the first of the answer"
    )


def _stage(calibration: Calibration, instructions: float, most: float) -> dict[str, float]:
    ms = 1e3 * calibration.seconds(instructions)
    low, _, high = _around(ms)
    return {
        "instructions": round(instructions),
        "most_instructions": round(most),
        "ms": round(ms, 4),
        "low_ms": round(low, 4),
        "high_ms": round(high, 4),
    }


def _with_range(value: float) -> dict[str, float]:
    low, middle, high = (round(v, 5) for v in _around(value))
    return {"estimate": middle, "low": low, "high": high}


def _around(value: float) -> Sequence[float]:
    return (1 - RANGE) * value, value, (1 + RANGE) * value


def weight_reading_ms(calibration: Calibration, llm_bytes: int | None) -> float | None:
    """Least time of a generated token, for its weights must be read once; None when that is not known."""
    if calibration.memory_gb_s is None or llm_bytes is None:
        return None
    return round(1e3 * llm_bytes / (1e9 * calibration.memory_gb_s), 3)
