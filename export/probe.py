"""Inputs for the parity and speed gates: what the graphs that hear see on real audio, or on a sound made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.file import FileSource
from earshot.runtime.bundle.manifest import NAMES_NAME, SEMANTIC_NAME
from earshot.runtime.hearing.encoders import sigmoid
from earshot.runtime.hearing.features import FRAME_SAMPLES, SAMPLE_RATE_HZ, features_of
from earshot.runtime.hearing.names import Named, Names
from earshot.runtime.hearing.networks import open_network
from earshot.runtime.hearing.slots import SlotAllocator, SlotSettings

Float32 = NDArray[np.float32]
Step = dict[str, NDArray[Any]]

PROBE_S = 10.0


def probe_audio(paths: Sequence[Path] = (), seed: int = 0) -> Float32:
    """Binaural audio to judge graphs on: float32 [2, samples], 16 kHz.

    Parameters
    ----------
    paths : sequence of Path
        Recordings, taken one after the other (the first 10 s of each). Without any, a sound is made:
        noise bursts of changing colour from changing sides (time and level differences), over a quiet
        bed.
    seed : int
        Of the made sound.

    Raises
    ------
    InputError
        When a recording cannot be used.
    """
    if not paths:
        return _made_sound(np.random.default_rng(seed))
    return np.concatenate([_beginning(path) for path in paths], axis=1)


def _beginning(path: Path) -> Float32:
    wanted, read, parts = round(PROBE_S * SAMPLE_RATE_HZ), 0, []
    with FileSource(path) as source:
        for chunk in source:
            parts.append(chunk.samples)
            read += chunk.samples.shape[1]
            if read >= wanted:
                break
    return np.concatenate(parts, axis=1)[:, :wanted]


def _made_sound(rng: np.random.Generator) -> Float32:
    samples = round(PROBE_S * SAMPLE_RATE_HZ)
    sound = rng.normal(0, 1e-3, (2, samples))
    for start in range(0, samples - SAMPLE_RATE_HZ, SAMPLE_RATE_HZ // 2):
        length = int(rng.integers(2000, SAMPLE_RATE_HZ))
        colour = rng.uniform(-0.95, 0.95)
        noise = rng.normal(0, 0.1, length + 16)
        noise[1:] += colour * noise[:-1]
        lag, level = int(rng.integers(-12, 13)), 10 ** rng.uniform(-0.4, 0.4)  # 0.75 ms and 8 dB at most
        left, right = max(lag, 0), max(-lag, 0)
        sound[0, start : start + length] += noise[left : left + length][: samples - start]
        sound[1, start : start + length] += level * noise[right : right + length][: samples - start]
    return sound.astype(np.float32)


def encoder_steps(graphs: Path, audio: Float32) -> dict[str, list[Step]]:
    """Inputs of the graphs that hear, run by run, for some audio.

    Parameters
    ----------
    graphs : Path
        Folder of the float graphs: `semantic.onnx`, whose outputs the spatial encoder is fed with, and `names.onnx` where there is
        one, which then has its say in what the spatial encoder is asked, as when the runtime hears.
    audio : ndarray, float32 [2, samples]

    Returns
    -------
    dict of list of dict
        Inputs without state of `semantic` and `spatial` by frames, and of `names` where there is one, for each time it hears. Slots
        that nothing takes ask for some class by turns, so that they are judged too.
    """
    network = open_network(graphs / SEMANTIC_NAME)
    state = network.initial_state()
    slots = SlotAllocator(SlotSettings())
    steps: dict[str, list[Step]] = {"semantic": [], "spatial": []}
    names = _names_in(graphs, steps)
    for t, frame in enumerate(features_of(audio)):
        features = np.ascontiguousarray(frame[None, :, None])
        steps["semantic"].append({"features": features})
        outputs, state = network.run(steps["semantic"][-1], state)
        logits = outputs["logits"]
        if names is not None:
            names.process(audio[:, t * FRAME_SAMPLES : (t + 1) * FRAME_SAMPLES])
            logits = names.join(logits[0])[None]
        allocation = slots.process(sigmoid(logits))
        asked, keep = allocation.asked, allocation.keep
        spare = (7 * (t // 50) + np.arange(asked.shape[1])) % 61
        steps["spatial"].append(
            {
                "features": features,
                "semantic_embedding": outputs["embedding"],
                "semantic_keys": outputs["keys"],
                "slot_class": np.where(asked < 0, spare, asked).astype(np.int64),
                "slot_keep": np.where(asked < 0, float(t % 50 != 0), keep).astype(np.float32),
                "slot_claims": allocation.taken.astype(np.float32),
            }
        )
    return steps


def _names_in(graphs: Path, steps: dict[str, list[Step]]) -> Names | None:
    """The stage of the names network of a folder, if it has one; what it hears is added to `steps`."""
    if not (graphs / NAMES_NAME).is_file():
        return None
    network, heard = open_network(graphs / NAMES_NAME), steps.setdefault("names", [])

    def hear(samples: Float32) -> Named:
        heard.append({"samples": samples})
        outputs, _ = network.run(heard[-1], {})
        return Named(outputs["logits"][0], outputs["trust"])

    return Names(hear)
