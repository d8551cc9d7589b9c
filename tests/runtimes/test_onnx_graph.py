"""What is read from the bytes of an ONNX file, checked against the onnx library and onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pytest_modelperf.domain.signature import Input
from pytest_modelperf.errors import ModelError
from pytest_modelperf.runtimes.onnx_graph import read_bytes, read_file, size_bytes


def graph_with(inputs: list[Any], weights: list[Any] | None = None) -> bytes:
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Identity", [inputs[0].name], ["y"])], "g", inputs, [y], weights)
    data: bytes = helper.make_model(graph).SerializeToString()
    return data


def test_name_inputs_and_number_of_weights(proto: Any) -> None:
    graph = read_bytes(proto.SerializeToString())
    assert graph.name == "affine"
    assert graph.signature.inputs == (Input("x", ("batch", 3), "float32"),)
    assert graph.parameters == 16
    assert graph.external == ()
    assert graph.precision == "float32"


def test_the_precision_is_that_of_the_coarsest_weights() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    kinds = (np.float32, np.float16, np.int8)
    weights = [numpy_helper.from_array(np.ones(2, kind), kind.__name__) for kind in kinds]
    assert read_bytes(graph_with([x], weights)).precision == "float16"
    assert read_bytes(graph_with([x], weights[2:])).precision == ""


@pytest.mark.parametrize(
    ("size", "known"),
    [
        ("seq", "seq"),
        ("past + 1", None),
        ("unk__604", None),
        ("s77", None),
        ("", None),
        (None, None),
        (7, 7),
        (0, None),
        (-1, None),
        (2**40, 2**40),
    ],
)
def test_sizes_with_names_that_are_none_count_as_unnamed(size: int | str | None, known: int | str | None) -> None:
    (found,) = read_bytes(
        graph_with([helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])])
    ).signature.inputs
    assert found.shape == ("n", known)


@pytest.mark.parametrize(
    ("onnx_type", "dtype"),
    [
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.INT64, "int64"),
        (TensorProto.UINT8, "uint8"),
        (TensorProto.BOOL, "bool"),
        (TensorProto.STRING, "string"),
        (TensorProto.FLOAT8E4M3FN, "ONNX type 17"),
    ],
)
def test_dtypes(onnx_type: int, dtype: str) -> None:
    (found,) = read_bytes(graph_with([helper.make_tensor_value_info("x", onnx_type, [])])).signature.inputs
    assert (found.dtype, found.shape) == (dtype, ())


def test_inputs_that_are_no_tensors_are_named_by_their_kind() -> None:
    inputs = [
        helper.make_tensor_sequence_value_info("many", TensorProto.FLOAT, None),
        helper.make_value_info("maybe", helper.make_optional_type_proto(helper.make_tensor_type_proto(1, None))),
    ]
    assert [found.dtype for found in read_bytes(graph_with(inputs)).signature.inputs] == ["sequence", "optional"]


def test_weights_that_are_inputs_too_are_not_required(make_proto: Any) -> None:
    x, w = read_bytes(make_proto(weight_is_input=True).SerializeToString()).signature.inputs
    assert (x.name, x.required) == ("x", True)
    assert (w.name, w.required) == ("w", False)


def test_external_data_counts_and_is_not_read(external_file: Path) -> None:
    graph = read_file(external_file)
    data = external_file.with_name("external.data")
    assert graph.external == ("external.data",)
    assert graph.parameters == 16
    assert size_bytes(external_file, graph) == external_file.stat().st_size + data.stat().st_size
    data.unlink()
    with pytest.raises(ModelError, match=r"external.onnx keeps weights in 'external.data', which is not beside it"):
        read_file(external_file)


def test_large_weights_and_packed_and_unpacked_sizes_agree_with_the_library() -> None:
    weights = [
        numpy_helper.from_array(np.ones((1000, 300), np.float32), "large"),
        numpy_helper.from_array(np.array(3, np.int64), "scalar"),
        numpy_helper.from_array(np.ones((0, 4), np.int64), "none"),
    ]
    data = graph_with([helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], weights)
    library = sum(numpy_helper.to_array(weight).size for weight in onnx.load_from_string(data).graph.initializer)
    assert read_bytes(data).parameters == library == 300_001
    # Writers that do not pack repeated numbers give each its own field: dims = 2, dims = 3.
    tensor = bytes([1 << 3, 2, 1 << 3, 3])
    assert read_bytes(_field(7, _field(5, tensor))).parameters == 6


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it holds no graph); it seems to be an empty file. Export it anew"),
        (b"garbage " * 50, "its bytes are no protobuf message); it seems to be plain text"),
        (b"<html><body>404</body></html>", "it seems to be an HTML or XML page: a download that failed?"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it seems to be a Git LFS pointer"),
        (b"\x80\x04\x95\x00", "it seems to be a Python pickle"),
        (bytes([8, 7]), "(it holds no graph). Export it anew"),
        (bytes([8] + [0xFF] * 12), "its bytes are no protobuf message"),
        (bytes([0x3A, 0x80]), "(it is cut short)"),
    ],
)
def test_what_is_no_onnx_file_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"model.onnx is no ONNX model, or a damaged one \(") as caught:
        read_file(path)
    assert message in str(caught.value)


def test_a_file_that_is_cut_anywhere_is_never_a_crash(proto: Any, tmp_path: Path) -> None:
    whole = proto.SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            graph = read_file(path)
        except ModelError:
            continue
        # What comes after the graph (the opset) may be missing; the graph itself is whole.
        assert graph.parameters == 16


def test_a_model_proto_without_a_graph_is_told() -> None:
    with pytest.raises(ModelError, match=r"the ModelProto is no ONNX model \(it holds no graph\); export it anew"):
        read_bytes(onnx.ModelProto().SerializeToString())


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../b", "C:\\b", "..\\b", "\\b"])
def test_weights_outside_of_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    data = graph_with([helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])], [weight])
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "m.onnx"
    path.write_bytes(data)
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    message = r"says that weights are in '.*', outside of its folder\. Put them"
    with pytest.raises(ModelError, match=message):
        read_file(path)
    with pytest.raises(ModelError, match=message):
        read_bytes(data)
