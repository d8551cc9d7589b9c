"""Making a variant of functions: what is asked of the original, and what of the variant."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelperf import Tensor
from pytest_modelperf.converting import making, tuning
from pytest_modelperf.converting.cache import FROM_CACHE, Cache
from pytest_modelperf.converting.making import Maker
from pytest_modelperf.converting.parity import LIMITS, Wrong
from pytest_modelperf.converting.protocol import CALLABLE, Converted, Subject
from pytest_modelperf.converting.proving import DRAWS
from pytest_modelperf.converting.routes import Route
from pytest_modelperf.converting.settings import Knob
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.spec import RuntimeChoice
from pytest_modelperf.domain.variant import Permitted, QualityCheck, Rival, Variant
from pytest_modelperf.errors import ConversionError, TooSlow
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.runtimes.callable import CallableRuntime

CPU = Device("cpu")
CASES: tuple[dict[str, int], ...] = ({"batch": 3}, {"batch": 1})
INPUTS: dict[str, Any] = {"x": Tensor(("batch", 4)), "scale": 2.0}

Function = Callable[..., Any]


@dataclass(frozen=True)
class Becomes:
    """Gives this, whatever the model was."""

    made: Converted
    name: str = "other"
    what: str = "another function"
    takes: str = CALLABLE
    gives: str = CALLABLE
    precision: str = "float32"
    is_bridge: bool = False
    seconds: float = 1.0
    reason: str = ""

    def refuses(self, subject: Subject) -> str:
        return self.reason

    def convert(self, subject: Subject, folder: Path) -> Converted:
        assert [axes["batch"] for axes in subject.cases] == [1, 3]
        return self.made


class Asked:
    """A function that remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def __call__(self, x: Any, scale: float = 2.0) -> dict[str, Any]:
        self.given.append(x.copy())
        return {"y": x * scale}


def double(x: Any, scale: float = 2.0) -> dict[str, Any]:
    return {"y": x * scale}


def maker(model: Function, made: Converted | Function, **options: Any) -> Maker:
    converter = Becomes(made if isinstance(made, Converted) else Converted(made))
    return Maker(model, INPUTS, CASES, [CallableRuntime()], [converter], **options)


def held(by: Maker) -> LocalBench:
    session = CallableRuntime().open(by.model, CPU)
    return LocalBench(lambda: session, CPU, INPUTS, [dict(axes) for axes in CASES])


def made(by: Maker, tmp_path: Path) -> tuple[LocalBench, Variant]:
    return by.prove(by.convert("other", held(by), CPU, tmp_path / "made"))


def test_a_variant_is_asked_what_the_original_was(tmp_path: Path) -> None:
    model, other = Asked(), Asked()
    bench, variant = made(maker(model, other), tmp_path)
    assert len(model.given) == len(other.given) == DRAWS + len(CASES) - 1
    assert all(np.array_equal(*pair) for pair in zip(model.given, other.given, strict=False))
    assert len({array.tobytes() for array in other.given}) == len(other.given)
    assert {array.shape[0] for array in other.given} == {1, 3}
    assert [axes["batch"] for axes in bench.opened.cases] == [3, 1]
    (parity,) = variant.parity
    assert (parity.output, parity.error, variant.steps, variant.fixed) == ("y", 0.0, ("other",), None)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (lambda x, scale: {"y": x * 2.1}, "is wrong: it is off by"),
        (lambda x, scale: {"y": (x * scale)[:1]}, r"has the shape \(1, 4\) at batch=3"),
        (lambda x, scale: {"z": x * scale}, "its outputs at batch=1 are z, where the original's are y"),
        (lambda x, scale: {"y": (x * scale).astype(np.float64)}, "is float64, where the original's is float32"),
    ],
)
def test_a_variant_that_answers_otherwise_is_wrong(other: Function, reason: str, tmp_path: Path) -> None:
    with pytest.raises(Wrong, match=reason):
        made(maker(double, other), tmp_path)


