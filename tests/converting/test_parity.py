from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_modelperf.converting.parity import LIMITS, Wrong, check_kind, coarser, computing, parities, repeats
from pytest_modelperf.domain.variant import Parity, Permitted
from pytest_modelperf.measuring.bench import Asked
from pytest_modelperf.measuring.orders import Opened

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((3, 10)).astype(np.float32)


def asked(**outputs: Any) -> Asked:
    arrays = {name: np.asarray(array) for name, array in outputs.items()}
    return Asked(arrays, {name: array.dtype.name for name, array in arrays.items()})


def compared(before: Any, now: Any, precision: str = "float32", permitted: Permitted | None = None) -> Parity:
    (found,) = parities([(asked(y=before), asked(y=now))], {"y": "y"}, precision, permitted)
    return found


def test_equal_answers_differ_by_nothing() -> None:
    found = compared(LOGITS, LOGITS)
    assert (found.largest, found.mean, found.relative, found.error, found.top1) == (0.0, 0.0, 0.0, 0.0, 1.0)
    assert found.cosine == pytest.approx(1.0)


def test_an_error_is_told_as_a_part_of_the_scale_of_the_output() -> None:
    noise = np.zeros_like(LOGITS)
    noise[1, 2] = 1e-5
    found = compared(LOGITS * 100, (LOGITS + noise) * 100)
    scale = np.sqrt(np.mean(np.square(LOGITS)))
    assert found.relative == pytest.approx(1e-5 / scale, rel=0.2)
    assert found.largest == pytest.approx(1e-3, rel=0.2)
    assert found.mean == pytest.approx(1e-3 / LOGITS.size, rel=0.2)


def test_all_calls_count_and_the_worst_of_them_decides() -> None:
    pairs = [(asked(y=LOGITS), asked(y=LOGITS)), (asked(y=LOGITS), asked(y=LOGITS + np.float32(0.5)))]
    with pytest.raises(Wrong, match=r"it is off by 0\.6"):
        parities(pairs, {"y": "y"}, "float32", None)


@pytest.mark.parametrize("precision", ["float32", "tf32", "float16", "bfloat16", "int8"])
def test_what_is_permitted_depends_on_the_precision(precision: str) -> None:
    scale = float(np.sqrt(np.mean(np.square(LOGITS, dtype=np.float64))))
    before = LOGITS.astype(np.float64)
    within, beyond = before.copy(), before.copy()
    within[0, 0] += LIMITS[precision] * scale * 0.9
    beyond[0, 0] += LIMITS[precision] * scale * 1.1
    compared(before, within, precision)
    with pytest.raises(Wrong, match=rf"where {LIMITS[precision]:g} is permitted of {precision}"):
        compared(before, beyond, precision)


def test_an_output_that_is_off_a_little_everywhere_is_another_one() -> None:
    noise = np.random.default_rng(1).choice([-1.0, 1.0], (30, 30))
    before = np.random.default_rng(2).standard_normal((30, 30))
    compared(before, before + 0.1 * noise, "int8")
    with pytest.raises(Wrong, match=r"the cosine of its values and the original's is 0\.9[78]\d, where 0\.99"):
        compared(before, before + 0.2 * noise, "int8")


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16", "int8"])
def test_a_constant_and_rows_of_others_are_wrong_however_far_the_mean_is_from_0(precision: str) -> None:
    before = (0.5 + 0.01 * RNG.standard_normal((32, 4))).astype(np.float32)
    compared(before, before, precision)
    compared(before, before * np.float32(1.0 + 1e-7), precision)
    for now in (np.full_like(before, 0.5), np.roll(before, 1, axis=0), np.full_like(before, before.mean())):
        with pytest.raises(Wrong, match="is wrong"):
            compared(before, now, precision)


def test_one_value_around_a_mean_is_judged_by_all_calls() -> None:
    values = (0.5 + 0.01 * RNG.standard_normal((6, 1, 1))).astype(np.float32)
    now = values + np.float32(1e-4) * RNG.standard_normal((6, 1, 1)).astype(np.float32)
    pairs = [(asked(y=one), asked(y=other)) for one, other in zip(values, now, strict=True)]
    parities(pairs, {"y": "y"}, "bfloat16", None)
    with pytest.raises(Wrong, match="is wrong"):
        parities([(one, pairs[0][0]) for one, _ in pairs], {"y": "y"}, "bfloat16", None)


