"""The GGUF walk accepts what the gguf package writes and refuses impossible counts, lengths and offsets."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.bundle.gguf_check import TENSOR_TYPES, GgufRefused, check_gguf, check_gguf_bytes
from tests.runtime.bundle.making import write_tiny_gguf


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "t.gguf"
    write_tiny_gguf(path)
    return path.read_bytes()


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def header(keys: list[bytes], tensors: list[bytes], *, version: int = 3, payload: int = 256) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(payload)


def key(name: str | bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: str = "w", dims: tuple[int, ...] = (8,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def refused(data: bytes, word: str) -> None:
    with pytest.raises(GgufRefused, match=word) as caught:
        check_gguf_bytes(data)
    assert "\n" not in str(caught.value)


def test_what_the_gguf_package_writes_is_accepted(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "t.gguf")
    summary = check_gguf(tmp_path / "t.gguf")
    assert summary.architecture == "llama"
    assert summary.tensors == 2
    assert summary.keys["llama.embedding_length"] == 64
    assert summary.keys["tokenizer.ggml.add_bos_token"] is False


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16", "BF16"])
def test_quantized_tensors_are_accepted(tmp_path: Path, kind: str) -> None:
    writer = gguf.GGUFWriter(tmp_path / "q.gguf", "llama")
    type_ = gguf.GGMLQuantizationType[kind]
    writer.add_tensor("w", gguf.quants.quantize(np.ones((4, 256), np.float32), type_), raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert check_gguf(tmp_path / "q.gguf").tensors == 1


def test_block_sizes_are_those_of_ggml() -> None:
    for number, sizes in TENSOR_TYPES.items():
        assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(number)] == sizes


@settings(max_examples=100, deadline=None)
@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused(tiny: bytes, keep: float) -> None:
    with pytest.raises(GgufRefused):
        check_gguf_bytes(tiny[: int(keep * len(tiny))])


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 500), value=st.integers(0, 255))
def test_a_changed_header_byte_is_refused_or_harmless_never_a_crash(tiny: bytes, place: int, value: int) -> None:
    data = bytearray(tiny)
    data[place] = value
    try:
        check_gguf_bytes(bytes(data))
    except GgufRefused as error:
        assert "\n" not in str(error)


def test_magic_and_version_must_be_known(tiny: bytes) -> None:
    refused(b"GGML" + tiny[4:], "GGUF")
    for version in (0, 1, 4, 0x03000000):
        refused(tiny[:4] + struct.pack("<I", version) + tiny[8:], "version")
    check_gguf_bytes(header([], [tensor()], version=2))


@pytest.mark.parametrize("count", [2**63, 2**64 - 1, 10**6])
def test_absurd_counts_are_refused_at_once(tiny: bytes, count: int) -> None:
    refused(tiny[:8] + struct.pack("<Q", count) + tiny[16:], "tensor count")
    refused(tiny[:16] + struct.pack("<Q", count) + tiny[24:], "key count")
    refused(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", count), "length of a key")
    absurd_string = text("k") + struct.pack("<IQ", 8, count | 1 << 40)
    refused(header([absurd_string], [tensor()]), "length of the value")


@pytest.mark.parametrize("count", [2**62, 2**64 - 1, 4_000_001])
def test_absurd_arrays_are_refused_at_once(count: int) -> None:
    for kind in (0, 8, 12):
        refused(header([key("a", 9, struct.pack("<IQ", kind, count))], [tensor()]), "items")


def test_arrays_that_reach_beyond_the_file_or_nest_are_refused() -> None:
    refused(header([key("a", 9, struct.pack("<IQ", 12, 100_000))], [tensor()]), "truncated")
    refused(header([key("a", 9, struct.pack("<IQ", 9, 1))], [tensor()]), "type 9")
    refused(header([key("a", 13, b"")], [tensor()]), "type 13")


def test_keys_must_be_text_and_unique() -> None:
    refused(header([key(b"\xff\xfe", 0, b"\1")], [tensor()]), "UTF-8")
    refused(header([key("a", 0, b"\1"), key("a", 0, b"\1")], [tensor()]), "twice")


@pytest.mark.parametrize("alignment", [0, 1, 3, 16, 1 << 20])
def test_an_alignment_must_be_a_power_of_two_that_llama_cpp_can_map(alignment: int) -> None:
    """Below 32 llama.cpp ends the whole process when it maps the tensors."""
    refused(header([key("general.alignment", 4, struct.pack("<I", alignment))], [tensor()]), "alignment")


def test_one_part_of_a_split_model_is_refused() -> None:
    refused(header([key("split.count", 2, struct.pack("<H", 3))], [tensor()]), "split")


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (tensor(dims=()), "shape"),
        (tensor(dims=(8, 0)), "shape"),
        (tensor(dims=(2**32, 2**32, 2**32)), "shape"),
        (tensor(dims=(2**63, 2)), "shape"),
        (tensor(dims=(1, 1, 1, 1, 1)), "dimensions"),
        (tensor(kind=999), "type 999"),
        (tensor(kind=4), "type 4"),
        (tensor(dims=(33,), kind=8), "blocks"),
        (tensor(offset=16), "aligned"),
        (tensor(offset=2**63), "beyond the file"),
        (tensor(dims=(1000,)), "beyond the file"),
        (tensor(name="n" * 64), "length of a tensor name"),
    ],
)
def test_impossible_tensors_are_refused(bad: bytes, word: str) -> None:
    refused(header([], [bad]), word)


def test_tensors_may_not_share_a_name_or_bytes() -> None:
    refused(header([], [tensor("a"), tensor("a", offset=32)]), "twice")
    refused(header([], [tensor("a"), tensor("b", offset=0)]), "overlaps")
    check_gguf_bytes(header([], [tensor("a"), tensor("b", offset=32)]))


def test_a_file_without_tensors_or_bytes_is_refused(tmp_path: Path) -> None:
    refused(header([], []), "no tensors")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(GgufRefused, match="empty"):
        check_gguf(tmp_path / "empty")
