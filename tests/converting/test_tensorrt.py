"""Engines are built for the sizes of the sweep, in the precision of their name. Against a stand-in, not on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from converting import checks, tensorrt_builder
from converting.tensorrt_builder import Flags10, Flags11
from runtimes import network

from pytest_modelperf import Tensor
from pytest_modelperf.converting.cache import Cache
from pytest_modelperf.converting.protocol import Subject
from pytest_modelperf.converting.tensorrt import TIMINGS
from pytest_modelperf.domain.device import Device
from pytest_modelperf.errors import ConversionError
from pytest_modelperf.runtimes.registry import builtin, find

INPUTS = {"x": Tensor(("batch", 4, network.FEATURES)), "shift": Tensor(("batch", network.FEATURES))}
CUDA = Device("cuda")


@pytest.fixture(params=[Flags10, Flags11], ids=["10", "11"])
def flags(request: pytest.FixtureRequest) -> Iterator[type[Enum]]:
    with tensorrt_builder.installed(request.param):
        yield request.param


def given(folder: Path) -> Subject:
    return checks.subject(network.onnx_file(folder), INPUTS, [{"batch": 1}, {"batch": 8}], CUDA)


def test_an_engine_answers_at_the_sizes_of_the_sweep(flags: type[Enum], tmp_path: Path) -> None:
    way = checks.route("tensorrt", "onnx")
    assert way.refuses(given(tmp_path)) == ""
    made = way.follow(given(tmp_path), tmp_path / "made")
    runtime, path = find(made.model, builtin())
    session = runtime.open(path, CUDA)
    with session.running():
        for batch in (1, 8):
            drawn: Any = given(tmp_path).draw({"batch": batch})
            outputs = session.bind(drawn)()
            session.wait()
            assert np.allclose(session.arrays(outputs)["y"], network.expected(drawn), atol=1e-4)
    session.close()
    assert made.notes == ("sizes from batch=1 to batch=8, best for these two",)


@pytest.mark.usefixtures("flags")
def test_profiles_are_best_for_the_smallest_and_for_the_largest_case(tmp_path: Path) -> None:
    made = checks.route("tensorrt", "onnx").follow(given(tmp_path), tmp_path / "made")
    features = network.FEATURES
    profiles = tensorrt_builder.told(made.model.read_bytes())["profiles"]
    assert [one["x"] for one in profiles] == [
        [[1, 4, features], [best, 4, features], [8, 4, features]] for best in (1, 8)
    ]
    alone = replace(given(tmp_path), cases=[{"batch": 2}])
    made = checks.route("tensorrt", "onnx").follow(alone, tmp_path / "alone")
    assert len(tensorrt_builder.told(made.model.read_bytes())["profiles"]) == 1


def test_it_is_built_on_the_gpu_of_the_test(tmp_path: Path) -> None:
    with tensorrt_builder.installed() as cuda:
        subject = replace(given(tmp_path), device=Device("cuda", 1))
        made = checks.route("tensorrt", "onnx").follow(subject, tmp_path / "made")
        assert tensorrt_builder.told(made.model.read_bytes())["device"] == 1
        assert cuda.device == 0
        # Nor is a stream left there.
        assert cuda.streams == {}


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize(
    ("tensor", "least", "most"),
    [
        (Tensor((2,), "int64", low=1, high=5), [1, 1], [4, 4]),
        (Tensor((2,), "int64", values=lambda shape, rng: np.array([3, 7])), [3, 7], [3, 7]),
    ],
)
def test_of_an_input_that_tells_shapes_the_values_are_limited(
    tensor: Tensor, least: list[int], most: list[int], tmp_path: Path
) -> None:
    model = network.onnx_model()
    model.graph.input.append(onnx.helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, [2]))
    onnx.save_model(model, tmp_path / "sized.onnx")
    subject = checks.subject(tmp_path / "sized.onnx", {**INPUTS, "sizes": tensor}, device=CUDA)
    made = checks.route("tensorrt", "onnx").follow(subject, tmp_path / "made")
    built = tensorrt_builder.told(made.model.read_bytes())
    assert built["of values"] == ["sizes"]
    for profile in built["profiles"]:
        low, best, high = profile["sizes"]
        assert (low, high) == (least, most)
        assert all(one <= two <= three for one, two, three in zip(low, best, high, strict=True))


@pytest.mark.usefixtures("flags")
def test_a_profile_that_tensorrt_does_not_take_is_the_reason(tmp_path: Path) -> None:
    model = network.onnx_model()
    model.graph.input.append(onnx.helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, [1]))
    onnx.save_model(model, tmp_path / "sized.onnx")
    inputs = {**INPUTS, "sizes": Tensor((1,), "int64", high=2)}
    subject = checks.subject(tmp_path / "sized.onnx", inputs, device=CUDA)
    with pytest.raises(
        ConversionError, match="TensorRT does not take its optimisation profile: TensorRT told no reaso"
    ):
        checks.route("tensorrt", "onnx").follow(subject, tmp_path / "made")


@pytest.mark.usefixtures("flags")
def test_timings_of_kernels_are_read_again(tmp_path: Path) -> None:
    cache, way = Cache(tmp_path / "cache"), checks.route("tensorrt", "onnx")
    for number, after in enumerate((b"timings", b"timingstimings")):
        way.follow(given(tmp_path), tmp_path / str(number), replace(cache, renews=True), "known")
        assert (cache.folder / TIMINGS).read_bytes() == after
    (cache.folder / TIMINGS).write_bytes(b"of another GPU")
    way.follow(given(tmp_path), tmp_path / "other", replace(cache, renews=True), "known")
    assert (cache.folder / TIMINGS).read_bytes() == b"timings"


@pytest.mark.parametrize(
    ("name", "ten", "eleven"),
    [("tensorrt", [], []), ("tensorrt-tf32", ["TF32"], ["TF32"]), ("tensorrt-fp16", ["FP16", "TF32"], ["TF32"])],
)
def test_precision_is_set_on_purpose(
    flags: type[Enum], name: str, ten: list[str], eleven: list[str], tmp_path: Path
) -> None:
    made = checks.route(name, "onnx").follow(given(tmp_path), tmp_path / "made")
    built = tensorrt_builder.told(made.model.read_bytes())
    assert built["flags"] == (ten if flags is Flags10 else eleven)
    assert bool(built["halves"]) == (name == "tensorrt-fp16" and flags is Flags11)
    # What it was built from is not kept beside it.
    assert [path.name for path in (tmp_path / "made").rglob("*") if path.is_file()] == ["model.engine"]


def test_what_tensorrt_says_is_the_reason(flags: type[Enum], tmp_path: Path) -> None:
    model = network.onnx_model()
    model.graph.node[0].op_type = "Strange"
    onnx.save_model(model, tmp_path / "strange.onnx")
    subject = checks.subject(tmp_path / "strange.onnx", INPUTS, device=CUDA)
    with pytest.raises(ConversionError, match="No importer registered for op: Strange"):
        checks.route("tensorrt", "onnx").follow(subject, tmp_path / "made")


def test_it_needs_a_gpu_and_the_library(tmp_path: Path) -> None:
    assert "works on an NVIDIA GPU" in checks.refusal("tensorrt", network.onnx_file(tmp_path), INPUTS)
    reason = checks.route("tensorrt", "onnx").refuses(given(tmp_path))
    assert reason == "needs tensorrt: pip install 'pytest-modelperf[tensorrt]'"
