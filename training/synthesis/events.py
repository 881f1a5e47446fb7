"""Sound events: mono clips of known class, from a folder with a manifest or synthesised by rule.

A library hands out prepared events: trimmed, stretched to a duration by looping (steady sounds) or repetition
(single sounds), with random equalisation, so that a classifier cannot learn the recording chain.
"""

from __future__ import annotations

import csv
import difflib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from earshot.runtime.errors import InputError
from earshot.runtime.labels import load_labels
from earshot.training.synthesis.excerpts import read_excerpt, span_of

SAMPLE_RATE_HZ = 16_000
SHORTEST_S = 0.02
SILENT = 1e-4
"""A recording whose peak is lower, re full scale, holds no sound: a scene would claim one that nobody hears."""
FloatArray = NDArray[np.float32]

# Sounds that go on by themselves; the others are single events that may repeat.
STEADY = frozenset(
    [
        "airplane",
        "brushing_teeth",
        "chainsaw",
        "crackling_fire",
        "crickets",
        "engine",
        "hand_saw",
        "helicopter",
        "insects_flying",
        "keyboard_typing",
        "pouring_water",
        "rain",
        "sea_waves",
        "siren",
        "snoring",
        "thunderstorm",
        "train",
        "vacuum_cleaner",
        "washing_machine",
        "wind",
        "clock_tick",
        "breathing",
        "chirping_birds",
        "church_bells",
        "clock_alarm",
        "footsteps",
        "frog",
        "speech",
    ]
)


@dataclass(frozen=True)
class Clip:
    """One recording: class key, group of clips cut from the same source, file (None = procedural).

    ``span_s`` is the start and end of the part of the file that is meant, seconds; None for all of it.
    """

    key: str
    name: str
    group: str
    path: Path | None
    span_s: tuple[float, float] | None = None


class EventLibrary(Protocol):
    """Anything that offers clips by class and their samples."""

    def keys(self) -> list[str]:
        """Class keys on offer, sorted."""
        ...

    def clips(self, key: str) -> list[Clip]:
        """Clips of a class."""
        ...

    def samples(self, clip: Clip, rng: np.random.Generator) -> FloatArray:
        """Mono float32 samples at 16 kHz, trimmed of silence."""
        ...