def test_roundings_of_a_constant_are_no_spread() -> None:
    ones = (1.0 + 1e-7 * RNG.integers(-1, 2, (8, 4))).astype(np.float32)
    compared(ones, np.ones_like(ones))
    compared(ones, ones + np.float32(4e-3), "bfloat16")


def test_classes_that_lead_by_more_than_the_error_stay_ahead() -> None:
    before = np.tile(3.0 * np.sin(np.arange(1000.0)), (100, 1)).astype(np.float32)
    before[:, :2] = (4.0, 3.4)
    now = before.copy()
    now[:5, :2] = (3.65, 3.75)
    with pytest.raises(Wrong, match="in 5 of 100 rows the largest value stands elsewhere"):
        compared(before, now, "bfloat16")
    near = before.copy()
    near[:, 1] = 3.95
    now = near.copy()
    now[:, :2] = (3.93, 3.97)
    assert compared(near, now, "bfloat16").top1 == 0.0


def test_nothing_to_compare_proves_nothing() -> None:
    for none in (np.zeros((0, 4), np.float32), np.array(["a", "b"])):
        with pytest.raises(Wrong, match="nothing was compared"):
            compared(none, none)
        assert repeats(asked(y=none), asked(y=none), "float32")


def test_the_tolerance_that_a_wrong_one_names_would_accept_it() -> None:
    with pytest.raises(Wrong, match=r'parity=\{"atol": (\S+)\} would accept it') as error:
        compared(LOGITS, LOGITS + np.float32(0.123))
    atol = float(str(error.value).partition('"atol": ')[2].partition("}")[0])
    assert compared(LOGITS, LOGITS + np.float32(0.123), permitted=Permitted(atol=atol)).limit == atol


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_where_the_original_has_one_is_wrong(bad: float) -> None:
    now = LOGITS.copy()
    now[0, 0] = bad
    with pytest.raises(
        Wrong, match=r"output 'y' has . NaN and . infinite values where the original has others, among 30"
    ):
        compared(LOGITS, now, "float16")


def test_masks_are_compared_by_their_sign_and_what_is_no_number_by_its_place() -> None:
    before, now = LOGITS.copy(), LOGITS.copy()
    before[0, :3] = [np.finfo(np.float32).min, np.inf, np.nan]
    now[0, :3] = [-np.inf, 65504.0, np.nan]
    assert compared(before, now, "float16").relative == 0.0
    now[0, 0] = 65504.0
    with pytest.raises(Wrong):
        compared(before, now, "float16")


def test_integers_are_equal() -> None:
    classes = np.arange(8)
    assert compared(classes, classes, "int8").error == 0.0
    with pytest.raises(Wrong, match=r"12\.50% of its values differ, and they are int64"):
        compared(classes, np.where(classes == 3, 4, classes), "int8")


@pytest.mark.parametrize(("precision", "most"), [("float32", 10), ("bfloat16", 100), ("int8", 100)])
def test_some_labels_may_be_others(precision: str, most: int) -> None:
    classes = RNG.integers(0, 3, 10_000)
    near, far = ((classes + (np.arange(10_000) < number)) % 3 for number in (most, most + 1))
    found = compared(classes, near, precision)
    assert (found.error, found.cosine) == (most / 1e4, None)
    assert found.limit == pytest.approx(most / 1e4)
    accepts = r"parity=\(lambda expected, actual: \(expected != actual\)\.mean\(\), (\S+)\) would accept it"
    with pytest.raises(Wrong, match=rf"of its values differ, and they are int64, of which .*% may; {accepts}") as error:
        compared(classes, far, precision)
    limit = float(str(error.value).rpartition(", ")[2].partition(")")[0])
    compared(classes, far, precision, Permitted(error=lambda one, other: (one != other).mean(), limit=limit))


def test_an_image_of_integers_is_numbers_that_were_rounded() -> None:
    exact = 255.0 * RNG.random((2, 3, 40, 40))
    image, near = exact.astype(np.uint8), np.clip(exact + RNG.normal(0.0, 2.0, exact.shape), 0, 255).astype(np.uint8)
    assert compared(image, near, "bfloat16").error < 0.2
    with pytest.raises(Wrong, match="they are uint8"):
        compared(image, near, "float32")
    with pytest.raises(Wrong, match=r'it is off by \d.* of its scale, .*; parity=\{"atol": \S+\} would accept it'):
        compared(image, np.roll(image, 1, axis=-1), "bfloat16")
    with pytest.raises(Wrong, match="the cosine of its values"):
        compared(image, np.clip(exact + RNG.choice([-25.0, 25.0], exact.shape), 0, 255).astype(np.uint8), "int8")


