"""A tiny set of stems made by rule, and small benchmarks of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earshot.training.benchmark.asa_run import AsaBench, build_asa
from earshot.training.benchmark.seld_run import SeldBench, build_seld
from earshot.training.synthesis.dataset import DataFolders, write_shards
from earshot.training.synthesis.scenes import SceneSettings

SETTINGS = SceneSettings(duration_s=6.0, sources=3, free_share=1.0)
ASA_SIZE = {"clips": 7, "L1": 12, "L2": 8, "L3": 12, "open": 12, "absent": 10}


@pytest.fixture(scope="session")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five scenes in free field."""
    folder = tmp_path_factory.mktemp("benchmark_stems")
    write_shards(DataFolders(None), folder, "validation", SETTINGS, range(1), scenes_per_shard=5)
    return folder


def write_manifest(path: Path) -> Path:
    """A manifest with one small size and nothing frozen."""
    document = {
        "asa": {"version": 1, "seed": 1, "sizes": {"quick": ASA_SIZE}, "frozen": []},
        "seld": {"version": 1, "seed": 2, "sizes": {"quick": {"scenes": 2, "duration_s": 15}}, "frozen": []},
        "dialogue": {"version": 1, "seed": 3, "sizes": {"quick": {"clips": 40, "conversations": 12}}, "frozen": []},
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest that no test changes."""
    return write_manifest(tmp_path_factory.mktemp("manifest") / "frozen.json")


@pytest.fixture(scope="session")
def asa(stems: Path, manifest: Path) -> AsaBench:
    """A small ASA-bench."""
    return build_asa(stems, "quick", manifest)


@pytest.fixture(scope="session")
def seld(stems: Path, manifest: Path) -> SeldBench:
    """Two short continuous scenes."""
    return build_seld(stems, "quick", manifest)