def test_a_candidate_tells_how_exact_it_is_to_be_and_whether_it_is_made_alone() -> None:
    @dataclass(frozen=True)
    class Timed(Becomes):
        alone: bool = True

    (plain,) = maker(double, double).candidates(CPU)
    assert (plain.permitted, plain.alone, plain.kept) == (LIMITS["float32"], False, False)
    timed = Maker(double, INPUTS, CASES, [CallableRuntime()], [Timed(Converted(double), precision="int8")])
    (other,) = timed.candidates(CPU)
    assert (other.permitted, other.alone) == (LIMITS["int8"], True)


def test_what_is_left_of_making_it_is_done_when_the_smallest_case_is_proven(tmp_path: Path) -> None:
    other = Asked()

    def rest() -> tuple[str, ...]:
        assert [len(array) for array in other.given] == [1] * DRAWS
        time.sleep(0.05)
        return ("all of it",)

    by = maker(double, Converted(other, rest=rest))
    making = by.convert("other", held(by), CPU, tmp_path / "made")
    _, variant = by.prove(making)
    assert (len(other.given), variant.notes) == (DRAWS + 1, ("all of it",))
    assert variant.build_seconds >= making.build_seconds + 0.05
    with pytest.raises(ConversionError, match="beaten: a call at batch=1 takes"):
        by.prove(replace(making, made=Converted(double, rest=pytest.fail)), rival=Rival("another", 1e-9))


def test_what_was_kept_and_is_beaten_is_not_made_anew(tmp_path: Path) -> None:
    by = replace(maker(double, double), cache=Cache(tmp_path / "cache"))
    making = by.convert("other", held(by), CPU, tmp_path / "made")
    kept = replace(making, made=replace(making.made, notes=(f"other: {FROM_CACHE}",)))
    with pytest.raises(TooSlow, match="beaten: a call at batch=1 takes"):
        by.prove(kept, rival=Rival("another", 1e-9))
    assert not (tmp_path / "made" / "anew").exists()


def test_what_a_variant_raises_comes_out(tmp_path: Path) -> None:
    def fails(x: Any, scale: float) -> Any:
        raise RuntimeError("no kernel")

    with pytest.raises(RuntimeError, match="no kernel"):
        made(maker(double, fails), tmp_path)


def test_a_variant_of_one_shape_is_asked_and_measured_at_that(tmp_path: Path) -> None:
    def one(x: Any, scale: float) -> Any:
        assert len(x) == 3
        return {"y": x * scale}

    bench, variant = made(maker(double, Converted(one, fixed={"batch": 3})), tmp_path)
    assert list(bench.opened.cases) == [{"batch": 3}]
    assert variant.title == "other, batch=3 only"


def test_a_variant_of_a_shape_that_nobody_asks_for_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="made for batch=2, which the sweep does not have"):
        made(maker(double, Converted(double, fixed={"batch": 2})), tmp_path)


def test_an_input_that_has_become_a_part_of_the_variant_is_not_given(tmp_path: Path) -> None:
    bench, _ = made(maker(double, Converted(lambda x: {"y": x * 2.0}, settled=("scale",))), tmp_path)
    assert "scale" not in bench.opened.inputs


def test_a_model_that_draws_its_answers_has_no_variants() -> None:
    rng = np.random.default_rng(0)
    draws = maker(lambda x, scale: {"y": x + rng.standard_normal(x.shape).astype("f")}, double)
    with pytest.raises(ConversionError, match="answers equal inputs differently"):
        draws.check(held(draws))
    repeats = maker(double, double)
    repeats.check(held(repeats))


def test_a_model_that_writes_into_its_inputs_has_no_variants() -> None:
    """They would be timed on the inputs, and it on what its calls have made of them."""

    def halves(x: Any, scale: float) -> Any:
        x *= 0.5
        return {"y": x * scale}

    writes = maker(halves, double)
    with pytest.raises(ConversionError, match=r"writes into its inputs: .* let it work on a copy"):
        writes.check(held(writes))
    cuts = maker(lambda x, scale: {"y": np.maximum(x, 0.0, out=x) * scale}, double)
    cuts.check(held(cuts))


