"""Looks into an ONNX file before ONNX Runtime does, with a protobuf walk of its own.

A graph may name other files to read its weights from (`external_data`) and operators of libraries that are
not part of ONNX Runtime. Neither has a place in a bundle. Only the structure is walked; tensor contents are
skipped, so the cost is small and no memory is taken.

Field numbers: `onnx.proto3` of ONNX 1.18 (IR version 12). Wire format: protobuf encoding specification.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ALLOWED_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Operator sets built into ONNX Runtime."""
FORBIDDEN_OPERATORS = frozenset({"EPContext", "PythonOp", "PythonOpGrad"})
"""Built in, but they read other files or call other code."""
MAX_DEPTH = 24
"""Nesting of messages; a graph in a graph takes three."""
MAX_FIELDS = 4_000_000
"""Fields looked at in one file; large encoders stay below a hundred thousand."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1  # TensorProto.DataLocation
_OUTERMOST = 1
"""Depth in the graph of the model; deeper are graphs in attributes."""
_TENSOR_TYPE, _SHAPE, _DIM, _DIM_VALUE = 1, 2, 1, 1
"""Field numbers from TypeProto down to a size."""
_LOW_BITS = 2**32 - 1
"""All that protobuf keeps of a tag and of an enumeration."""


class OnnxRefused(ValueError):
    """The file is damaged or asks for what a bundle must not; the message says what, but not which file."""


@dataclass(frozen=True)
class _Field:
    number: int
    wire: int
    value: int  # of a varint
    start: int  # of the content of a bytes field
    end: int


Shape = tuple[int | None, ...]
"""None where a size is free."""


@dataclass(frozen=True)
class OnnxSummary:
    """What a graph takes and gives.

    Attributes
    ----------
    inputs, outputs : dict
        Shape by name; constants that older files list among the inputs are left out.
    """

    inputs: dict[str, Shape]
    outputs: dict[str, Shape]


@dataclass
class _Walk:
    data: mmap.mmap | bytes
    fields_left: int = MAX_FIELDS
    nodes: int = 0
    depth: int = 0
    inputs: dict[str, Shape] = field(default_factory=dict)
    outputs: dict[str, Shape] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)

    def fields(self, start: int, end: int) -> Iterator[_Field]:
        """Give the fields of the message between two offsets.

        Raises
        ------
        OnnxRefused
            When the bytes are no protobuf message or hold absurdly many fields.
        """
        at = start
        while at < end:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise OnnxRefused(f"more than {MAX_FIELDS} protobuf fields")
            tag, at = self._varint(at, end)
            if tag > _LOW_BITS:  # ONNX Runtime would take it for another field
                raise OnnxRefused("damaged protobuf: a tag of more than 32 bits")
            number, wire, value, content = tag >> 3, tag & 7, 0, at
            if number == 0:
                raise OnnxRefused("damaged protobuf: field number 0")
            if wire == _VARINT:
                value, at = self._varint(at, end)
            elif wire == _BYTES:
                length, content = self._varint(at, end)
                at = content + length
            elif wire in (_FIXED32, _FIXED64):
                at += 4 if wire == _FIXED32 else 8
            else:
                raise OnnxRefused(f"damaged protobuf: wire type {wire}")
            if at > end:
                raise OnnxRefused("damaged protobuf: a field reaches beyond its message")
            yield _Field(number, wire, value, content, at)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise OnnxRefused("damaged protobuf: ends within a number")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & (2**64 - 1), at
        raise OnnxRefused("damaged protobuf: a number of more than 10 bytes")

    def text(self, part: _Field) -> str:
        """Content of a string field that is a name."""
        if part.end - part.start > 1000:
            raise OnnxRefused("a name of more than 1000 bytes")
        try:
            return self.data[part.start : part.end].decode("utf-8")
        except UnicodeDecodeError as error:  # ONNX Runtime would complain on standard output
            raise OnnxRefused("a name that is not UTF-8") from error

    def message(self, visit: Callable[[_Walk, _Field], None], part: _Field) -> None:
        """Visit every field of the message in a bytes field; other wire types are unknown to protobuf."""
        if part.wire != _BYTES:
            return
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise OnnxRefused(f"messages nested more than {MAX_DEPTH} deep")
        for inner in self.fields(part.start, part.end):
            visit(self, inner)
        self.depth -= 1


def check_onnx(path: Path) -> OnnxSummary:
    """Require a self-contained ONNX graph of operators that ONNX Runtime has built in.

    Raises
    ------
    OnnxRefused
        With what is wrong, in a few words.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise OnnxRefused("empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return check_onnx_bytes(data)


def check_onnx_bytes(data: mmap.mmap | bytes) -> OnnxSummary:
    """Like `check_onnx`, for content in memory."""
    walk = _Walk(data)
    for part in walk.fields(0, len(data)):
        _model(walk, part)
    if walk.nodes == 0:
        raise OnnxRefused("holds no ONNX graph")
    inputs = {name: shape for name, shape in walk.inputs.items() if name not in walk.constants}
    return OnnxSummary(inputs, walk.outputs)


def _model(walk: _Walk, part: _Field) -> None:
    if part.number == 7:
        walk.message(_graph, part)
    elif part.number == 8:
        walk.message(_opset, part)
    elif part.number == 20:
        raise OnnxRefused("holds training information")
    elif part.number == 25:
        walk.message(_function, part)


def _graph(walk: _Walk, part: _Field) -> None:
    if part.number == 1:
        walk.nodes += 1
        walk.message(_node, part)
    elif part.number == 2:
        _name(walk, part)
    elif part.number == 5:
        walk.message(_constant if walk.depth == _OUTERMOST else _tensor, part)
    elif part.number in (11, 12, 13):
        walk.message(_value, part)
        if walk.depth == _OUTERMOST and part.number != 13:
            _remember(walk, part, walk.inputs if part.number == 11 else walk.outputs)
    elif part.number == 15:
        walk.message(_sparse_tensor, part)


def _value(walk: _Walk, part: _Field) -> None:
    if part.number == 1:
        _name(walk, part)


def _remember(walk: _Walk, part: _Field, values: dict[str, Shape]) -> None:
    """Name and shape of an input or output of the graph (its message has been looked into before)."""
    if part.wire != _BYTES:
        return
    name, dims = "", []
    for inner in walk.fields(part.start, part.end):
        if inner.number == 1 and inner.wire == _BYTES:
            name = walk.text(inner)
        elif inner.number == 2:
            dims = [_size(walk, dim) for dim in _inside(walk, inner, _TENSOR_TYPE, _SHAPE, _DIM)]
    values[name] = tuple(dims)


def _inside(walk: _Walk, part: _Field, *path: int) -> Iterator[_Field]:
    """Fields that are reached from a message by field numbers."""
    if not path:
        yield part
    elif part.wire == _BYTES:
        for inner in walk.fields(part.start, part.end):
            if inner.number == path[0]:
                yield from _inside(walk, inner, *path[1:])


def _size(walk: _Walk, dim: _Field) -> int | None:
    """A fixed size; None for one that has a name or is not told."""
    return next((size.value for size in _inside(walk, dim, _DIM_VALUE) if size.wire == _VARINT), None)


def _name(walk: _Walk, part: _Field) -> None:
    if part.wire == _BYTES:
        walk.text(part)


def _function(walk: _Walk, part: _Field) -> None:
    visitors = {7: _node, 9: _opset, 11: _attribute}
    if part.number == 10:
        _check_domain(walk.text(part))
    elif part.number in visitors:
        walk.message(visitors[part.number], part)


def _opset(walk: _Walk, part: _Field) -> None:
    if part.number == 1 and part.wire == _BYTES:
        _check_domain(walk.text(part))


def _node(walk: _Walk, part: _Field) -> None:
    if part.wire != _BYTES:
        return
    if part.number in (1, 2, 3):
        _name(walk, part)
    elif part.number == 7:
        _check_domain(walk.text(part))
    elif part.number == 4 and walk.text(part) in FORBIDDEN_OPERATORS:
        raise OnnxRefused(f"operator {walk.text(part)} reaches outside the file")
    elif part.number == 5:
        walk.message(_attribute, part)


def _attribute(walk: _Walk, part: _Field) -> None:
    visitors = {5: _tensor, 6: _graph, 10: _tensor, 11: _graph, 22: _sparse_tensor, 23: _sparse_tensor}
    if part.number in visitors:
        walk.message(visitors[part.number], part)


def _sparse_tensor(walk: _Walk, part: _Field) -> None:
    if part.number in (1, 2):
        walk.message(_tensor, part)


def _constant(walk: _Walk, part: _Field) -> None:
    _tensor(walk, part)
    if part.number == 8 and part.wire == _BYTES:
        walk.constants.add(walk.text(part))


def _tensor(walk: _Walk, part: _Field) -> None:
    if part.number == 8:
        _name(walk, part)
    if part.number == 13 or (part.number == 14 and part.value & _LOW_BITS == _EXTERNAL):
        raise OnnxRefused("keeps tensors in another file (external data)")


def _check_domain(domain: str) -> None:
    if domain not in ALLOWED_DOMAINS:
        raise OnnxRefused(f"operators of the foreign domain {domain[:80]!r}")