class ManifestLibrary:
    """Clips listed in ``manifest.csv`` (columns path, cls, group, fold) beside the audio.

    Optional columns start_s and end_s make a clip of a part of a file; such an excerpt is heard from the first channel
    where the file has four (Ambisonics or a microphone array), else, like whole files, from the mean of all.

    Parameters
    ----------
    folder : Path
        Folder that holds ``manifest.csv``.
    folds : tuple of int
        Folds to offer; groups never cross folds.

    Raises
    ------
    InputError
        No manifest, it cannot be read, a class is not in the label table, an excerpt has no length, a file or a group is
        in another fold as well, or no clip is in these folds.
    """

    def __init__(self, folder: Path, folds: tuple[int, ...]) -> None:
        self._by_key: dict[str, list[Clip]] = {}
        wanted: dict[str, bool] = {}
        manifest = folder / "manifest.csv"
        if not manifest.is_file():
            raise InputError(f"{folder}: no manifest.csv; expected columns path,cls,group,fold")
        for number, row in _rows(manifest):
            try:
                span = span_of(row, f"{manifest}, line {number}")
                fold, clip = int(row["fold"]), _clip(folder, row, span)
            except (KeyError, ValueError, TypeError) as error:
                raise InputError(f"{manifest}, line {number}: {error!r}; expected path,cls,group,fold") from error
            if clip.key not in _known_classes():
                near = difflib.get_close_matches(clip.key, _known_classes(), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise InputError(f"{manifest}, line {number}: class {clip.key!r} is not in the label table{hint}")
            for name in filter(None, (row["path"], row["group"])):
                if wanted.setdefault(name, fold in folds) != (fold in folds):
                    raise InputError(
                        f"{manifest}, line {number}: {name!r} is in fold {fold} and in another one; what training hears "
                        "(folds 1 to 3) must not be what is tested with: put all of it into one fold"
                    )
            if fold in folds:
                self._by_key.setdefault(clip.key, []).append(clip)
        if not self._by_key:
            raise InputError(f"{manifest}: no clip in fold {' or '.join(map(str, folds))}, which is wanted here")

    def keys(self) -> list[str]:
        """Class keys on offer, sorted."""
        return sorted(self._by_key)

    def clips(self, key: str) -> list[Clip]:
        """Clips of a class."""
        return self._by_key[key]

    def samples(self, clip: Clip, rng: np.random.Generator) -> FloatArray:
        """Mono float32 samples at 16 kHz, trimmed of silence."""
        assert clip.path is not None
        return _read_trimmed(clip.path, clip.span_s)


class ProceduralLibrary:
    """Sounds made by rule, for use with no data at all; one group per seed."""

    def __init__(self, seeds: range = range(0, 1000)) -> None:
        self._seeds = seeds

    def keys(self) -> list[str]:
        """Class keys on offer, sorted."""
        from earshot.training.synthesis.procedural import PROCEDURAL

        return sorted(PROCEDURAL)

    def clips(self, key: str) -> list[Clip]:
        """Clips of a class: one per seed."""
        return [Clip(key, f"procedural/{key}-{seed}", f"procedural-{seed}", None) for seed in self._seeds]

    def samples(self, clip: Clip, rng: np.random.Generator) -> FloatArray:
        """Mono float32 samples at 16 kHz."""
        from earshot.training.synthesis.procedural import synthesize

        seed = int(clip.name.rsplit("-", 1)[1])
        return trim(synthesize(clip.key, np.random.default_rng([seed, len(clip.key)]), 4.0))


class JoinedLibrary:
    """Recordings, and of the classes that also have a rule some sounds made by it: people try a listener on both.

    Parameters
    ----------
    recorded, made : EventLibrary
        Only classes of ``recorded`` are offered.
    share : float
        Share of the made clips among those of a class that has some.
    """

    def __init__(self, recorded: EventLibrary, made: EventLibrary, share: float = 0.15) -> None:
        self._recorded, self._made = recorded, made
        self._clips: dict[str, list[Clip]] = {}
        classes, rules = recorded.keys(), set(made.keys())
        for key in classes:
            own = recorded.clips(key)
            wanted = max(1, round(len(own) * share / (1.0 - share)))
            self._clips[key] = own + (made.clips(key)[:wanted] if key in rules else [])

    def keys(self) -> list[str]:
        """Class keys on offer, sorted."""
        return self._recorded.keys()

    def clips(self, key: str) -> list[Clip]:
        """Clips of a class, recordings first."""
        return self._clips[key]

    def samples(self, clip: Clip, rng: np.random.Generator) -> FloatArray:
        """Mono float32 samples at 16 kHz, trimmed of silence."""
        return (self._made if clip.path is None else self._recorded).samples(clip, rng)


def _rows(manifest: Path) -> list[tuple[int, dict[str, str]]]:
    """Lines of a csv file by their number."""
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            return list(enumerate(csv.DictReader(file), start=2))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: not a readable csv ({error})") from error


def _clip(folder: Path, row: dict[str, str], span: tuple[float, float] | None) -> Clip:
    """Clip of a row; excerpts of one file have names of their own."""
    name = row["path"] if span is None else f"{row['path']}#{span[0]:.3f}-{span[1]:.3f}"
    return Clip(row["cls"], name, row["group"], folder / row["path"], span)


@functools.cache
def _known_classes() -> frozenset[str]:
    return frozenset(label.key for label in load_labels())


@functools.lru_cache(maxsize=4096)
def _read_trimmed(path: Path, span: tuple[float, float] | None) -> FloatArray:
    where = str(path) if span is None else f"{path}, {span[0]:.3f} to {span[1]:.3f} s"
    try:
        mono, rate = _whole(path) if span is None else read_excerpt(path, *span)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{where}: cannot be read as audio ({error})") from error
    if len(mono) < SHORTEST_S * rate:
        raise InputError(f"{where}: {len(mono) / rate:.3f} s of audio; a clip has at least {SHORTEST_S} s")
    if not np.isfinite(mono).all() or np.abs(mono).max() < SILENT:
        raise InputError(f"{where}: silent, or of numbers that are none; take it out of the manifest")
    if rate != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    return trim(mono)


def _whole(path: Path) -> tuple[FloatArray, int]:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def trim(samples: FloatArray, floor_db: float = -40.0) -> FloatArray:
    """Cut leading and trailing parts whose 20 ms level is ``floor_db`` under the loudest 20 ms."""
    block = 320
    count = len(samples) // block
    if count < 2:
        return samples
    power = (samples[: count * block].reshape(count, block) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (floor_db / 10))
    if len(loud) == 0:
        return samples
    return samples[loud[0] * block : (loud[-1] + 1) * block]


def prepare(samples: FloatArray, key: str, duration_s: float, rng: np.random.Generator) -> FloatArray:
    """Make an event of at most ``duration_s``: random speed, looping or repetition, equalisation, unit RMS.

    Returns
    -------
    float32 [n]
        n <= duration_s * 16000; RMS over the loud part is 1.
    """
    speed = float(np.exp(rng.uniform(-0.14, 0.14)))
    varied = soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ, quality="LQ")
    length = int(duration_s * SAMPLE_RATE_HZ)
    event = _loop(varied, length) if key in STEADY else _repeat(varied, length, rng)
    event = _equalize(event, rng)
    edge = min(80, len(event) // 4)
    ramp = np.linspace(0, 1, edge, dtype=np.float32)
    event[:edge] *= ramp
    event[len(event) - edge :] *= ramp[::-1]
    return (event / (active_rms(event) + 1e-9)).astype(np.float32)


def active_rms(samples: NDArray[np.floating]) -> float:
    """RMS over the 20 ms blocks that are within 20 dB of the loudest one."""
    block = 320
    count = max(1, len(samples) // block)
    padded = samples[: count * block]
    power = (padded.reshape(count, -1) ** 2).mean(axis=1)
    return float(np.sqrt(power[power > power.max() * 0.01].mean())) if power.max() > 0 else 0.0


def _loop(samples: FloatArray, length: int) -> FloatArray:
    """Repeat with a 50 ms cross-fade until ``length`` samples are filled."""
    fade = min(800, len(samples) // 4)
    if len(samples) >= length or fade < 8:
        return samples[:length].copy()
    out = np.zeros(length + len(samples), np.float32)
    step = len(samples) - fade
    shaped = samples.copy()
    shaped[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    shaped[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    for start in range(0, length, step):
        out[start : start + len(samples)] += shaped
    out[:fade] = samples[:fade]
    return out[:length]


def _repeat(samples: FloatArray, length: int, rng: np.random.Generator) -> FloatArray:
    """Play once or several times with pauses, never beyond ``length`` samples."""
    parts = [samples[:length]]
    total = len(parts[0])
    while rng.random() < 0.6:
        gap = int(rng.uniform(0.05, 0.9) * SAMPLE_RATE_HZ)
        if total + gap + len(samples) > length:
            break
        parts += [np.zeros(gap, np.float32), samples]
        total += gap + len(samples)
    return np.concatenate(parts).astype(np.float32)


def _equalize(samples: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Random smooth magnitude curve (+-8 dB) and sometimes a low-pass: hides the recording chain."""
    size = 1 << int(np.ceil(np.log2(len(samples) + 1)))
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    octave = np.log2(np.maximum(frequency, 40) / 40)
    gain_db = np.interp(octave, np.linspace(0, 7.7, 7), rng.normal(0, 3.0, 7))
    if rng.random() < 0.3:
        cutoff = rng.uniform(2500, 7500)
        gain_db = gain_db - 24 * np.maximum(0, np.log2(np.maximum(frequency, 1) / cutoff))
    return np.fft.irfft(np.fft.rfft(samples, size) * 10 ** (gain_db / 20), size)[: len(samples)].astype(np.float32)
