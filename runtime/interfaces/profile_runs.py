"""Measuring again and again, because one run on a busy machine says little: the document of `earshot profile`.

Every figure is the median over whole runs. The figures of the single runs stay in the document (`runs`), so that
two documents can be compared by how much the runs of each differ among themselves.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.networks import Network, graphs_in
from earshot.runtime.interfaces.measure import Profile, Samples, Spread, hops, measure

OpenEncoders = Callable[[], tuple[Path, Encoders]]
Document = dict[str, Any]

REPEATS = 5
"""Five runs of one kind all slower than five of another: by chance alone once in 252 times."""
MEMORY_AUDIO_S = 60.0
"""Sound that is heard while memory is watched, seconds."""
BUSY = 0.5
"""Load average per core from which times are not only our own."""
HOP_FRAMES = (1, 2, 4, 8)
"""Hops that are tried for the advice, in encoder frames of 40 ms."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes
    ----------
    repeats : int
        Whole runs, at least 1.
    threads : sequence of int
        Thread counts to sweep; empty for none. The main figures are always those of one thread, as the listener runs.
    cold : callable
        Makes one cold start and returns its seconds.
    """

    cold: Callable[[], float]
    repeats: int = REPEATS
    threads: Sequence[int] = ()


class ThreadedEncoders(Encoders):
    """Encoders whose networks use several threads, for comparison: the listener itself uses one.

    Parameters
    ----------
    like : Encoders
        Where the settings come from.
    n_threads : int
        Threads of each network.
    """

    def __init__(self, like: Encoders, n_threads: int) -> None:
        super().__init__(like.slot_settings)
        self._n_threads = n_threads

    def load(self, bundle_dir: Path | str) -> None:
        """Open the networks of a bundle that `like` was loaded from."""
        folder = Path(bundle_dir)
        self._networks = {name: self._open(folder / f"{name}.onnx") for name in graphs_in(folder)}

    def _open(self, path: Path) -> Network:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._n_threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return Network(ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))


def profile_host(open_encoders: OpenEncoders, samples: Samples, plan: Plan) -> Document:
    """Measure this machine.

    Parameters
    ----------
    open_encoders : callable
        Verifies and loads; called once for each run.
    samples : ndarray, float32 [2, n]
        At 16 kHz, at least one encoder frame.
    plan : Plan

    Returns
    -------
    dict
        Ready for JSON; the keys of `Profile` as medians, and `machine`, `deadline`, `memory`,
        `hop_sweep`, `threads`, `runs`, `notes`.
    """
    machine = machine_facts()
    cold_s = [plan.cold() for _ in range(plan.repeats)]
    profiles = [measure(open_encoders, samples) for _ in range(plan.repeats)]
    figures = [_figures(profile, first=k == 0) for k, profile in enumerate(profiles)]
    _, encoders = open_encoders()
    return {
        "machine": machine,
        "notes": busy_notes(machine),
        "repeats": plan.repeats,
        **medians(figures),
        "cold_start_s": round(float(np.median(cold_s)), 3),
        "audio_s": profiles[0].audio_s,
        "hop_s": FRAME_S,
        "deadline": {
            "hop_ms": 1e3 * FRAME_S,
            "hops": sum(profile.hops for profile in profiles),
            "misses": sum(profile.deadline_misses for profile in profiles),
        },
        "memory": {"high_water_mb": profiles[0].peak_memory_mb, **memory_slope(encoders, samples)},
        "hop_sweep": [time_hop(encoders, samples, frames) for frames in HOP_FRAMES],
        "threads": [sweep_threads(open_encoders, samples, count) for count in plan.threads],
        "runs": {**runs_of(figures), "cold_start_s": cold_s},
    }


def machine_facts() -> Document:
    """What the figures belong to."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "cores": os.cpu_count() or 1,
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "earshot": _version(),
    }


def busy_notes(machine: Mapping[str, Any]) -> list[str]:
    """A warning when other programs were computing before the first run."""
    load, cores = machine["load_average"], machine["cores"]
    if load is None or load < BUSY * cores:
        return []
    return [
        f"the machine was busy before (load {load:.1f} on {cores} cores): high percentiles and misses are also those of other programs"
    ]


