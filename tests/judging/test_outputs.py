"""Whether answers are still the same, and what is said where nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelperf.domain.baseline import CaseRecord, Location, OutputSample
from pytest_modelperf.domain.precision import PERMITTED, TF32
from pytest_modelperf.judging.outputs import compare_outputs
from pytest_modelperf.measuring.answers import kept, tell

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((4, 10)) * 3.0


def sample(array: Any, dtype: str = "") -> OutputSample:
    whole = np.asarray(array)
    told = tell({"y": whole}, {"y": dtype or whole.dtype.name}, "", 1)
    return kept(told, told)["y"]


def drawn(array: Any) -> OutputSample:
    """What is kept of an output whose second call, with the same inputs, gave another."""
    first, second = ({"y": one} for one in (array, array[::-1] + array.dtype.type(1)))
    names = {"y": array.dtype.name}
    return kept(tell(first, names, "", 1), tell(second, names, "", 1))["y"]


def record(weights: str = "w1", inputs: str = "i1", **outputs: OutputSample) -> CaseRecord:
    return CaseRecord("CPU", 40, Location(-4.5, 0.02), weights=weights, inputs=inputs, outputs=outputs)


def found(now: CaseRecord, then: CaseRecord) -> list[tuple[str, str]]:
    findings = compare_outputs(now, then)
    assert all(finding.path == "outputs" for finding in findings)
    return [(finding.word, finding.evidence) for finding in findings]


def off(part: float, dtype: str = "float32") -> OutputSample:
    """The logits, each off by this part of their scale."""
    signs = np.where(np.arange(LOGITS.size).reshape(LOGITS.shape) % 2, 1.0, -1.0)
    return sample(LOGITS + part * np.sqrt(np.mean(LOGITS**2)) * signs, dtype)


class TestTheSame:
    def test_equal_answers_need_no_word(self) -> None:
        outputs = {"logits": sample(LOGITS), "ids": sample([1, 2]), "masked": sample([np.nan, 1.0]), "none": sample([])}
        assert found(*[replace(record(), outputs=outputs)] * 2) == []

    @pytest.mark.parametrize(("dtype", "permitted"), PERMITTED.items())
    @settings(derandomize=True, max_examples=20)
    @given(part=st.floats(0.0, 0.9))
    def test_another_order_of_sums_is_permitted(self, dtype: str, permitted: float, part: float) -> None:
        now, then = record(y=off(part * permitted, dtype)), record(y=sample(LOGITS, dtype))
        assert found(now, then) == found(then, now) == []

    def test_tf32_is_a_way_to_compute_float32(self) -> None:
        """Another version of a library, or a switch, has it computed so: the weights are the same."""
        for now, then in ((TF32, "float32"), ("float32", TF32), (TF32, TF32)):
            assert found(record(y=off(5e-3, now)), record(y=sample(LOGITS, then))) == []
        expected = "output 'y' differs by 0.031 of its scale (tf32: 0.01 is permitted)"
        assert found(record(y=off(3.1e-2)), record(y=off(0.0, TF32))) == [("wrong", expected)]

    def test_there_is_nothing_to_compare_with_in_old_records(self) -> None:
        assert found(record(y=sample(LOGITS)), record()) == []
        assert found(record("w2", y=sample(LOGITS)), record(inputs="")) == []


class TestWrong:
    @pytest.mark.parametrize(("dtype", "permitted"), PERMITTED.items())
    @settings(derandomize=True, max_examples=20)
    @given(part=st.floats(1.1, 1e6))
    def test_values_that_differ_by_more_than_is_permitted(self, dtype: str, permitted: float, part: float) -> None:
        ((word, evidence),) = found(record(y=off(part * permitted, dtype)), record(y=sample(LOGITS, dtype)))
        assert word == "wrong"
        assert evidence.startswith("output 'y' differs by ")

    def test_the_evidence_has_the_size_and_the_limit(self) -> None:
        expected = "output 'logits' differs by 3.1e-3 of its scale (float32: 1e-4 is permitted)"
        assert found(record(logits=off(3.1e-3)), record(logits=off(0.0))) == [("wrong", expected)]

    def test_a_half_is_held_to_the_limit_of_a_half(self) -> None:
        assert found(record(y=off(3.1e-3, "float16")), record(y=off(0.0, "float16"))) == []

    def test_a_fault_between_the_values_that_are_kept_shows_in_the_scale(self) -> None:
        values = RNG.standard_normal(10_000).astype(np.float32)
        other = values.copy()
        other[1:50] = 0.0
        ((word, _),) = found(record(y=sample(other)), record(y=sample(values)))
        assert word == "wrong"

    def test_integers_and_booleans_are_exact(self) -> None:
        ids = np.arange(1000)
        assert found(record(y=sample(ids + (ids == 0))), record(y=sample(ids))) == [
            ("wrong", "output 'y' differs in 1 of the 16 values that are kept (int64: none may)")
        ]
        assert found(record(y=sample(ids + (ids == 1))), record(y=sample(ids))) == [
            ("wrong", "output 'y' differs in values that are not kept (int64: none may)")
        ]
        ((word, evidence),) = found(record(y=sample([True])), record(y=sample([False])))
        assert (word, "(bool: none may)" in evidence) == ("wrong", True)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_values_that_have_become_no_numbers(self, value: float) -> None:
        broken = LOGITS.copy()
        broken[0, 0] = value
        assert found(record(y=sample(broken)), record(y=sample(LOGITS))) == [
            ("wrong", "output 'y' has NaN or infinite values where it had numbers")
        ]

    def test_what_was_no_number_before_is_no_reference(self) -> None:
        broken = LOGITS.copy()
        broken[0, 0] = np.nan
        mended = replace(sample(LOGITS), scale=sample(broken).scale)
        assert found(record(y=mended), record(y=sample(broken))) == []

    def test_other_shapes_dtypes_and_names(self) -> None:
        then = record(y=sample(LOGITS), z=sample(LOGITS))
        now = record(y=sample(LOGITS[:2]), a=sample(LOGITS))
        assert found(now, then) == [
            ("wrong", "output 'y' has the shape (2, 10), it had (4, 10)"),
            ("wrong", "output 'z' is missing"),
            ("not compared", "output 'a' is new"),
        ]
        halves = found(record(y=sample(LOGITS, "bfloat16")), record(y=sample(LOGITS, "float32")))
        assert halves == [("wrong", "output 'y' is bfloat16, it was float32")]
        assert [word for word, _ in found(record(), then)] == ["wrong", "wrong"]

    def test_an_output_that_was_zero(self) -> None:
        zeros = np.zeros(3, np.float32)
        ((word, _),) = found(record(y=sample(zeros + 1)), record(y=sample(zeros)))
        assert word == "wrong"
        ((word, _),) = found(record(y=sample(zeros)), record(y=sample(zeros + 1)))
        assert word == "wrong"


class TestNotCompared:
    def test_other_weights(self) -> None:
        assert found(record("w2", y=off(1.0)), record("w1", y=off(0.0))) == [("not compared", "the weights are others")]
        for pair in (("", "w1"), ("w1", "")):
            assert found(*(record(weights, y=off(0.0)) for weights in pair)) == [
                ("not compared", "the weights are known on one side only")
            ]

    def test_other_inputs(self) -> None:
        assert found(record(inputs="i2", y=off(1.0)), record(y=off(0.0))) == [
            ("not compared", "the values of the inputs are others")
        ]
        for pair in (("", "i1"), ("i1", ""), ("", "")):
            ((word, evidence),) = found(*(record(inputs=inputs, y=off(0.0)) for inputs in pair))
            assert (word, "cannot be told; give them as arrays" in evidence) == ("not compared", True)

    def test_what_differs_between_two_equal_calls(self) -> None:
        unsteady = replace(off(0.0), values=())
        for now, then in ((unsteady, off(0.0)), (off(1.0), unsteady)):
            assert found(record(y=now), record(y=then)) == [
                ("not compared", "output 'y' differs between two equal calls")
            ]

    @pytest.mark.parametrize(
        ("now", "then"),
        [
            (RNG.standard_normal((2, 500)).astype(np.float32), RNG.standard_normal((2, 500)).astype(np.float32)),
            (RNG.integers(0, 50_000, (1, 20)), RNG.integers(0, 50_000, (1, 20))),
            (RNG.integers(0, 50_000, (1, 20)), RNG.integers(0, 50_000, (1, 23))),
        ],
        ids=["floats", "integers", "text of another length"],
    )
    def test_a_model_that_draws_its_answers_is_never_wrong(self, now: Any, then: Any) -> None:
        """Neither side has values to compare, and what its scale and its shape are was drawn, too."""
        mine, theirs = drawn(now), drawn(then)
        assert found(record(y=mine), record(y=theirs)) == [
            ("not compared", "output 'y' differs between two equal calls")
        ]
        assert found(record(), record(y=theirs)) == found(record(y=mine), record(y=theirs))

    def test_a_file_that_keeps_fewer_values(self) -> None:
        fewer = replace(off(0.0), values=off(0.0).values[:3])
        assert found(record(y=off(0.0)), record(y=fewer)) == [
            ("not compared", "output 'y': the baseline keeps 3 of its values, not 16")
        ]

    def test_what_is_empty_is_not_drawn(self) -> None:
        empty, one = sample(np.zeros((0, 4))), sample(np.zeros((1, 4)))
        assert found(record(y=empty), record(y=empty)) == []
        assert found(record(y=one), record(y=empty)) == [("wrong", "output 'y' has the shape (1, 4), it had (0, 4)")]

    def test_a_function_may_have_been_given_other_weights(self) -> None:
        """Whether its weights are the same nobody knows: what differs fails no test."""
        expected = (
            "output 'y' differs by 1 of its scale (float32: 1e-4 is permitted); weights unknown: they may be others"
        )
        assert found(record("", y=off(1.0)), record("", y=off(0.0))) == [("uncertain", expected)]
        assert found(record("", y=off(0.0)), record("", y=off(0.0))) == []
        more = record("", y=off(0.0), z=off(0.0))
        assert found(more, record("", y=off(0.0))) == [("not compared", "output 'z' is new")]
