from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.spec import QUALITY_DROP, RuntimeChoice, Spec, parse_seconds, parse_tolerance
from pytest_modelperf.domain.tensor import Tensor
from pytest_modelperf.domain.variant import Permitted, QualityCheck
from pytest_modelperf.errors import UsageError


def accuracy(call: Callable[..., Any]) -> float:
    return 1.0


def test_a_marker_is_checked_and_converted() -> None:
    inputs = {"x": Tensor(("batch", 3)), "use_cache": False}
    spec = Spec().override(
        {
            "inputs": inputs,
            "sweep": {"batch": "1..4"},
            "runtime": ("openvino", {"NUM_STREAMS": 2}),
            "devices": ["cpu", "cuda", "cpu"],
            "budget": {"latency.p50": "20 ms"},
            "tolerance": "5%",
            "allow_failed": True,
            "seconds": "500 ms",
            "converters": ["bf16", "bf16"],
            "parity": {"rtol": 0.01},
            "quality": accuracy,
            "goal": "size",
        }
    )
    assert spec == Spec(
        inputs=inputs,
        sweep={"batch": (1, 2, 4)},
        runtime=RuntimeChoice("openvino", {"NUM_STREAMS": 2}),
        devices=(Device("cpu"), Device("cuda")),
        budget=(Budget("latency.p50", 0.02),),
        tolerance=0.05,
        allow_failed=True,
        seconds=0.5,
        converters=("bf16",),
        parity=Permitted(rtol=0.01),
        quality=QualityCheck(accuracy, QUALITY_DROP),
        goal="size",
    )


@pytest.mark.parametrize(("written", "names"), [("auto", ("auto",)), ("bf16", ("bf16",)), ((), ()), ("none", ())])
def test_converters_are_asked_for_by_name(written: object, names: tuple[str, ...]) -> None:
    assert Spec().override({"converters": written}).converters == names


def test_a_measure_of_the_user_s_own_comes_with_its_limit() -> None:
    spec = Spec().override({"parity": (max, 0.5), "quality": (accuracy, 0.02)})
    assert spec.parity == Permitted(error=max, limit=0.5)
    assert spec.quality == QualityCheck(accuracy, 0.02)


def test_the_nearest_marker_wins_and_leaves_the_rest() -> None:
    outer = Spec().override({"seconds": 3, "sweep": {"batch": 8}})
    inner = outer.override({"sweep": {"seq": [1, 2]}})
    assert (inner.seconds, inner.sweep) == (3.0, {"seq": (1, 2)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sweeps": {}}, "the marker modelperf has no argument 'sweeps'; did you mean 'sweep'?"),
        (
            {"verbose": 1},
            "the marker modelperf has no argument 'verbose'; "
            "known are: allow_failed, budget, converters, devices, goal, inputs, parity, quality, runtime, seconds, "
            "sweep, tolerance",
        ),
        (
            {"inputs": Tensor((1,))},
            "inputs is one Tensor; write a list of positional inputs, [Tensor(…)], or a dict by name",
        ),
        ({"inputs": 3}, "inputs is 3; write a dict by name or a list of Tensors"),
        ({"inputs": {0: Tensor((1,))}}, "inputs has a name that is no text; write a dict by parameter name, or a list"),
        ({"sweep": [1, 2]}, 'sweep is [1, 2]; write a dict of axes and values, {"batch": [1, 2, 4]}'),
        ({"runtime": 3}, 'runtime is 3; write a name, "openvino", or a name and options, ("openvino", {…})'),
        (
            {"runtime": ("openvino", "f16")},
            """runtime is ('openvino', 'f16'); write a name, "openvino", or a name and options, ("openvino", {…})""",
        ),
        (
            {"runtime": ("openvino", {"HINT": {"nested": b"bytes"}})},
            "runtime has the option 'HINT' with {'nested': b'bytes'}; write texts, numbers, True, False, None, "
            "and lists and dicts of them",
        ),
        ({"sweep": {"batch": []}}, "sweep of 'batch' is empty; write at least one value, for example [1]"),
        ({"devices": []}, 'devices is []; write one or a list of "cpu", "cpu:threads=2", "cuda:0"'),
        ({"devices": ["gpu:one"]}, "device 'gpu:one' is not understood; write 'cpu', 'cpu:threads=2' or 'cuda:0'"),
        ({"budget": {"latency": "1 s"}}, "budget 'latency': there is no metric 'latency'"),
        ({"tolerance": "a bit"}, "'a bit' is no quantity; write a number or a text such as '5%'"),
        ({"tolerance": -0.1}, 'tolerance -0.1 is no accepted slowdown; write 0.05 or "5%"'),
        ({"tolerance": 5}, 'tolerance 5 is 500%; write "5%", or "500%" if it is meant'),
        ({"tolerance": "1.5"}, 'tolerance \'1.5\' is 150%; write "1.5%", or "150%" if it is meant'),
        ({"tolerance": 10}, 'tolerance 10 is no accepted slowdown; write 0.05 or "5%"'),
        ({"seconds": 0}, "seconds 0 is no measuring time; write a number above zero"),
        ({"seconds": "3 MB"}, "'3 MB' is in B, where '20 ms' would fit"),
        ({"converters": 3}, 'converters is 3; write names, ["bf16"], "auto" for all or () for none'),
        ({"parity": {"rtl": 0.1}}, 'parity is {\'rtl\': 0.1}; write {"rtol": 1e-3, "atol": 1e-5}, or a function of'),
        ({"parity": {"rtol": -0.1}}, "parity is {'rtol': -0.1}; write "),
        ({"quality": 0.9}, "quality is 0.9; write a function that is given the model's call and returns its accuracy"),
        ({"goal": "sped"}, "goal is 'sped'; known are: latency, memory, size, throughput"),
        ({"allow_failed": "yes"}, "allow_failed is 'yes'; write True or False"),
    ],
)
def test_what_cannot_be_says_what_to_write(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Spec().override(arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("written", "value"), [("5%", 0.05), ("0.05", 0.05), (0.05, 0.05), (0, 0.0), ("150%", 1.5)])
def test_a_tolerance_is_a_fraction(written: str | float, value: float) -> None:
    assert parse_tolerance(written) == pytest.approx(value)


@pytest.mark.parametrize(("written", "value"), [("3", 3.0), (3, 3.0), ("500 ms", 0.5), ("1 min", 60.0)])
def test_a_measuring_time_is_in_seconds(written: str | float, value: float) -> None:
    assert parse_seconds(written) == pytest.approx(value)


def test_a_runtime_says_what_it_is_asked_for_the_same_however_it_is_written() -> None:
    options = {"providers": ["A", {"b": 1, "a": True}], "level": "all", "threads": 2}
    spec = Spec().override({"runtime": ("onnxruntime", options)})
    again = Spec().override({"runtime": ["onnxruntime", dict(reversed(options.items()))]})
    assert str(spec.runtime) == 'onnxruntime level=all providers=["A", {"a": true, "b": 1}] threads=2'
    assert str(again.runtime) == str(spec.runtime)
    assert str(Spec().override({"runtime": "openvino"}).runtime) == "openvino"
    assert spec.override({"runtime": None}).runtime is None