def accuracy(call: Function) -> float:
    """The share of samples whose sign is kept."""
    x = np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(2, 4)
    return float(np.mean(np.sign(call(x=x)["y"]) == np.sign(x)))


def test_the_accuracy_on_the_user_s_data_may_drop_by_so_much(tmp_path: Path) -> None:
    def clumsy(x: Any, scale: float) -> Any:
        found = x * scale
        found[0, 0] = abs(found[0, 0])
        return {"y": found}

    lenient: Mapping[str, Any] = {"permitted": Permitted(atol=1e9)}
    _, variant = made(maker(double, clumsy, quality=QualityCheck(accuracy, 0.125), **lenient), tmp_path)
    assert variant.quality is not None
    assert (variant.quality.original, variant.quality.variant) == (1.0, 0.875)
    with pytest.raises(ConversionError, match=r"its quality is 0.875, where the original's is 1 and may drop by 0\.1"):
        made(maker(double, clumsy, quality=QualityCheck(accuracy, 0.1), **lenient), tmp_path / "again")


def test_what_could_be_made_and_why_not() -> None:
    converters: Sequence[Any] = [Becomes(Converted(double)), Becomes(Converted(double), "not", reason="no card")]
    both = Maker(double, INPUTS, CASES, [CallableRuntime()], converters)
    assert [(one.name, one.refused) for one in both.candidates(CPU)] == [("other", ""), ("not", "no card")]


def test_of_named_converters_those_that_cannot_be_reached_are_told_too() -> None:
    converters: Sequence[Any] = [Becomes(Converted(double)), Becomes(Converted(double), "far", takes="saved_model")]
    every = Maker(double, INPUTS, CASES, [CallableRuntime()], converters)
    named = Maker(double, INPUTS, CASES, [CallableRuntime()], converters, named=True)
    assert [one.name for one in every.candidates(CPU)] == ["other"]
    assert [(one.name, one.refused) for one in named.candidates(CPU)] == [
        ("other", ""),
        ("far", "takes saved_model; this model is callable, and nothing leads there"),
    ]


def test_a_converter_that_gives_nothing_is_told_so(tmp_path: Path) -> None:
    nothing: Any = None
    with pytest.raises(ConversionError, match=r"convert\(\) of 'other' gave None, not a Converted"):
        made(Maker(double, INPUTS, CASES, [CallableRuntime()], [Becomes(nothing)]), tmp_path)


def test_a_converter_that_fails_to_tell_whether_it_applies_fails_alone() -> None:
    class Faulty(Becomes):
        def refuses(self, subject: Subject) -> str:
            raise RuntimeError("no such device")

    converters: Sequence[Any] = [Faulty(Converted(double), "faulty"), Becomes(Converted(double))]
    found = Maker(double, INPUTS, CASES, [CallableRuntime()], converters).candidates(CPU)
    assert [(one.name, one.refused) for one in found] == [
        ("faulty", "whether it applies cannot be told: RuntimeError: no such device"),
        ("other", ""),
    ]


class Optional(CallableRuntime):
    """Functions that take an option."""

    def __init__(self, options: Mapping[str, object] | None = None) -> None:
        self.options = options or {}

    def configured(self, options: Mapping[str, object]) -> Optional:
        return Optional(options)

    def open(self, model: Any, device: Device) -> Any:
        factor = self.options.get("factor", 1.0)
        return super().open(lambda x, scale: {"y": x * scale * factor}, device)


def test_a_variant_has_the_options_of_the_test_where_the_same_runtime_runs_it(tmp_path: Path) -> None:
    name = CallableRuntime().name
    choice = RuntimeChoice(name, {"factor": 3.0, "threads": 1})
    asked = Maker(
        double,
        INPUTS,
        CASES,
        [Optional()],
        [Becomes(Converted(double, RuntimeChoice(name, {"threads": 2})))],
        runtime=choice,
        permitted=Permitted(atol=1e9),
    )
    bench, variant = made(asked, tmp_path)
    assert "factor=3.0 threads=2" in bench.opened.runtime
    assert variant.notes == ()