def _version() -> str:
    try:
        return metadata.version("earshot")
    except metadata.PackageNotFoundError:
        return "unknown"


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the processor or the board, as the system calls it."""
    board = Path("/proc/device-tree/model")
    if board.is_file():
        return board.read_text(errors="replace").strip("\0\n ")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def _figures(profile: Profile, first: bool) -> Document:
    """What a run measured; an untouched memory only the first run has."""
    figures = profile.as_dict()
    for name in ("audio_s", "hop_s", "hops", "deadline_misses"):
        del figures[name]
    if not first:
        del figures["peak_memory_mb"]
    return figures


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Nested figures under dotted names: ``{"hearing": {"p50_ms": 1}}`` gives ``{"hearing.p50_ms": 1}``."""
    values: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[f"{prefix}{name}"] = float(value)
    return values


def runs_of(figures: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Figures of all runs by dotted name, in the order of the runs that have them."""
    runs: dict[str, list[float]] = {}
    for figure in figures:
        for name, value in flat(figure).items():
            runs.setdefault(name, []).append(value)
    return runs


def medians(figures: Sequence[Mapping[str, Any]]) -> Document:
    """Medians over runs, nested like the runs."""
    document: Document = {}
    for name, values in runs_of(figures).items():
        *path, leaf = name.split(".")
        place = document
        for part in path:
            place = place.setdefault(part, {})
        place[leaf] = round(float(np.median(values)), 5)
    return document


def memory_slope(encoders: Encoders, samples: Samples, audio_s: float = MEMORY_AUDIO_S) -> Document:
    """How resident memory grows while hearing.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    samples : ndarray, float32 [2, n]
        Heard again and again.
    audio_s : float
        Length of sound in all; the first third is not judged, for then buffers fill.

    Returns
    -------
    dict
        Slope of a straight line through resident memory in MB per hour of sound, its standard error, and the seconds
        it rests on. One minute shows a leak of a hundred MB an hour, not one of a few: that needs a soak test.
    """
    hearing, process = Hearing(encoders), psutil.Process()
    chunks = hops(samples)
    length = len(chunks) * FRAME_SAMPLES
    times_s: list[float] = []
    memory_mb: list[float] = []
    for number in range(max(len(chunks), round(audio_s / FRAME_S))):
        turn, place = divmod(number, len(chunks))
        hearing.process(AudioChunk(chunks[place].samples, turn * length + chunks[place].start_sample))
        if number % 25 == 0:
            times_s.append(number * FRAME_S)
            memory_mb.append(process.memory_info().rss / 1e6)
    start = len(times_s) // 3
    slope, error = line_fit(times_s[start:], memory_mb[start:])
    return {
        "slope_mb_per_hour": round(3600 * slope, 2),
        "slope_error_mb_per_hour": round(3600 * error, 2),
        "watched_audio_s": round(times_s[-1] - times_s[start], 1),
    }


def line_fit(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope of the least-squares line and its standard error; zeros for fewer than three points."""
    if len(x) < 3:
        return 0.0, 0.0
    centred = np.asarray(x) - np.mean(x)
    power = float(centred @ centred)
    slope = float(centred @ np.asarray(y)) / power
    rest = np.asarray(y) - np.mean(y) - slope * centred
    return slope, float(np.sqrt(rest @ rest / (len(x) - 2) / power))


def time_hop(encoders: Encoders, samples: Samples, frames: int) -> Document:
    """Time of hearing when sound comes in pieces of some encoder frames."""
    size = frames * FRAME_SAMPLES
    hearing = Hearing(encoders)
    times_s = []
    for start in range(0, samples.shape[1] - size + 1, size):
        begun_s = time.perf_counter()
        hearing.process(AudioChunk(samples[:, start : start + size], start))
        times_s.append(time.perf_counter() - begun_s)
    if not times_s:
        return {"hop_ms": 1e3 * frames * FRAME_S, "hops": 0}
    misses = sum(time_s > frames * FRAME_S for time_s in times_s)
    return {"hop_ms": 1e3 * frames * FRAME_S, "hops": len(times_s), "misses": misses, **vars(Spread.of(times_s))}


def sweep_threads(open_encoders: OpenEncoders, samples: Samples, count: int) -> Document:
    """One run with `count` threads in the networks and in the language model."""

    def open_threaded() -> tuple[Path, Encoders]:
        directory, encoders = open_encoders()
        threaded = ThreadedEncoders(encoders, count)
        threaded.load(directory)
        return directory, threaded

    run = measure(open_threaded, samples, count)
    return {
        "threads": count,
        "hearing": vars(run.hearing),
        "realtime_factor": run.realtime_factor,
        "first_token_s": run.first_token_s,
        "answer_s": run.answer_s,
    }
