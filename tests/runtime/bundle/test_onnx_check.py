"""The ONNX walk accepts what ONNX Runtime can run by itself and refuses what reaches outside the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from earshot.runtime.bundle.onnx_check import OnnxRefused, OnnxSummary, check_onnx, check_onnx_bytes
from tests.runtime.bundle.making import tiny_onnx


def external_tensor(name: str = "w") -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def nested(inner: onnx.GraphProto) -> onnx.ModelProto:
    """A model whose only node holds `inner` as the branch of an If."""
    model = tiny_onnx()
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))
    return model


def refused(model: onnx.ModelProto, word: str) -> None:
    with pytest.raises(OnnxRefused, match=word):
        check_onnx_bytes(model.SerializeToString())


def test_a_plain_graph_is_accepted(tmp_path: Path) -> None:
    onnx.save(tiny_onnx(), tmp_path / "m.onnx")
    check_onnx(tmp_path / "m.onnx")


def test_it_tells_what_the_graph_takes_and_gives_but_not_its_constants() -> None:
    """Files of older tools list constants among the inputs."""
    model = tiny_onnx()
    model.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, [4]))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    assert check_onnx_bytes(model.SerializeToString()) == OnnxSummary({"x": (1, 4)}, {"y": (None, 4)})


def test_operators_built_into_onnx_runtime_are_accepted() -> None:
    model = tiny_onnx()
    model.graph.node.append(helper.make_node("DynamicQuantizeMatMul", ["x"], ["z"], domain="com.microsoft"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    check_onnx_bytes(model.SerializeToString())


def test_weights_saved_in_another_file_are_refused(tmp_path: Path) -> None:
    onnx.save(tiny_onnx(), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    with pytest.raises(OnnxRefused, match="external data"):
        check_onnx(tmp_path / "m.onnx")


def test_external_data_is_found_wherever_a_tensor_can_be() -> None:
    plain = numpy_helper.from_array(np.zeros(4, np.int64), "i")
    in_attribute = tiny_onnx()
    in_attribute.graph.node.append(helper.make_node("Constant", [], ["k"], value=external_tensor()))
    refused(in_attribute, "external data")
    in_list = tiny_onnx()
    in_list.graph.node[0].attribute.append(onnx.AttributeProto(name="t", type=9, tensors=[external_tensor()]))
    refused(in_list, "external data")
    in_sparse = tiny_onnx()
    in_sparse.graph.sparse_initializer.append(onnx.SparseTensorProto(values=external_tensor(), indices=plain, dims=[9]))
    refused(in_sparse, "external data")
    in_sparse_attribute = tiny_onnx()
    sparse = onnx.SparseTensorProto(values=plain, indices=external_tensor(), dims=[9])
    in_sparse_attribute.graph.node[0].attribute.append(onnx.AttributeProto(name="s", type=11, sparse_tensor=sparse))
    refused(in_sparse_attribute, "external data")
    refused(nested(helper.make_graph([], "inner", [], [], [external_tensor()])), "external data")
    in_function = tiny_onnx()
    body = [helper.make_node("Constant", [], ["k"], value=external_tensor())]
    in_function.functions.append(helper.make_function("", "f", [], ["k"], body, [helper.make_opsetid("", 17)]))
    refused(in_function, "external data")


def test_either_half_of_an_external_reference_is_enough() -> None:
    only_flag, only_place = tiny_onnx(), tiny_onnx()
    only_flag.graph.initializer[0].data_location = TensorProto.EXTERNAL
    only_place.graph.initializer[0].external_data.add(key="location", value="x")
    refused(only_flag, "external data")
    refused(only_place, "external data")


def test_numbers_that_protobuf_cuts_to_32_bits_hide_no_external_reference() -> None:
    """ONNX Runtime's protobuf keeps the low 32 bits of a tag and of an enumeration, so 2^32 more is the same to it."""
    location = b"\x0a\x08location\x12\x0asecret.bin"
    far_tag = _varint((13 << 3 | 2) + (1 << 32)) + _varint(len(location)) + location
    far_flag = _varint(14 << 3) + _varint(1 + (1 << 32))
    for hidden in (far_tag, far_flag):
        tensor = b"\x08\x04\x10\x01\x42\x01w" + hidden
        graph = tiny_onnx().graph.SerializeToString() + b"\x2a" + _length(tensor) + tensor
        with pytest.raises(OnnxRefused, match=r"external data|tag"):
            check_onnx_bytes(b"\x3a" + _length(graph) + graph)


def test_foreign_operators_are_found_wherever_a_node_can_be() -> None:
    foreign = helper.make_node("Run", ["x"], ["z"], domain="evil.ops")
    at_top = tiny_onnx()
    at_top.graph.node.append(foreign)
    refused(at_top, "evil.ops")
    refused(nested(helper.make_graph([foreign], "inner", [], [])), "evil.ops")
    in_function = tiny_onnx()
    in_function.functions.append(helper.make_function("", "f", ["x"], ["z"], [foreign], [helper.make_opsetid("", 17)]))
    refused(in_function, "evil.ops")
    imported = tiny_onnx()
    imported.opset_import.append(helper.make_opsetid("evil.ops", 1))
    refused(imported, "evil.ops")


def test_built_in_operators_that_read_files_are_refused() -> None:
    model = tiny_onnx()
    model.graph.node.append(helper.make_node("EPContext", [], ["z"], domain="com.microsoft", ep_cache_context="x.bin"))
    refused(model, "EPContext")


@pytest.mark.parametrize("place", ["node", "input", "output", "initializer", "graph"])
def test_names_that_are_not_utf8_are_refused_wherever_they_stand(place: str) -> None:
    """ONNX Runtime wrote its complaint to standard output, in the middle of JSON."""
    model = tiny_onnx()
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.zeros(4, np.int64), "i"))
    named = {
        "node": graph.node[0],
        "input": graph.input[0],
        "output": graph.output[0],
        "initializer": graph.initializer[-1],
        "graph": graph,
    }[place]
    named.name = "name-to-break"
    data = model.SerializeToString()
    check_onnx_bytes(data)
    with pytest.raises(OnnxRefused, match="not UTF-8"):
        check_onnx_bytes(data.replace(b"name-to-break", b"name-to-br\xff\xfe\xfd"))


def test_training_information_is_refused() -> None:
    model = tiny_onnx()
    model.training_info.add()
    refused(model, "training")


def test_a_model_without_a_graph_is_refused() -> None:
    refused(onnx.ModelProto(ir_version=8), "no ONNX graph")
    with pytest.raises(OnnxRefused):
        check_onnx_bytes(b"")


def test_graphs_nested_without_end_are_refused_without_a_crash() -> None:
    data = tiny_onnx().graph.SerializeToString()
    for _ in range(400):  # attribute.g inside node.attribute inside graph.node
        for tag in (0x32, 0x2A, 0x0A):
            data = bytes([tag]) + _length(data) + data
    with pytest.raises(OnnxRefused, match="nested"):
        check_onnx_bytes(b"\x3a" + _length(data) + data)


def _length(data: bytes) -> bytes:
    return _varint(len(data))


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200))
def test_rubbish_is_refused_or_harmless_never_a_crash(data: bytes) -> None:
    try:
        check_onnx_bytes(data)
    except OnnxRefused as error:
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_cut_graph_is_refused(keep: float) -> None:
    whole = tiny_onnx()
    whole.ClearField("opset_import")  # so that the graph is what ends the file
    data = whole.SerializeToString()
    with pytest.raises(OnnxRefused):
        check_onnx_bytes(data[: int(keep * len(data))])
