"""The frozen benchmarks: their seeds and sizes, and the hashes that items and audio must have (``frozen.json``).

A hash belongs to one set of stems: the recordings' validation split, or scenes made by rule. Stems that no entry knows
can be used as well; their scores are then comparable only among runs that print the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError, UsageError
from earshot.training.synthesis.dataset import Shard

MANIFEST = Path(__file__).with_name("frozen.json")
_DIGITS = 16


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
    """

    stems: str
    data: str
    items: str
    audio: str

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
    """

    frozen: bool | None
    line: str


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
    for entry in load_manifest(path)[benchmark]["frozen"]:
        if (entry["data"], entry["size"]) == (contents.data, size):
            differing = [part for part in ("items", "audio") if entry[part] != getattr(contents, part)]
            if not differing:
                return Verdict(True, f"{name}: frozen, hash {contents.hash}")
            return Verdict(
                False,
                f"{name}: {' and '.join(differing)} differ from what was frozen (hash {contents.hash}, frozen "
                f"{entry['hash']}); scores cannot be compared with those of the frozen benchmark",
            )
    return Verdict(None, f"{name}: hash {contents.hash}; nothing is frozen for these stems")


def freeze(contents: Contents, benchmark: str, size: str, path: Path = MANIFEST) -> None:
    """Write contents into the manifest, in place of an older entry of the same stems and size.

    Raises
    ------
    UsageError
        The manifest cannot be written.
    """
    manifest = load_manifest(path)
    kept = [e for e in manifest[benchmark]["frozen"] if (e["data"], e["size"]) != (contents.data, size)]
    entry = {"size": size, **asdict(contents), "hash": contents.hash}
    manifest[benchmark]["frozen"] = sorted([*kept, entry], key=lambda e: (e["stems"], e["data"], e["size"]))
    try:
        path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
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
    asked, heard = hashlib.sha256(), hashlib.sha256()
    for item in items:
        asked.update(_canonical(item))
    for samples in audio:
        heard.update(np.ascontiguousarray(samples, "<i2").tobytes())
    return Contents(
        "procedural" if by_rule else "recordings",
        hashlib.sha256(b"".join(map(_canonical, scenes))).hexdigest()[:_DIGITS],
        asked.hexdigest()[:_DIGITS],
        heard.hexdigest()[:_DIGITS],
    )


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