def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Converted, knobs: Sequence[Knob]) -> Maker:
    """A maker whose runtime has these knobs: more `factor`, and what it gives takes less time."""
    monkeypatch.setattr(
        making, "knobs_of", lambda name, device, given: [one for one in knobs if one.option not in given]
    )
    monkeypatch.setattr(making, "shown", lambda settings: tuple(settings))
    monkeypatch.setattr(tuning, "is_faster", lambda new, old, cases, has_time: True)
    monkeypatch.setattr(Route, "key", lambda route, source: "the variant")
    cache = Cache(tmp_path / "cache")
    return Maker(double, INPUTS, CASES, [Optional()], [Becomes(made)], cache=cache, permitted=Permitted(atol=1e9))


def test_settings_that_were_found_are_a_part_of_the_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by = tuned(tmp_path, monkeypatch, Converted(double), [Knob("factor", (2.0,))])
    bench, variant = made(by, tmp_path)
    assert (variant.options, variant.settings, variant.title) == ({"factor": 2.0}, ("factor",), "other, factor")
    assert "factor=2.0" in bench.opened.runtime
    (parity,) = variant.parity
    assert parity.largest > 0


def test_settings_with_which_it_is_wrong_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by = replace(tuned(tmp_path, monkeypatch, Converted(double), [Knob("factor", (2.0,))]), permitted=None)
    _, variant = made(by, tmp_path)
    assert (variant.options, variant.settings, variant.parity[0].largest) == ({}, (), 0.0)


def test_settings_that_the_converter_chose_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = RuntimeChoice(CallableRuntime().name, {"factor": 1.0})
    by = tuned(tmp_path, monkeypatch, Converted(double, chosen), [Knob("factor", (2.0,))])
    assert made(by, tmp_path)[1].options == {"factor": 1.0}


def test_the_model_itself_is_a_variant_with_other_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    itself = Converted(double, unchanged=True)
    assert made(tuned(tmp_path, monkeypatch, itself, [Knob("factor", (2.0,))]), tmp_path)[1].settings == ("factor",)
    with pytest.raises(ConversionError, match="no setting was tried: there is none here that the test"):
        made(tuned(tmp_path / "other", monkeypatch, itself, []), tmp_path / "other")


def test_the_model_itself_is_no_variant_where_no_setting_wins_or_none_could_be_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = tuned(tmp_path, monkeypatch, Converted(double, unchanged=True), [Knob("factor", (2.0,))])
    with pytest.raises(ConversionError, match="no setting was tried: there was no time left"):
        by.prove(by.convert("other", held(by), CPU, tmp_path / "late"), 0.0)
    with pytest.raises(ConversionError, match="no setting was tried: its content cannot be told"):
        made(replace(by, cache=None), tmp_path / "not kept")
    monkeypatch.setattr(tuning, "is_faster", lambda new, old, cases, has_time: False)
    with pytest.raises(ConversionError, match=r"no setting that was tried makes it 1\.05 times as fast"):
        made(by, tmp_path / "slow")


def test_what_was_found_without_the_options_of_the_test_is_not_taken_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = tuned(tmp_path, monkeypatch, Converted(double), [Knob("factor", (2.0,))])
    assert made(by, tmp_path / "first")[1].options == {"factor": 2.0}
    asks = replace(by, runtime=RuntimeChoice(CallableRuntime().name, {"factor": 3.0}))
    assert made(asks, tmp_path / "second")[1].options == {"factor": 3.0}


def test_what_would_have_to_be_made_anew_is_not_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by = tuned(tmp_path, monkeypatch, Converted(double, tunable=False), [Knob("factor", (2.0,))])
    assert made(by, tmp_path)[1].settings == ()


def test_a_variant_in_another_runtime_says_that_it_has_not_the_options_of_the_test(tmp_path: Path) -> None:
    asked = maker(double, double, runtime=RuntimeChoice("onnxruntime", {"intra_op_num_threads": 1}))
    _, variant = made(asked, tmp_path)
    (note,) = variant.notes
    assert note.endswith("without what the test asks of its runtime: onnxruntime intra_op_num_threads=1")
