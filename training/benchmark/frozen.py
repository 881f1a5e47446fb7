"""The frozen benchmarks: their seeds and sizes, and the hashes that items and audio must have (``frozen.json``).

A hash belongs to one set of stems: the recordings' validation split, or scenes made by rule. Stems that no entry knows
can be used as well; their scores are then comparable only among runs that print the same hash.

Processors round differently, so the samples of a scene rendered anew differ in their last bit. The truth does not: the same
questions about audio of the same band levels are the frozen benchmark as well.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError, UsageError
from earshot.training.files import replace_text
from earshot.training.synthesis.dataset import Shard

MANIFEST = Path(__file__).with_name("frozen.json")
_DIGITS = 16
_BANDS = 8
LEVEL_TOLERANCE_DB = 0.02
"""Band levels that differ by less are those of the same audio: rounding moves them by less than a fifth of it (as tested)."""


@dataclass(frozen=True)
class Contents:
    """What is asked, and of what sound.

    Attributes
    ----------
    stems : str
        ``recordings`` or ``procedural``: what the scenes are made of.
    data : str
        Hash of the descriptions of all stem scenes.
    items, audio : str
        Hashes of the questions (or tracks) with their truth, and of all samples.
    levels_db : tuple of float
        See `BandLevels`.
    """

    stems: str
    data: str
    items: str
    audio: str
    levels_db: tuple[float, ...] = ()

    @property
    def hash(self) -> str:
        """One hash of items and audio, printed with every score."""
        return hashlib.sha256(f"{self.items}{self.audio}".encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True)
class Verdict:
    """Whether contents are the frozen ones.

    Attributes
    ----------
    frozen : bool or None
        None: nothing was frozen for these stems.
    line : str
        The same in words.
    hash : str
        That of the frozen benchmark if it is this one, else that of the contents.
    """

    frozen: bool | None
    line: str
    hash: str


def identity(name: str, size: str, contents: Contents, verdict: Verdict) -> dict[str, Any]:
    """What a report says of the benchmark that it is of."""
    return {
        "benchmark": name,
        "size": size,
        "hash": verdict.hash,
        "stems": contents.stems,
        "stems_hash": contents.data,
        "items_hash": contents.items,
        "audio_hash": contents.audio,
        "frozen": verdict.frozen,
        "verdict": verdict.line,
    }


def load_manifest(path: Path = MANIFEST) -> dict[str, Any]:
    """Seeds, sizes and frozen hashes by benchmark.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the benchmark's manifest cannot be read ({error}); restore it") from error
    return dict(manifest)


def check(contents: Contents, benchmark: str, size: str, path: Path = MANIFEST) -> Verdict:
    """Compare contents with the frozen ones of the same stems."""
    name = f"{benchmark} ({size}) on {contents.stems} stems {contents.data}"
    entries = [entry for entry in load_manifest(path)[benchmark]["frozen"] if entry["size"] == size]
    for entry in entries:
        if entry["items"] == contents.items and entry["stems"] == contents.stems:
            return _check_audio(contents, entry, name)
    for entry in entries:
        if entry["data"] == contents.data:
            return _differing(contents, entry, name, "items differ")
    return Verdict(None, f"{name}: hash {contents.hash}; nothing is frozen for these stems", contents.hash)


def _check_audio(contents: Contents, entry: dict[str, Any], name: str) -> Verdict:
    """The questions are the frozen ones: is the audio?"""
    frozen = str(entry["hash"])
    if entry["audio"] == contents.audio:
        return Verdict(True, f"{name}: frozen, hash {frozen}", frozen)
    levels = entry.get("levels_db", ())
    if len(levels) != len(contents.levels_db) or not levels:
        return _differing(contents, entry, name, "audio differs")
    off_db = float(np.abs(np.subtract(levels, contents.levels_db)).max())
    if off_db > LEVEL_TOLERANCE_DB:
        return _differing(contents, entry, name, f"audio differs by up to {off_db:.2g} dB in a band")
    return Verdict(
        True, f"{name}: frozen, hash {frozen} (audio equal but for rounding: {off_db:.1g} dB in a band)", frozen
    )