def test_parity_of_the_test_holds_for_integers_too() -> None:
    classes = np.arange(8)
    assert compared(classes, classes + 1, permitted=Permitted(atol=1.0)).error == 1.0
    with pytest.raises(Wrong, match=r'parity=\{"rtol": 0, "atol": 2\} would accept it'):
        compared(classes, classes + 2, permitted=Permitted(atol=1.0))


def test_the_test_s_own_measure_decides_where_it_gives_one() -> None:
    def worst(expected: Any, actual: Any) -> float:
        return float(np.abs(expected - actual).max())

    assert compared(LOGITS, LOGITS + np.float32(1.0), permitted=Permitted(error=worst, limit=1.1)).limit == 1.1
    with pytest.raises(Wrong, match=r"the error is 1, and parity permits 0\.9"):
        compared(LOGITS, LOGITS + np.float32(1.0), permitted=Permitted(error=worst, limit=0.9))


def test_names_shapes_and_dtypes_are_the_same() -> None:
    before = asked(logits=LOGITS, state=LOGITS)
    assert check_kind(before, asked(state=LOGITS, logits=LOGITS), "batch=3") == {"logits": "logits", "state": "state"}
    with pytest.raises(Wrong, match="its outputs at batch=3 are logits, where the original's are logits, state"):
        check_kind(before, asked(logits=LOGITS), "batch=3")
    with pytest.raises(
        Wrong, match=r"output 'state' has the shape \(1, 10\) at batch=3, where the original's has \(3, 10\)"
    ):
        check_kind(before, asked(logits=LOGITS, state=LOGITS[:1]), "batch=3")
    with pytest.raises(Wrong, match=r"output 'logits' is float64, where the original's is float32"):
        check_kind(before, asked(logits=LOGITS.astype(np.float64), state=LOGITS), "batch=3")


def test_a_larger_batch_may_have_more_outputs() -> None:
    """As of a detector, which gives a list, or of a classifier that gives a map for each sample."""
    one, two = {"0.boxes": LOGITS}, {"0.boxes": LOGITS, "1.boxes": 2 * LOGITS}
    names = {name: name for name in two}
    pairs = [(asked(**one), asked(**one)), (asked(**two), asked(**two))]
    assert [found.output for found in parities(pairs, names, "float32", None)] == ["0.boxes", "1.boxes"]
    wrong = (asked(**two), asked(**{**two, "1.boxes": LOGITS}))
    with pytest.raises(Wrong, match=r"output '1\.boxes' is wrong"):
        parities([pairs[0], wrong], names, "float32", None)


def test_outputs_without_names_are_told_by_their_order() -> None:
    before = asked(**{"0": LOGITS, "1": LOGITS[:, :2]})
    assert check_kind(before, asked(linear=LOGITS, split=LOGITS[:, :2]), "batch=3") == {"0": "linear", "1": "split"}


def test_an_output_of_zeros_permits_no_other_value() -> None:
    zeros = np.zeros((2, 2), np.float32)
    assert compared(zeros, zeros).error == 0.0
    with pytest.raises(Wrong, match="infinitely far"):
        compared(zeros, zeros + np.float32(1e-9))


def test_a_model_that_draws_its_answers_does_not_repeat() -> None:
    assert repeats(asked(y=LOGITS), asked(y=LOGITS), "float32")
    assert not repeats(asked(y=LOGITS), asked(y=LOGITS + np.float32(1.0)), "float32")


@pytest.mark.parametrize(
    ("precision", "computed", "found"),
    [("float32", "tf32", "tf32"), ("float32", "float32", "float32"), ("", "", "float64"), ("bfloat16", "", "bfloat16")],
)
def test_an_original_is_no_more_exact_than_it_computes(precision: str, computed: str, found: str) -> None:
    opened = Opened("cuda:0", "", (), (), 0.0, precision=precision, settings={"float32 precision": computed})
    assert computing(opened) == found


def test_what_computes_in_float32_is_right_beside_an_original_in_tf32() -> None:
    """And the other way round: the more exact one is not at fault for what the other has rounded away."""
    off = LOGITS * np.float32(1 + 6e-3)
    compared(LOGITS, off, coarser("float32", "tf32"))
    with pytest.raises(Wrong, match=r"where 0\.0001 is permitted of float32"):
        compared(LOGITS, off)


def test_the_coarser_of_two_precisions() -> None:
    assert coarser("float32", "bfloat16") == coarser("bfloat16", "float16") == "bfloat16"
