"""The encoders of a bundle: weights are shared, the state of a stream stands apart."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.features import FEATURE_CHANNELS, FRAME_S, MEL_BANDS
from earshot.runtime.hearing.frame import Evidence, HearingFrame
from earshot.runtime.hearing.names import Named, Names, NamesMemory
from earshot.runtime.hearing.networks import Network, Tensors, graphs_in, open_network
from earshot.runtime.hearing.objects import ProjectorInputs, projector_inputs
from earshot.runtime.hearing.presence import Presence
from earshot.runtime.hearing.slots import EMPTY, SlotAllocator, SlotSettings
from earshot.runtime.hearing.tokens import Tokens

Float32 = NDArray[np.float32]


class Encoders:
    """The semantic, spatial and projector networks of a bundle, and the names network where it has one.

    Parameters
    ----------
    slot_settings : SlotSettings, optional
        How classes take slots; the default is what the shipped networks are trained with.

    Attributes
    ----------
    threads : int
        That compute each network.
    """

    def __init__(self, slot_settings: SlotSettings | None = None) -> None:
        self.slot_settings = slot_settings or SlotSettings()
        self._networks: dict[str, Network] = {}
        self._folder: Path | None = None
        self.threads = 1

    @property
    def loaded(self) -> bool:
        """Whether `load` has been called with success."""
        return bool(self._networks)

    def load(self, bundle_dir: Path | str) -> None:
        """Open the networks of a bundle; slow, and the only method that may fail.

        Raises
        ------
        BundleError
            If a graph is missing, is no ONNX graph or has not the interface of docs/architecture.md.
        """
        self._folder = Path(bundle_dir)
        found = graphs_in(self._folder)
        self._networks = {name: open_network(self._folder / f"{name}.onnx", self.threads) for name in found}

    def use_threads(self, count: int) -> None:
        """Compute with so many threads from the next step on; streams go on with their state.

        Raises
        ------
        BundleError
            If the networks, when they are loaded, cannot be opened any more.
        """
        if count != self.threads:
            self.threads = count
            if self._folder is not None:
                self.load(self._folder)

    def open_stream(self) -> EncoderStream:
        """A new stream with its own state, before its first frame."""
        return EncoderStream(self)

    def network(self, name: str) -> Network:
        """The network `semantic`, `spatial`, `projector` or, where `has` says so, `names`.

        Raises
        ------
        RuntimeError
            If `load` has not been called.
        """
        if name not in self._networks:
            raise RuntimeError("the encoders are not loaded: call load(bundle_dir) first")
        return self._networks[name]

    def has(self, name: str) -> bool:
        """Whether a network is loaded; `names` is not in every bundle."""
        return name in self._networks

    def name_sounds(self, samples: Float32) -> Named:
        """What the names network says about the samples of one ear, float32 [1, 15600], oldest first."""
        outputs, _ = self.network("names").run({"samples": samples}, {})
        return Named(outputs["logits"][0], outputs["trust"])

    @property
    def embedding_width(self) -> int:
        """Width of the audio token embeddings, the hidden size of the language model."""
        return self.network("projector").width_of("embeddings")

    def project(self, tokens: Tokens, asked: Float32 | None = None) -> Float32:
        """Embeddings of a window for the language model.

        Parameters
        ----------
        tokens : Tokens
            At most 25 in use (10 s).
        asked : ndarray, float32 [K, 299], optional
            Objects asked for by name (`asked.ask_by_name`).

        Returns
        -------
        ndarray, float32 [N + M, hidden]
            N moments of 0.8 s, then M - 1 objects and an end mark; nothing for no tokens.
        """
        if len(tokens) == 0:
            return np.zeros((0, self.embedding_width), np.float32)
        return self.project_inputs(projector_inputs(tokens, asked))

    def project_inputs(self, inputs: ProjectorInputs) -> Float32:
        """Embeddings of moments and objects, float32 [N + M, hidden]."""
        outputs, _ = self.network("projector").run(inputs.as_dict(), {})
        embeddings: Float32 = outputs["embeddings"]
        return embeddings


@dataclass(frozen=True, eq=False)
class EncoderMemory:
    """What a stream remembers at one moment: recurrent states of both encoders, who holds the slots, the last second of sound."""

    semantic: Tensors
    spatial: Tensors
    slots: SlotAllocator
    presence: Presence
    names: NamesMemory | None


class EncoderStream:
    """The state of one stream: recurrent states of both encoders, who holds the slots, and the sound that names are taken from.

    `add` the sound of every frame before its `step`; who only steps hears with both encoders alone.
    """

    latency_s = 0.0

    def __init__(self, encoders: Encoders) -> None:
        self._encoders = encoders
        self._names = Names(encoders.name_sounds) if encoders.has("names") else None
        self._slots = SlotAllocator(encoders.slot_settings)
        self._presence = Presence()
        self.reset()

    def reset(self) -> None:
        """Back to the state before the first frame."""
        self._slots.reset()
        self._presence.reset()
        self.forget_sound()
        self._frames = 0
        self._semantic = self._encoders.network("semantic").initial_state()
        self._spatial = self._encoders.network("spatial").initial_state()

    def memory(self) -> EncoderMemory:
        """All that has been heard so far, to be given back by `recall`."""
        names = None if self._names is None else self._names.memory()
        return EncoderMemory(self._semantic, self._spatial, deepcopy(self._slots), deepcopy(self._presence), names)

    def recall(self, memory: EncoderMemory) -> None:
        """Forget what was heard since the memory was taken; the count of frames goes on."""
        self._semantic, self._spatial = memory.semantic, memory.spatial
        self._slots, self._presence = deepcopy(memory.slots), deepcopy(memory.presence)
        if self._names is not None and memory.names is not None:
            self._names.recall(memory.names)

    def add(self, samples: Float32) -> None:
        """Take the sound of an encoder frame, float32 [2, 640], before it is heard; of those that are left out as well."""
        if self._names is not None:
            self._names.process(samples)

    def forget_sound(self) -> None:
        """What is added next does not follow on what was added before; the encoders go on from what they know."""
        if self._names is not None:
            self._names.reset()

    def forget_places(self) -> None:
        """What is heard next has its place from itself alone, as at the start of a stream; what sounds, and its slots, stay."""
        self._spatial = self._encoders.network("spatial").initial_state()

    def step(self, features: Float32) -> HearingFrame:
        """Hear one encoder frame.

        Parameters
        ----------
        features : ndarray, float32 [8, 64]
            From `FeatureExtractor`.
        """
        block = np.ascontiguousarray(features, np.float32).reshape(1, FEATURE_CHANNELS, 1, MEL_BANDS)
        what, self._semantic = self._encoders.network("semantic").run({"features": block}, self._semantic)
        logits = what["logits"][0]
        probability = sigmoid(logits if self._names is None else self._names.join(logits))
        allocation = self._slots.process(probability[None])
        inputs = {
            "features": block,
            "semantic_embedding": what["embedding"],
            "semantic_keys": what["keys"],
            "slot_class": np.maximum(allocation.asked, 0),
            "slot_keep": allocation.keep,
            "slot_claims": allocation.taken.astype(np.float32),
        }
        where, self._spatial = self._encoders.network("spatial").run(inputs, self._spatial)
        self._frames += 1
        activity = sigmoid(where["slot_activity"])
        classes = self._presence.process(allocation, activity)[0]
        semantic = what["embedding"][0]
        evidence = Evidence(block, what["keys"])
        keep = allocation.keep[0]
        return _frame(self._frames * FRAME_S, probability, semantic, classes, keep, activity[0], where, evidence)


def sigmoid(logits: Float32) -> Float32:
    """Logistic function without overflow, float32."""
    value: Float32 = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
    return value


def softmax(logits: Float32) -> Float32:
    """Softmax over the last axis, float32."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    value: Float32 = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    return value


def _frame(
    time_s: float,
    probability: Float32,
    embedding: Float32,
    classes: NDArray[np.int64],
    keep: Float32,
    activity: Float32,
    where: Tensors,
    evidence: Evidence,
) -> HearingFrame:
    """Collect the outputs; what the network says about a slot that is not told of is kept back: it becomes zero."""
    held = (classes != EMPTY).astype(np.float32)
    return HearingFrame(
        time_s=time_s,
        class_probability=probability,
        semantic_embedding=embedding,
        slot_class=classes,
        slot_keep=keep,
        activity=activity * held,
        azimuth_posterior=where["slot_azimuth"][0] * held[:, None],
        direction=where["slot_direction"][0] * held[:, None],
        log_distance=where["slot_log_distance"][0] * held,
        level_db=where["slot_level"][0] * held,
        scene_embedding=where["scene_embedding"][0],
        log_t60=float(where["room_log_t60"].reshape(-1)[0]),
        count_probability=softmax(where["count_logits"][0]),
        evidence=evidence,
    )
