"""Looks into a GGUF file before llama.cpp does: are all counts, lengths and offsets possible?

llama.cpp has had parser bugs that a crafted header reaches. Here the whole header is walked with limits, and
every tensor must lie within the file; only then may native code open it. Tensor contents are not looked at.

Layout: GGUF specification, versions 2 and 3 (little endian), `docs/gguf.md` of ggml.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

MAX_TENSORS = 16_384
MAX_KEYS = 4_096
MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 1 << 20
MAX_ARRAY_ITEMS = 4_000_000
"""Vocabularies and their merges have up to some hundred thousand entries."""
MAX_TENSOR_NAME_BYTES = 63
"""GGML_MAX_NAME less the closing zero."""
MAX_DIMS = 4
MAX_ELEMENTS = 1 << 40
LEAST_ALIGNMENT = 32
"""TENSOR_ALIGNMENT of ggml: tensors that are mapped at other places end the process."""

_SCALARS: dict[int, str] = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9

#: ggml type -> (elements per block, bytes per block)
TENSOR_TYPES: dict[int, tuple[int, int]] = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    16: (256, 66),  # IQ2_XXS
    17: (256, 74),  # IQ2_XS
    18: (256, 98),  # IQ3_XXS
    19: (256, 50),  # IQ1_S
    20: (32, 18),  # IQ4_NL
    21: (256, 110),  # IQ3_S
    22: (256, 82),  # IQ2_S
    23: (256, 136),  # IQ4_XS
    29: (256, 56),  # IQ1_M
    30: (1, 2),  # BF16
}

Scalar = int | float | bool | str


class GgufRefused(ValueError):
    """The header is damaged or impossible; the message says what, without the file name."""


@dataclass(frozen=True)
class GgufSummary:
    """What a header says.

    Attributes
    ----------
    keys : dict
        Single values (arrays are left out), for example `llama.embedding_length`.
    tensors : int
        Number of tensors.
    """

    keys: dict[str, Scalar]
    tensors: int

    @property
    def architecture(self) -> str:
        """Family of the model, for example `llama`."""
        return str(self.keys.get("general.architecture", ""))


def check_gguf(path: Path) -> GgufSummary:
    """Walk the header of a GGUF file.

    Raises
    ------
    GgufRefused
        With what is wrong, in a few words.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise GgufRefused("empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return check_gguf_bytes(data)


def check_gguf_bytes(data: mmap.mmap | bytes) -> GgufSummary:
    """Like `check_gguf`, for content in memory."""
    reader = _Reader(data)
    tensor_count, key_count = _preamble(reader)
    keys = _keys(reader, key_count)
    alignment = keys.get("general.alignment", LEAST_ALIGNMENT)
    if not isinstance(alignment, int) or not LEAST_ALIGNMENT <= alignment <= 65536 or alignment & (alignment - 1):
        raise GgufRefused(f"alignment {alignment!r} is not a power of two from {LEAST_ALIGNMENT} to 65536")
    if keys.get("split.count", 0) not in (0, 1):
        raise GgufRefused("is one part of a split model, which would open further files")
    spans = _tensor_spans(reader, tensor_count, alignment)
    data_start = -(-reader.at // alignment) * alignment
    _check_spans(spans, len(data) - data_start)
    return GgufSummary(keys, tensor_count)


class _Reader:
    """Reads numbers and strings in order; every step stays within the file."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> int:
        """Move over `count` bytes; returns where they start."""
        start = self.at
        if count > len(self._data) - start:
            raise GgufRefused("truncated, the header reaches beyond the file")
        self.at = start + count
        return start

    def number(self, layout: str) -> int | float | bool:
        """Read one number of a struct layout."""
        value: int | float | bool = struct.unpack_from(layout, self._data, self.take(struct.calcsize(layout)))[0]
        return value

    def integer(self, layout: str, what: str, most: int) -> int:
        """Read one unsigned number that must not exceed a limit."""
        value = int(self.number(layout))
        if value > most:
            raise GgufRefused(f"{what} {value}, more than the {most} that are possible")
        return value

    def text(self, what: str, most: int) -> str:
        """Read a string with its 64-bit length before it."""
        length = self.integer("<Q", f"length of {what}", most)
        start = self.take(length)
        try:
            return self._data[start : start + length].decode("utf-8")
        except UnicodeDecodeError as error:
            raise GgufRefused(f"{what} is not UTF-8 text") from error

    def skip_text(self, what: str, most: int) -> None:
        """Move over a string (vocabularies may hold pieces that are no text)."""
        self.take(self.integer("<Q", f"length of {what}", most))


def _preamble(reader: _Reader) -> tuple[int, int]:
    if int(reader.number("<I")) != 0x46554747:  # "GGUF"
        raise GgufRefused("does not begin with 'GGUF'")
    version = int(reader.number("<I"))
    if version not in (2, 3):
        raise GgufRefused(f"GGUF version {version}; 2 and 3 (little endian) work")
    tensors = reader.integer("<Q", "tensor count", MAX_TENSORS)
    if tensors == 0:
        raise GgufRefused("holds no tensors")
    return tensors, reader.integer("<Q", "key count", MAX_KEYS)


def _keys(reader: _Reader, count: int) -> dict[str, Scalar]:
    keys: dict[str, Scalar] = {}
    seen: set[str] = set()
    for _ in range(count):
        name = reader.text("a key", MAX_KEY_BYTES)
        if name in seen:
            raise GgufRefused(f"key {name[:80]!r} twice")
        seen.add(name)
        kind = int(reader.number("<I"))
        if kind == _ARRAY:
            _skip_array(reader, name)
        elif kind == _STRING:
            keys[name] = reader.text(f"the value of {name[:80]!r}", MAX_STRING_BYTES)
        elif kind in _SCALARS:
            keys[name] = reader.number(_SCALARS[kind])
        else:
            raise GgufRefused(f"key {name[:80]!r} has the unknown type {kind}")
    return keys


def _skip_array(reader: _Reader, name: str) -> None:
    kind = int(reader.number("<I"))
    count = reader.integer("<Q", f"items of {name[:80]!r}:", MAX_ARRAY_ITEMS)
    if kind == _STRING:
        for _ in range(count):
            reader.skip_text(f"an item of {name[:80]!r}", MAX_STRING_BYTES)
    elif kind in _SCALARS:
        reader.take(count * struct.calcsize(_SCALARS[kind]))
    else:
        raise GgufRefused(f"key {name[:80]!r} is an array of the unusable type {kind}")


def _tensor_spans(reader: _Reader, count: int, alignment: int) -> list[tuple[int, int, str]]:
    """Read the tensor table; returns (offset, bytes, name) of each."""
    spans = []
    names: set[str] = set()
    for _ in range(count):
        name = reader.text("a tensor name", MAX_TENSOR_NAME_BYTES)
        if name in names:
            raise GgufRefused(f"tensor {name!r} twice")
        names.add(name)
        dims = [int(reader.number("<Q")) for _ in range(reader.integer("<I", f"dimensions of {name!r}:", MAX_DIMS))]
        size = _tensor_bytes(name, dims, int(reader.number("<I")))
        offset = int(reader.number("<Q"))
        if offset % alignment:
            raise GgufRefused(f"tensor {name!r} is not aligned to {alignment} bytes")
        spans.append((offset, size, name))
    return spans


def _tensor_bytes(name: str, dims: list[int], kind: int) -> int:
    elements = math.prod(dims)
    if not dims or elements == 0 or elements > MAX_ELEMENTS:
        raise GgufRefused(f"tensor {name!r} has the impossible shape {dims}")
    if kind not in TENSOR_TYPES:
        raise GgufRefused(f"tensor {name!r} has the unsupported type {kind}")
    block, size = TENSOR_TYPES[kind]
    if dims[0] % block:
        raise GgufRefused(f"tensor {name!r}: rows of {dims[0]} do not fill blocks of {block}")
    return elements // block * size


def _check_spans(spans: list[tuple[int, int, str]], available: int) -> None:
    reached = 0
    for offset, size, name in sorted(spans):
        if offset + size > available:
            raise GgufRefused(f"truncated, tensor {name!r} reaches beyond the file")
        if offset < reached:
            raise GgufRefused(f"tensor {name!r} overlaps another one")
        reached = offset + size
