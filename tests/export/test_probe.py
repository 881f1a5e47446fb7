"""What graphs are fed with when they are compared and calibrated is what the runtime feeds them with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earshot.export.calibration import Calibration
from earshot.export.gate_scenes import GateScene
from earshot.export.onnx_export import export_names, export_projector, export_semantic, export_spatial
from earshot.export.probe import PROBE_S, encoder_steps, probe_audio
from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.networks import Network
from tests.tiny import make_encoders, make_names, make_projector

CLASS = 17
"""The names network of these tests is sure of it, whatever sounds."""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe")
    semantic, spatial = make_encoders()
    names = make_names()
    with torch.no_grad():
        names.head.bias[CLASS] += 20.0
    export_semantic(semantic, folder / "semantic.onnx")
    export_spatial(spatial, folder / "spatial.onnx")
    export_names(names, folder / "names.onnx")
    export_projector(make_projector(hidden=64), folder / "projector.onnx")
    return folder


def test_calibration_hears_with_names_as_the_runtime_does(graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: dict[str, list[dict[str, np.ndarray]]] = {"names": [], "slot_class": []}
    run = Network.run

    def noted(self: Network, inputs: dict, state: dict) -> tuple[dict, dict]:
        for name in fed.keys() & {"names" if "samples" in inputs else "", *inputs}:
            fed[name].append(inputs)
        return run(self, inputs, state)

    audio = probe_audio()[:, : 4 * 16000]
    steps = encoder_steps(graphs, audio)
    encoders = Encoders()
    encoders.load(graphs)
    monkeypatch.setattr(Network, "run", noted)
    Hearing(encoders).process(AudioChunk(audio, 0))
    assert len(steps["names"]) == len(fed["names"]) == 2 * 10, "each ear once in ten frames"
    for ours, theirs in zip(steps["names"], fed["names"], strict=True):
        np.testing.assert_array_equal(ours["samples"], theirs["samples"])
    assert len(steps["spatial"]) == len(fed["slot_class"]) == 100
    asked = [CLASS in step["slot_class"] for step in fed["slot_class"]]
    assert not any(asked[:9]) and asked[-1]
    assert [CLASS in step["slot_class"] for step in steps["spatial"][20:]] == asked[20:]
    (frames,) = Calibration(graphs, [GateScene(audio, ())])._steps["spatial"]
    assert CLASS in frames[-1]["slot_class"]


def test_without_a_names_network_the_encoders_hear_alone(graphs: Path, tmp_path: Path) -> None:
    for name in ("semantic", "spatial"):
        (tmp_path / f"{name}.onnx").write_bytes((graphs / f"{name}.onnx").read_bytes())
    steps = encoder_steps(tmp_path, probe_audio()[:, :16000])
    assert steps.keys() == {"semantic", "spatial"} and len(steps["spatial"]) == 25


def test_of_a_long_recording_only_the_beginning_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, (60 * 16000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", sound, 16000, "FLOAT")
    read: list[int] = []
    read_block = FileSource._read

    def noted(self: FileSource, at_s: float) -> np.ndarray | None:
        block = read_block(self, at_s)
        read.append(0 if block is None else len(block))
        return block

    monkeypatch.setattr(FileSource, "_read", noted)
    np.testing.assert_array_equal(probe_audio([tmp_path / "long.wav"]), sound[: round(PROBE_S * 16000)].T)
    assert PROBE_S * 16000 <= sum(read) < (PROBE_S + 3) * 16000
