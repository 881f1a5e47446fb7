"""The names network: when it hears what, how its logits join those of the semantic encoder, and bundles without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.errors import BundleError
from earshot.runtime.hearing.encoders import Encoders, EncoderStream, sigmoid
from earshot.runtime.hearing.features import FRAME_SAMPLES, features_of
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.names import NAMES_SAMPLES, Named, Names, ears_to_hear, joined, mean_odds
from earshot.runtime.interfaces.measure import Stopwatch, time_stages
from tests.runtime.hearing.sounds import Samples, bursts, noise
from tests.runtime.tiny_bundle import LOW_CLASS, names_graph, write_tiny_networks

SEMANTIC = np.linspace(-3.0, 3.0, 61, dtype=np.float32)


class Listening:
    """A network that says how often it has heard both ears, and remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []

    def __call__(self, samples: Samples) -> Named:
        self.heard.append(samples[0])
        return Named(np.full(61, -(-len(self.heard) // 2), np.float32), np.array([0.25], np.float32))


class SpiedEncoders(Encoders):
    """Encoders of which one can see what the names network has heard."""

    def __init__(self, bundle: Path) -> None:
        super().__init__()
        self.heard: list[Samples] = []
        self.load(bundle)

    def name_sounds(self, samples: Samples) -> Named:
        self.heard.append(samples[0])
        return super().name_sounds(samples)


@pytest.fixture
def spied(named_bundle: Path) -> SpiedEncoders:
    return SpiedEncoders(named_bundle)


def frames_of(samples: Samples) -> Iterator[Samples]:
    for start in range(0, samples.shape[1] - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        yield samples[:, start : start + FRAME_SAMPLES]


def until(samples: Samples, frame: int) -> list[bytes]:
    """What the network is to hear after so many frames: one ear, then the other, zeros before the beginning."""
    padded = np.pad(samples[:, : frame * FRAME_SAMPLES], ((0, 0), (NAMES_SAMPLES, 0)))
    return [ear[-NAMES_SAMPLES:].tobytes() for ear in padded]


def bytes_of(heard: list[Samples]) -> list[bytes]:
    return [samples.tobytes() for samples in heard]


def probabilities(stream: EncoderStream, samples: Samples, added: bool = True) -> np.ndarray:
    """Class probabilities of every frame [frames, 61]."""
    heard = []
    for frame, features in zip(frames_of(samples), features_of(samples), strict=True):
        if added:
            stream.add(frame)
        heard.append(stream.step(features).class_probability)
    return np.stack(heard)


def heard_at(network: Listening, sound: Samples, every: int = 1) -> tuple[list[int], list[Samples]]:
    """Frames in which the network heard an ear, and the logits of those that were asked for: one of so many."""
    stage, times, out = Names(network), [], []
    for number, frame in enumerate(frames_of(sound), start=1):
        stage.process(frame)
        if number % every == 0:
            out.append(stage.join(SEMANTIC))
        times += [number] * (len(network.heard) - len(times))
    return times, out


def test_before_every_tenth_frame_it_hears_one_ear_and_at_the_tenth_the_other_of_the_same_second() -> None:
    network, sound = Listening(), noise(2.0, 0.2, 0.05)
    times, _ = heard_at(network, sound)
    assert times == [9, 10, 19, 20, 29, 30, 39, 40, 49, 50]
    assert all(heard.dtype == np.float32 for heard in network.heard)
    assert bytes_of(network.heard) == [ear for number in (9, 19, 29, 39, 49) for ear in until(sound, number)]


def test_the_odds_of_both_ears_are_averaged_and_a_dead_ear_does_not_count() -> None:
    def hear(samples: Samples) -> Named:
        logits = np.zeros(61, np.float32)
        logits[3 if samples[0, 0] > 0 else 5] = 2.0
        return Named(logits, np.array([0.25], np.float32))

    def said(samples: Samples) -> Samples:
        return mean_odds([hear(ear) for ear in ears_to_hear(samples)]).logits

    left, right = np.full(NAMES_SAMPLES, 0.1, np.float32), np.full(NAMES_SAMPLES, -0.02, np.float32)
    expected = np.zeros(61)
    expected[[3, 5]] = np.log((np.exp(2.0) + 1.0) / 2)
    np.testing.assert_allclose(said(np.stack([left, right])), expected, atol=1e-6)
    np.testing.assert_array_equal(said(np.stack([left, 0.1 * right])), 2.0 * (np.arange(61) == 3))
    silence = np.zeros((2, NAMES_SAMPLES), np.float32)
    assert len(ears_to_hear(silence)) == 2
    np.testing.assert_allclose(said(silence), 2.0 * (np.arange(61) == 5), atol=1e-6)


def test_until_both_ears_are_heard_the_semantic_encoder_is_believed_alone_and_from_then_on_both_are() -> None:
    _, out = heard_at(Listening(), noise(1.0))
    assert all(logits is SEMANTIC for logits in out[:9])
    for number, logits in enumerate(out[9:], start=10):
        np.testing.assert_array_equal(logits, np.float32(0.25) * SEMANTIC + np.float32(number // 10))


def test_what_has_risen_since_the_second_ended_counts_also_where_it_rose_while_the_other_ear_was_heard() -> None:
    stage, sound = Names(Listening()), noise(1.24)
    semantic = np.random.default_rng(0).normal(0.0, 2.0, (31, 61)).astype(np.float32)
    for number, (frame, logits) in enumerate(zip(frames_of(sound), semantic, strict=True), start=1):
        stage.process(frame)
        out, count = stage.join(logits), number // 10
        named = Named(np.full(61, count, np.float32), np.array([0.25], np.float32))
        expected = joined(named, logits, semantic[10 * count - 2]) if count else logits
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("ear", [0, 1])
def test_where_one_ear_is_dead_what_the_other_says_holds_at_once(ear: int) -> None:
    network, sound = Listening(), noise(0.8, 0.2, 0.2)
    sound[1 - ear] *= 0.01
    times, out = heard_at(network, sound)
    assert times == [9, 19]
    assert bytes_of(network.heard) == [until(sound, number)[ear] for number in times]
    assert all(logits is SEMANTIC for logits in out[:8])
    for logits in out[8:]:
        np.testing.assert_array_equal(logits, np.float32(0.25) * SEMANTIC + np.float32(1.0))


def test_where_frames_are_left_out_it_hears_one_ear_at_the_next_that_is_not_and_the_other_at_the_one_after() -> None:
    network, sound = Listening(), noise(1.0, 0.2, 0.05)
    times, out = heard_at(network, sound, every=3)
    assert times == [9, 12, 21, 24]
    assert bytes_of(network.heard) == until(sound, 9) + until(sound, 21)
    assert all(logits is SEMANTIC for logits in out[:3])
    for logits, count in zip(out[3:], (1, 1, 1, 1, 2), strict=True):
        np.testing.assert_array_equal(logits, np.float32(0.25) * SEMANTIC + np.float32(count))


def test_an_ear_that_is_still_to_be_heard_comes_before_the_next_second() -> None:
    network, sound = Listening(), noise(0.92, 0.2, 0.05)
    times, _ = heard_at(network, sound, every=10)
    assert times == [10, 20]
    assert bytes_of(network.heard) == until(sound, 10)
    network = Listening()
    stage, joins = Names(network), {10, 20, 22, 23}
    for number, frame in enumerate(frames_of(sound), start=1):
        stage.process(frame)
        if number in joins:
            stage.join(SEMANTIC)
    assert bytes_of(network.heard) == until(sound, 10) + until(sound, 22)


def test_reset_equals_a_fresh_object_and_what_is_recalled_has_not_been_heard_since() -> None:
    network = Listening()
    stage, sound = Names(network), noise(0.6, 0.2, 0.05)
    for frame in frames_of(sound):
        stage.process(frame)
        stage.join(SEMANTIC)
    memory = stage.memory()
    for frame in frames_of(noise(0.52, seed=1)):
        stage.process(frame)
    stage.join(SEMANTIC)
    stage.recall(memory)
    np.testing.assert_array_equal(stage.join(SEMANTIC), np.float32(0.25) * SEMANTIC + np.float32(1.0))
    for frame in frames_of(noise(0.2, seed=2)):
        stage.process(frame)
    stage.join(SEMANTIC)
    assert bytes_of(network.heard[-1:]) == until(np.concatenate([sound, noise(0.2, seed=2)], axis=1), 20)[:1]
    count = len(network.heard)
    stage.reset()
    assert stage.join(SEMANTIC) is SEMANTIC
    for frame in frames_of(noise(0.36, seed=3)):
        assert stage.join(SEMANTIC) is SEMANTIC
        stage.process(frame)
    assert len(network.heard) == count, "the other ear of the forgotten second is not heard"
    assert stage.join(SEMANTIC) is SEMANTIC
    assert stage.join(SEMANTIC) is not SEMANTIC
    assert bytes_of(network.heard[count:]) == until(noise(0.36, seed=3), 9)


@pytest.mark.parametrize("number", [8, 9, 10, 18, 19, 20])
def test_recalled_before_between_and_after_both_ears_it_goes_on_as_if_nothing_had_been_heard_since(number: int) -> None:
    heard: list[Samples] = []

    def hear(samples: Samples) -> Named:
        heard.append(samples[0])
        return Named(np.cumsum(samples[0, -61:], dtype=np.float32), np.array([0.25], np.float32))

    def listen_on(stage: Names, sound: Samples, semantic: Samples) -> tuple[list[bytes], list[bytes]]:
        """What it hears and what it says."""
        heard.clear()
        out = []
        for frame, logits in zip(frames_of(sound), semantic, strict=True):
            stage.process(frame)
            out.append(stage.join(logits))
        return bytes_of(heard), bytes_of(out)

    sound, other = noise(1.24, 0.2, 0.05), noise(1.24, 0.1, 0.1, seed=1)
    semantic = np.random.default_rng(0).normal(0.0, 2.0, (31, 61)).astype(np.float32)
    uninterrupted, stage = Names(hear), Names(hear)
    before = sound[:, : number * FRAME_SAMPLES], semantic[:number]
    after = sound[:, number * FRAME_SAMPLES :], semantic[number:]
    listen_on(uninterrupted, *before)
    listen_on(stage, *before)
    memory, expected = stage.memory(), listen_on(uninterrupted, *after)
    for _ in range(2):
        listen_on(stage, other, semantic[::-1])
        stage.recall(memory)
        assert listen_on(stage, *after) == expected
    fresh = Names(hear)
    fresh.recall(memory)
    assert listen_on(fresh, *after) == expected


def test_what_rises_after_the_hearing_counts_in_full_and_what_falls_does_not() -> None:
    named = Named(np.full(61, -2.0, np.float32), np.full(1, 0.5, np.float32))
    then = np.full(61, -6.0, np.float32)
    np.testing.assert_allclose(joined(named, then, then), 0.5 * then - 2.0)
    np.testing.assert_allclose(joined(named, then + 8.0, then), 0.5 * -6.0 - 2.0 + 8.0)
    np.testing.assert_allclose(joined(named, then - 4.0, then), 0.5 * -10.0 - 2.0)


def test_a_stream_joins_both_logits(named_encoders: Encoders) -> None:
    sound = noise(1.2, 0.2, 0.05)
    heard = probabilities(named_encoders.open_stream(), sound)
    semantic = named_encoders.network("semantic")
    state, said = semantic.initial_state(), []
    for number, features in enumerate(features_of(sound), start=1):
        outputs, state = semantic.run({"features": features[None, :, None]}, state)
        logits = outputs["logits"][0]
        said.append(logits)
        if number >= 10:
            end = number // 10 * 10 - 1
            ears = [np.frombuffer(ear, np.float32)[None] for ear in until(sound, end)]
            named = mean_odds([named_encoders.name_sounds(ear) for ear in ears])
            assert named.logits[LOW_CLASS] > 1.0, "there is something to add"
            logits = joined(named, logits, said[end - 1])
        np.testing.assert_array_equal(heard[number - 1], sigmoid(logits))


def test_where_no_sound_is_added_both_encoders_are_alone(named_encoders: Encoders, encoders: Encoders) -> None:
    without = probabilities(encoders.open_stream(), bursts())
    np.testing.assert_array_equal(probabilities(named_encoders.open_stream(), bursts(), added=False), without)
    np.testing.assert_array_equal(probabilities(encoders.open_stream(), bursts()), without)
    assert (probabilities(named_encoders.open_stream(), bursts()) != without).any()


def test_a_stream_that_is_reset_or_recalls_forgets_what_was_named(named_encoders: Encoders) -> None:
    used, fresh = named_encoders.open_stream(), named_encoders.open_stream()
    first = probabilities(used, noise(1.0, seed=4))
    memory = used.memory()
    after = probabilities(used, noise(1.0, seed=5))
    used.recall(memory)
    np.testing.assert_array_equal(probabilities(used, noise(1.0, seed=5)), after)
    used.reset()
    np.testing.assert_array_equal(probabilities(used, noise(1.0, seed=4)), first)
    np.testing.assert_array_equal(probabilities(fresh, noise(1.0, seed=4)), first)


def test_streams_have_each_their_own_second(named_encoders: Encoders) -> None:
    first, second = named_encoders.open_stream(), named_encoders.open_stream()
    alone = probabilities(named_encoders.open_stream(), bursts())
    mixed = []
    for frame, features in zip(frames_of(bursts()), features_of(bursts()), strict=True):
        first.add(frame)
        second.add(np.zeros_like(frame))
        mixed.append(first.step(features).class_probability)
    np.testing.assert_array_equal(np.stack(mixed), alone)


def listen(encoders: Encoders, samples: Samples, stride: int = 1, length: int = 1000) -> Hearing:
    hearing = Hearing(encoders)
    hearing.stride = stride
    for start in range(0, samples.shape[1], length):
        hearing.process(AudioChunk(samples[:, start : start + length], start))
    return hearing


@pytest.mark.parametrize(
    ("stride", "frames"), [(1, (9, 19, 29, 39, 49)), (2, (10, 20, 30, 40, 50)), (3, (9, 21, 30, 39, 51))]
)
def test_the_listener_gives_it_all_sound_also_of_frames_that_are_left_out(
    spied: SpiedEncoders, stride: int, frames: tuple[int, ...]
) -> None:
    sound = noise(2.2, 0.2, 0.05)
    listen(spied, sound, stride)
    assert bytes_of(spied.heard) == [ear for number in frames for ear in until(sound, number)]


def test_after_a_rest_it_hears_the_pre_roll_and_nothing_from_before(spied: SpiedEncoders) -> None:
    quiet, burst = noise(6.0, 1e-4, 1e-4), noise(0.8, 0.2, 0.05, seed=1)
    hearing = listen(spied, np.concatenate([noise(0.4, 0.2, 0.2), quiet], axis=1))
    assert hearing.resting
    before, start = len(spied.heard), hearing.window().end_s * 16_000
    sound = np.concatenate([quiet[:, -9 * FRAME_SAMPLES :], burst], axis=1)
    hearing.process(AudioChunk(burst, round(start)))
    assert bytes_of(spied.heard[before:]) == until(sound, 9) + until(sound, 19) + until(sound, 29)[:1]


def test_forgotten_sound_is_not_named_any_more(named_encoders: Encoders, encoders: Encoders) -> None:
    named, without = named_encoders.open_stream(), encoders.open_stream()
    sound = noise(0.4, 0.2, 0.05)
    assert (probabilities(named, sound) != probabilities(without, sound)).any()
    named.forget_sound()
    short = sound[:, : 9 * FRAME_SAMPLES]
    np.testing.assert_array_equal(probabilities(named, short), probabilities(without, short))


def test_silence_in_place_of_long_lost_sound_is_forgotten_here_too(spied: SpiedEncoders) -> None:
    hearing, sound = Hearing(spied), noise(2.4, 0.2, 0.05)
    lost = slice(20 * FRAME_SAMPLES, 45 * FRAME_SAMPLES)
    hearing.process(AudioChunk(sound[:, : lost.start], 0))
    hearing.process(AudioChunk(sound[:, lost.stop :], lost.stop))
    rest = np.concatenate([sound[:, : lost.start], sound[:, lost.stop :]], axis=1)
    assert bytes_of(spied.heard[-2:]) == until(rest, 29)


def test_exchanged_ears_have_the_same_names(spied: SpiedEncoders) -> None:
    sound = bursts()
    plain, spied.heard = listen(spied, sound).window(), []
    swapped = listen(spied, sound[::-1].copy()).window()
    assert bytes_of(spied.heard[:2]) == until(sound, 9)[::-1]
    for one, other in zip(plain.frames, swapped.frames, strict=True):
        np.testing.assert_allclose(one.class_probability, other.class_probability, atol=1e-5)


def test_a_bundle_needs_no_names(encoders: Encoders, named_encoders: Encoders) -> None:
    assert not encoders.has("names")
    assert named_encoders.has("names")


def with_state() -> onnx.ModelProto:
    model = names_graph()
    for values, name in ((model.graph.input, "state.x"), (model.graph.output, "next.x")):
        values.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]))
    model.graph.node.append(onnx.helper.make_node("Identity", ["state.x"], ["next.x"]))
    return model


def renamed(old: str, new: str) -> onnx.ModelProto:
    model = names_graph()
    model.graph.node.append(onnx.helper.make_node("Identity", [old], [new]))
    next(value for value in model.graph.output if value.name == old).name = new
    return model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (names_graph(samples=16_000), r"samples is tensor\(float\) \[1, 16000\], tensor\(float\) \[1, 15600\] needed"),
        (renamed("trust", "doubt"), r"outputs \['doubt', 'logits'\] found, \['logits', 'trust'\] needed"),
        (with_state(), r"inputs \['state.x'\] found, no state needed"),
    ],
)
def test_another_interface_is_refused_in_one_line(tmp_path: Path, model: onnx.ModelProto, said: str) -> None:
    write_tiny_networks(tmp_path)
    onnx.save(model, tmp_path / "names.onnx")
    with pytest.raises(BundleError, match=rf"names\.onnx: {said}") as caught:
        Encoders().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_graph_of_another_network_is_refused(tmp_path: Path) -> None:
    write_tiny_networks(tmp_path)
    (tmp_path / "names.onnx").write_bytes((tmp_path / "projector.onnx").read_bytes())
    with pytest.raises(BundleError, match=r"names\.onnx: inputs .* \['samples'\] needed"):
        Encoders().load(tmp_path)


def test_more_threads_change_nothing_and_the_stream_goes_on(named_bundle: Path) -> None:
    encoders = Encoders()
    encoders.load(named_bundle)
    stream, expected = encoders.open_stream(), probabilities(encoders.open_stream(), bursts())
    half = bursts().shape[1] // 2 // FRAME_SAMPLES
    heard = []
    for number, (frame, features) in enumerate(zip(frames_of(bursts()), features_of(bursts()), strict=True)):
        if number == half:
            encoders.use_threads(2)
        stream.add(frame)
        heard.append(stream.step(features).class_probability)
    np.testing.assert_allclose(np.stack(heard), expected, atol=1e-6)


def test_its_time_is_a_stage_of_its_own_where_there_is_one(encoders: Encoders, named_encoders: Encoders) -> None:
    with_names, without = Stopwatch(), Stopwatch()
    time_stages(named_encoders, noise(1.0), with_names)
    time_stages(encoders, noise(1.0), without)
    assert len(with_names.times_s["names"]) == 4
    assert without.times_s.keys() == with_names.times_s.keys() - {"names"}
