"""The names network: YAMNet's features and trunk, read from its published variables, and a head that no gain changes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from earshot.runtime.errors import InputError
from earshot.training.models.names import SAMPLES, LogMel, Names, YamnetTrunk, load_names, mel_weights, save_names
from earshot.training.models.yamnet_weights import load_trunk, read_variables

WIDTHS = [layer.convolution for layer in YamnetTrunk().layers]


def sound(seed: int = 0, gain: float = 0.1) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0.1, 1.0, 26), 600)
    return torch.from_numpy((gain * envelope * rng.normal(size=SAMPLES)).astype(np.float32))[None]


def test_log_mel_patches_are_those_of_a_fourier_transform() -> None:
    samples = sound()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.lib.stride_tricks.sliding_window_view(samples[0].numpy(), 400)[::160] * window
    expected = np.log(np.abs(np.fft.rfft(frames, 512)) @ mel_weights() + 0.001)
    assert expected.shape == (96, 64)
    np.testing.assert_allclose(LogMel()(samples)[0].numpy(), expected, atol=2e-3)


def test_mel_filters_cover_125_to_7500_hertz() -> None:
    weights = mel_weights()
    reached = np.flatnonzero(weights.any(axis=1)) * 16_000 / 512
    assert 125 <= reached.min() < 190
    assert 7300 < reached.max() <= 7500
    assert weights.max() <= 1.0


def test_a_map_has_three_times_and_two_frequencies() -> None:
    assert YamnetTrunk()(torch.zeros(2, 96, 64)).shape == (2, 1024, 3, 2)


def test_gain_changes_nothing_and_silence_is_no_sound() -> None:
    torch.manual_seed(0)
    model = Names().eval()
    with torch.no_grad():
        soft, loud = (model(sound(gain=gain))[0] for gain in (0.01, 0.5))
        np.testing.assert_allclose(soft, loud, atol=1e-3)
        assert torch.isfinite(model(torch.zeros(1, SAMPLES))[0]).all()


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Names().eval()
    model.trust.fill_(0.75)
    save_names(model, tmp_path)
    loaded = load_names(tmp_path)
    with torch.no_grad():
        for first, second in zip(model(sound()), loaded(sound()), strict=True):
            assert torch.equal(first, second)


def variables(seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under the names and in the layout of YAMNet's SavedModel."""
    rng = np.random.default_rng(seed)
    out = {}
    for number, convolution in enumerate(WIDTHS):
        outputs, inputs, high, wide = convolution.weight.shape
        depthwise = convolution.groups > 1
        shape = (high, wide, outputs, 1) if depthwise else (high, wide, inputs, outputs)
        out[f"{2 * number}/{'depthwise_kernel' if depthwise else 'kernel'}"] = rng.normal(0, 0.1, shape)
        for part, low in (("moving_mean", -1.0), ("moving_variance", 0.1), ("beta", -1.0)):
            out[f"{2 * number + 1}/{part}"] = rng.uniform(low, 1.0, outputs)
    named = {f"layer_with_weights-{name}/.ATTRIBUTES/VARIABLE_VALUE": value for name, value in out.items()}
    return {name: value.astype("<f4") for name, value in named.items()}


def write_variables(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    """A LevelDB table with one block, as TensorFlow writes one beside the raw numbers."""
    data, entries = b"", [(b"", b"")]
    for name in sorted(tensors):
        raw = tensors[name].tobytes()
        dims = b"".join(field(2, field(1, size)) for size in tensors[name].shape)
        entry = field(1, 1) + field(2, dims) + field(4, len(data)) + field(5, len(raw))
        entries.append((name.encode(), entry))
        data += raw
    block = table_block(entries)
    pointer = varint(0) + varint(len(block) - 5)
    index = block + (last := table_block([(b"~", pointer)]))
    footer = varint(0) + varint(0) + varint(len(block)) + varint(len(last) - 5)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "variables.index").write_bytes(index + footer.ljust(40, b"\0") + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb")
    (folder / "variables.data-00000-of-00001").write_bytes(data)
    return folder


def table_block(entries: list[tuple[bytes, bytes]]) -> bytes:
    out, before = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(before, key, strict=False)) if a != b), min(len(before), len(key))
        )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\0" + b"crc!"


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def test_published_variables_fill_the_trunk(tmp_path: Path) -> None:
    tensors = variables()
    trunk = load_trunk(write_variables(tmp_path, tensors))
    layer, prefix = trunk.layers[0], "layer_with_weights-"
    kernel, mean, variance, beta = (
        tensors[f"{prefix}{name}/.ATTRIBUTES/VARIABLE_VALUE"]
        for name in ("0/kernel", "1/moving_mean", "1/moving_variance", "1/beta")
    )
    patch = np.random.default_rng(1).normal(size=(96, 64)).astype(np.float32)
    padded = np.pad(patch, ((0, 1), (0, 1)))  # as TensorFlow pads an even size at stride 2
    row, column = 7, 5
    cell = (padded[2 * row : 2 * row + 3, 2 * column : 2 * column + 3, None] * kernel[:, :, 0]).sum(axis=(0, 1))
    expected = np.maximum(0.0, (cell - mean) / np.sqrt(variance + 1e-4) + beta)
    with torch.no_grad():
        heard = layer(torch.from_numpy(patch)[None, None])[0, :, row, column]
    np.testing.assert_allclose(heard, expected, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in trunk.parameters())


def test_a_wheel_is_read_as_well_and_a_wrong_file_refused(tmp_path: Path) -> None:
    folder = write_variables(tmp_path / "v", variables(3))
    with zipfile.ZipFile(tmp_path / "some.whl", "w") as wheel:
        for file in folder.iterdir():
            wheel.write(file, f"package/yamnet_base/variables/{file.name}")
    one, other = load_trunk(folder), load_trunk(tmp_path / "some.whl")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with pytest.raises(InputError, match=r"no variables of YAMNet"):
        load_trunk(tmp_path)
    few = {name: value for name, value in variables().items() if "-5/" not in name}
    with pytest.raises(InputError, match=r"not the variables of YAMNet"):
        load_trunk(write_variables(tmp_path / "few", few))


def test_tensors_keep_shape_and_numbers(tmp_path: Path) -> None:
    tensors = variables(2)
    folder = write_variables(tmp_path, tensors)
    read = read_variables(
        *((folder / name).read_bytes() for name in ("variables.index", "variables.data-00000-of-00001"))
    )
    assert read.keys() == tensors.keys()
    for name, value in tensors.items():
        np.testing.assert_array_equal(read[name], value)