def _differing(contents: Contents, entry: dict[str, Any], name: str, what: str) -> Verdict:
    line = (
        f"{name}: {what} from what was frozen (hash {contents.hash}, frozen {entry['hash']}); scores cannot be compared with "
        "those of the frozen benchmark"
    )
    return Verdict(False, line, contents.hash)


def freeze(contents: Contents, benchmark: str, size: str, path: Path = MANIFEST) -> None:
    """Write contents into the manifest, in place of an older entry of the same stems and size.

    Raises
    ------
    UsageError
        The manifest cannot be written.
    """
    manifest = load_manifest(path)
    kept = [e for e in manifest[benchmark]["frozen"] if (e["data"], e["size"]) != (contents.data, size)]
    entry = {"size": size, **asdict(contents), "levels_db": list(contents.levels_db), "hash": contents.hash}
    manifest[benchmark]["frozen"] = sorted([*kept, entry], key=lambda e: (e["stems"], e["data"], e["size"]))
    try:
        replace_text(path, json.dumps(manifest, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); freeze in a source checkout") from error


def freeze_all(benchmark: str, build: Callable[[str], Contents], path: Path = MANIFEST) -> list[Verdict]:
    """Write the hashes of all sizes into the manifest.

    Parameters
    ----------
    benchmark : str
    build : callable
        Makes the contents of a size.
    path : Path
        The manifest.
    """
    verdicts = []
    for size in load_manifest(path)[benchmark]["sizes"]:
        contents = build(size)
        freeze(contents, benchmark, size, path)
        verdicts.append(check(contents, benchmark, size, path))
    return verdicts


def contents_of(shards: Sequence[Shard], items: Iterable[Any], audio: Iterable[NDArray[np.int16]]) -> Contents:
    """Hash a benchmark.

    Parameters
    ----------
    shards : sequence of Shard
        The stems that it is made from.
    items : iterable
        JSON documents, truth included.
    audio : iterable of int16 [2, samples]
    """
    scenes = [scene for shard in shards for scene in shard.scenes]
    by_rule = all(source["clip"].startswith("procedural/") for scene in scenes for source in scene["sources"])
    asked, heard, levels = hashlib.sha256(), hashlib.sha256(), BandLevels()
    for item in items:
        asked.update(_canonical(item))
    for samples in audio:
        heard.update(np.ascontiguousarray(samples, "<i2").tobytes())
        levels.add(samples)
    return Contents(
        "procedural" if by_rule else "recordings",
        hashlib.sha256(b"".join(map(_canonical, scenes))).hexdigest()[:_DIGITS],
        asked.hexdigest()[:_DIGITS],
        heard.hexdigest()[:_DIGITS],
        levels.rounded_db(),
    )


class BandLevels:
    """Levels of many clips in octave bands at both ears, as few numbers: means, and means with signs drawn for every clip.

    The second tell of changes that cancel out on average, such as another direction of every source.
    """

    def __init__(self) -> None:
        self._signs = np.random.default_rng(7)
        self._sums = np.zeros((2, 2, _BANDS))
        self._clips = 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """Count a clip, int16 [2, samples] at 16 kHz."""
        power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
        edges = [0, *(power.shape[1] >> shift for shift in range(_BANDS - 1, -1, -1))]
        bands = np.stack([power[:, low:high].sum(axis=1) for low, high in itertools.pairwise(edges)], axis=1)
        level_db = 10.0 * np.log10(bands / samples.shape[1] ** 2 + 1.0)  # a floor of one quantization step
        sign = self._signs.choice((-1.0, 1.0), size=level_db.shape)
        self._sums += np.stack([level_db, sign * level_db])
        self._clips += 1

    def rounded_db(self) -> tuple[float, ...]:
        """The 32 numbers, dB."""
        return tuple(np.round(self._sums / max(1, self._clips), 4).ravel().tolist())


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
