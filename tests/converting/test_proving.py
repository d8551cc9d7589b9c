"""What a variant is asked, up to where it is given up, and what it keeps of the user's measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring.fakes import Clock

from pytest_modelperf import Tensor
from pytest_modelperf.converting import proving
from pytest_modelperf.converting.protocol import Converted
from pytest_modelperf.converting.proving import DRAWS, Prover, fits, unsettled, where
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.variant import Quality, QualityCheck, Rival
from pytest_modelperf.errors import ConversionError
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.runtimes.callable import CallableRuntime

CPU = Device("cpu")
CASES: tuple[dict[str, int], ...] = ({"batch": 3}, {"batch": 1})
INPUTS: dict[str, Any] = {"x": Tensor(("batch", 4)), "scale": 2.0}


def double(x: Any, scale: float = 2.0) -> dict[str, Any]:
    return {"y": x * scale}


def bench(model: Callable[..., Any]) -> LocalBench:
    session = CallableRuntime().open(model, CPU)
    return LocalBench(lambda: session, CPU, INPUTS, [dict(axes) for axes in CASES])


def prover(quality: QualityCheck | None = None) -> Prover:
    return Prover(INPUTS, CASES, None, quality)


def test_the_smallest_case_is_asked_several_times_and_all_others_once() -> None:
    expected = prover().expected(bench(double))
    assert [(index, number) for index, number, _ in expected] == [*((1, number) for number in range(DRAWS)), (0, 0)]
    answers = prover().answers(expected, None)
    assert [answer.axes for answer in answers] == [{"batch": 1}, {"batch": 3}]
    assert [answer.axes for answer in prover().answers(expected, {"batch": 3})] == [{"batch": 3}]


def test_the_same_answers_are_off_by_nothing() -> None:
    (parity,), names = prover().parity(
        bench(double), Converted(double), prover().expected(bench(double)), precision="float32"
    )
    assert (parity.output, parity.error, names) == ("y", 0.0, {"y": "y"})


def test_outputs_that_only_a_larger_batch_has_are_compared_too() -> None:
    def listed(x: Any, scale: float = 2.0) -> list[Any]:
        return [{"y": row * scale} for row in x]

    def wrong(x: Any, scale: float = 2.0) -> list[Any]:
        return [{"y": row * scale + (place == 2)} for place, row in enumerate(x)]

    expected = prover().expected(bench(listed))
    found, names = prover().parity(bench(listed), Converted(listed), expected, precision="float32")
    assert [parity.output for parity in found] == list(names) == ["0.y", "1.y", "2.y"]
    with pytest.raises(ConversionError, match=r"output '2\.y' is wrong"):
        prover().parity(bench(wrong), Converted(wrong), expected, precision="float32")


def test_what_is_made_anew_at_a_later_call_of_a_shape_is_compared_then(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[int, int] = {}

    def turns(x: Any, scale: float = 2.0) -> dict[str, Any]:
        calls[len(x)] = calls.get(len(x), 0) + 1
        return {"y": x * (scale if len(x) == 1 or calls[len(x)] < DRAWS else 3.0)}

    expected = prover().expected(bench(double))
    prover().parity(bench(turns), Converted(turns), expected, precision="float32")
    calls.clear()
    monkeypatch.setattr(proving, "_settles", lambda model: model is turns)
    with pytest.raises(ConversionError, match="output 'y' is wrong"):
        prover().parity(bench(turns), Converted(turns), expected, precision="float32")
    assert calls == {1: DRAWS, 3: DRAWS}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripts_are_made_anew_at_a_later_call() -> None:
    torch = pytest.importorskip("torch")
    script = torch.jit.script(torch.nn.ReLU())
    found = [proving._settles(each) for each in (script, Path("model.pt"), Path("model.onnx"), torch.nn.ReLU(), double)]
    assert found == [True, True, False, False, False]


def test_what_is_many_times_slower_is_asked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    clock = Clock().install(monkeypatch)

    def slow(x: Any, scale: float) -> dict[str, Any]:
        asked.append(len(x))
        clock.work(2 * proving.SLOW_SECONDS)
        return double(x, scale)

    with pytest.raises(ConversionError, match=r"not faster: a call at batch=1 takes \d+ times as long"):
        prover().parity(bench(slow), Converted(slow), prover().expected(bench(double)), precision="float32")
    assert asked == [1, 1]


@pytest.mark.parametrize("warm", [0.001, 0.02])
def test_what_its_rival_beats_when_it_is_warm_is_asked_no_more(warm: float, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    clock = Clock().install(monkeypatch)

    def slow_at_first(x: Any, scale: float) -> dict[str, Any]:
        asked.append(len(x))
        clock.work(0.5 if len(asked) <= DRAWS else warm)
        return double(x, scale)

    beside = Prover(INPUTS, CASES, None, None, Rival("onnxruntime", 0.001))
    of, expected = bench(slow_at_first), prover().expected(bench(double))
    if warm == 0.001:
        (parity,), _ = beside.parity(of, Converted(slow_at_first), expected, precision="float32")
        assert (parity.error, asked[-1]) == (0.0, 3)
    else:
        with pytest.raises(ConversionError, match=r"beaten: a call at batch=1 takes 20\.0 ms, one of onnxruntime"):
            beside.parity(of, Converted(slow_at_first), expected, precision="float32")
        assert set(asked) == {1}


def share_above_zero(call: Callable[..., Mapping[str, Any]]) -> float:
    return float(np.mean(call(x=np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(2, 4))["y"] > 0))


def test_the_quality_of_the_variant_stands_beside_the_original_s() -> None:
    def shifted(x: Any, scale: float) -> dict[str, Any]:
        return {"y": x - 0.2}

    checks = prover(QualityCheck(share_above_zero, 0.125))
    before = checks.measured(bench(double))
    assert checks.kept(bench(shifted), Converted(shifted), before) == Quality(0.5, 0.375, 0.125)
    with pytest.raises(ConversionError, match=r"its quality is 0\.375, where the original's is 0\.5"):
        prover(QualityCheck(share_above_zero, 0.1)).kept(bench(shifted), Converted(shifted), before)
    assert prover().kept(bench(double), Converted(double), prover().measured(bench(double))) is None


def test_cases_and_inputs_of_a_variant_that_has_settled_some() -> None:
    assert [fits(axes, {"batch": 3}) for axes in CASES] == [True, False]
    assert fits({}, None)
    assert list(unsettled(INPUTS, ["scale"])) == ["x"]
    assert unsettled((1, 2), ["scale"]) == (1, 2)
    assert (where({"batch": 3, "length": 7}), where({})) == ("batch=3 length=7", "every call")
