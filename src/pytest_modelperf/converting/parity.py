"""Parity: whether a variant gives the answers of the original, before anybody asks how fast it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..domain.precision import COARSE, PERMITTED, TF32, limiting
from ..domain.variant import Parity, Permitted
from ..errors import ConversionError
from ..measuring.answers import MASKED
from ..measuring.bench import Asked
from ..measuring.orders import Opened
from . import slices

# The largest difference of a value, as a part of its output's scale, by the coarsest dtype that a variant computes in.
# Full precision is held to what is permitted between two runs (domain/precision.py). Measured with a BERT of 12 layers
# (hidden size 384) and a ResNet-50 of random weights against themselves in float32, the largest of all values: bfloat16
# 0.10, float16 0.015, 8 bits 0.11 (dynamic) and 0.26 (OpenVINO, activations too); emulated (domain/precision.py): TF32
# 0.0093. What is permitted is twice that. The scale is the standard deviation of the original's values: where their
# mean is far from 0, a constant is close to all.
LIMITS: dict[str, float] = {**PERMITTED, TF32: 2e-2, "float16": 3e-2, "bfloat16": 2e-1, "int8": 5e-1}
# And the cosine of all values together, which in these was 0.998 at least: an output that is off by a seventh of its
# scale everywhere is another one, though no single value is far off. The same holds of what is left without their mean.
LEAST_COSINE = 0.99
# The share of rows whose largest value stays at its place, of those where it leads by more than a value may be off: two
# values would have to move against each other by most of what is permitted.
LEAST_TOP1 = 0.99
# The share of integers that may be others: the classes of pixels, of which some lie on a border. In full precision a
# tie may end otherwise, where sums are made in another order.
OTHERS, OTHERS_OF_TIES = 1.0 - LEAST_TOP1, 1e-3
# Integers of 8 bits with more values than this are an image, which is numbers that were rounded.
_CLASSES = 16
# Roundings of an output's own dtype that are no error, as a part of its root mean square: the 7e-6 that float32 differs
# by from kernel to kernel (domain/precision.py). A spread within that is noise, and no scale.
_ROUNDINGS = 64
FINEST = "float64"
# How far a mask may be from what masks are filled with: halves end at 65,504.
_MASK_LEFT = 1e4
_FLOATS, _NUMBERS = "fc", "fciub"
# Real floats, and how far apart two of them are beside 1.
_REAL = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


class Wrong(ConversionError):
    """Answers that are not the original's; the message says how far they are, and what tolerance they would need."""


def check_kind(expected: Asked, actual: Asked, where: str) -> dict[str, str]:
    """The variant's name of each output of the original's. Raises Wrong unless names, shapes and dtypes are equal.

    `where` names the axis values, "batch=3". Outputs without names of their own (positions) are told by their order.
    """
    names = _paired(expected, actual, where)
    for name, other in names.items():
        before, now = expected.arrays[name].shape, actual.arrays[other].shape
        if before != now:
            raise Wrong(f"output {name!r} has the shape {now} at {where}, where the original's has {before}")
        was, is_now = expected.dtypes[name], actual.dtypes[other]
        if was != is_now:
            raise Wrong(f"output {name!r} is {is_now}, where the original's is {was}")
    return names


def parities(
    asked: Sequence[tuple[Asked, Asked]], names: Mapping[str, str], precision: str, permitted: Permitted | None
) -> tuple[Parity, ...]:
    """How far each output is from the original's, over pairs of expected and actual answers.

    Raises Wrong for values that are no numbers where the original's are, for what is farther than is permitted (by the
    test, else of this `precision`), and where there are no numbers to compare.
    """
    if not any(before.size for pairs in _by_output(asked, names).values() for before, _ in pairs):
        raise Wrong("nothing was compared: no output of the original has a number")
    return _parities(asked, names, precision, permitted)


def _by_output(asked: Sequence[tuple[Asked, Asked]], names: Mapping[str, str]) -> dict[str, list[tuple[Any, Any]]]:
    """The original's numbers and the variant's at each call by output, of which a larger batch may have more."""
    found = {
        name: [(one.arrays[name], other.arrays[now]) for one, other in asked if name in one.arrays]
        for name, now in names.items()
    }
    return {name: pairs for name, pairs in found.items() if pairs and pairs[0][0].dtype.kind in _NUMBERS}


def _parities(
    asked: Sequence[tuple[Asked, Asked]], names: Mapping[str, str], precision: str, permitted: Permitted | None
) -> tuple[Parity, ...]:
    pairs = _by_output(asked, names)
    found = [_parity(name, both, precision, permitted) for name, both in pairs.items()]
    for parity in found:
        if not parity.error <= parity.limit:
            raise Wrong(_told(parity, precision, permitted))
        if permitted is None and parity.cosine is not None and parity.cosine < LEAST_COSINE:
            what = (
                f"the cosine of its values and the original's is {parity.cosine:.3f}, where {LEAST_COSINE} is the least"
            )
            raise Wrong(
                f'output {parity.output!r} is wrong: {what}; parity={{"atol": {_up(parity.largest)}}} would accept it'
            )
        if permitted is None:
            _check_top1(parity, pairs[parity.output])
            dtype = next(one.dtypes[parity.output] for one, _ in asked if parity.output in one.dtypes)
            _check_slices(parity, pairs[parity.output], dtype)
    return tuple(found)


def repeats(first: Asked, second: Asked, precision: str) -> bool:
    """Whether two answers to equal inputs are alike: else there is nothing to compare a variant's with."""
    try:
        _parities([(first, second)], {name: name for name in first.arrays}, precision, None)
    except Wrong:
        return False
    return True


def coarser(first: str, second: str) -> str:
    """Of two precisions the one of which more is permitted."""
    return max(first, second, key=lambda precision: LIMITS.get(precision, COARSE))


def computing(opened: Opened) -> str:
    """What the model that is open computes in, at its most precise: what its weights are kept in, or TF32."""
    return limiting(opened.precision, opened.settings) or FINEST


def limit_of(dtype: str, precision: str) -> float:
    """What is permitted of floats of this dtype, that were computed in this precision."""
    return max(PERMITTED.get(dtype, COARSE), LIMITS.get(precision, COARSE))


def _paired(expected: Asked, actual: Asked, where: str) -> dict[str, str]:
    mine, theirs = list(expected.arrays), list(actual.arrays)
    if set(mine) == set(theirs):
        return {name: name for name in mine}
    unnamed = any(all(name.isdigit() for name in names) for names in (mine, theirs))
    if len(mine) == len(theirs) and unnamed:
        return dict(zip(mine, theirs, strict=True))
    raise Wrong(f"its outputs at {where} are {', '.join(theirs)}, where the original's are {', '.join(mine)}")


def _parity(name: str, pairs: Sequence[tuple[Any, Any]], precision: str, permitted: Permitted | None) -> Parity:
    dtype = str(pairs[0][0].dtype)
    if pairs[0][0].dtype.kind not in _FLOATS:
        return _whole(name, dtype, pairs, precision, permitted)
    plain = [_plain(name, before, now) for before, now in pairs]
    apart = [np.abs(now - before) for before, now in plain]
    largest = max((float(one.max()) for one in apart if one.size), default=0.0)
    middle, scale, rounded = _scale(plain, dtype)
    relative = _part(largest, scale)
    error, limit = _part(max(0.0, largest - rounded), scale), limit_of(dtype, precision)
    if permitted is not None:
        error, limit = _by_the_test(pairs, plain, permitted)
    return Parity(
        name,
        dtype,
        largest,
        _mean(apart),
        relative if math.isfinite(relative) else None,
        _least_cosine(plain, middle),
        _top1(pairs),
        error,
        limit,
    )


def _whole(
    name: str, dtype: str, pairs: Sequence[tuple[Any, Any]], precision: str, permitted: Permitted | None
) -> Parity:
    """Integers and booleans: the error is the share of values that differ, of an image as of floats."""
    wide = [(before.astype(np.float64), now.astype(np.float64)) for before, now in pairs]
    apart = [np.abs(now - before) for before, now in wide]
    largest = max((float(one.max()) for one in apart if one.size), default=0.0)
    share, permits = _mean([before != now for before, now in pairs]), LIMITS.get(precision, COARSE)
    coarse = permits >= LIMITS[TF32]
    error, limit = share, OTHERS if coarse else OTHERS_OF_TIES
    if permitted is not None:
        error, limit = _by_the_test(pairs, wide, permitted)
    elif error > limit and coarse and _is_image(pairs):
        middle, scale, _ = _scale(wide, FINEST)
        # What was rounded may be off by one.
        error, share = _part(max(0.0, largest - 1.0), scale), _part(largest, scale)
        return Parity(name, dtype, largest, _mean(apart), share, _least_cosine(wide, middle), None, error, permits)
    return Parity(name, dtype, largest, _mean(apart), share, None, None, error, limit)


def _is_image(pairs: Sequence[tuple[Any, Any]]) -> bool:
    if any(before.dtype.kind not in "iu" or before.dtype.itemsize > 1 for before, _ in pairs):
        return False
    return np.unique(np.concatenate([before.reshape(-1) for before, _ in pairs])).size > _CLASSES


def _plain(name: str, before: Any, now: Any) -> tuple[Any, Any]:
    """The values that are numbers, as doubles. Raises Wrong where only one side's are; masks are none."""
    wide = np.complex128 if before.dtype.kind == "c" else np.float64
    before, now = before.astype(wide), now.astype(wide)
    with np.errstate(invalid="ignore"):
        masked = ~(np.abs(before) < MASKED)
        fits = np.isnan(now) == np.isnan(before)
        # Signs tell masks apart, and -inf of a half stands for the smallest float32.
        fits &= ~masked | np.isnan(before) | ((np.abs(now) >= _MASK_LEFT) & (np.sign(now.real) == np.sign(before.real)))
        fits &= masked | np.isfinite(now)
    if not fits.all():
        nan, infinite = int(np.isnan(now[~fits]).sum()), int(np.isinf(now[~fits]).sum())
        what = f"{nan} NaN and {infinite} infinite values" if nan or infinite else "plain numbers"
        raise Wrong(f"output {name!r} has {what} where the original has others, among {now.size} values")
    return before[~masked], now[~masked]


def _by_the_test(
    pairs: Sequence[tuple[Any, Any]], plain: Sequence[tuple[Any, Any]], permitted: Permitted
) -> tuple[float, float]:
    """The error, and what is permitted of it: the largest excess over `rtol` as an `atol`, or what a function says."""
    if permitted.error is not None:
        return _by_function(pairs, permitted)
    beyond = [np.abs(now - before) - permitted.rtol * np.abs(before) for before, now in plain]
    return max((float(one.max()) for one in beyond if one.size), default=0.0), permitted.atol


def _by_function(pairs: Sequence[tuple[Any, Any]], permitted: Permitted) -> tuple[float, float]:
    assert permitted.error is not None
    errors = [float(permitted.error(before, now)) for before, now in pairs]
    return max(math.inf if math.isnan(error) else error for error in errors), permitted.limit


def _scale(plain: Sequence[tuple[Any, Any]], dtype: str) -> tuple[Any, float, float]:
    """What is taken off the original's values, the scale of what is left, and what roundings alone may do to them.

    Their mean and their standard deviation; of a constant output nothing and the root mean square.
    """
    values = [before for before, _ in plain]
    middle = sum((one.sum() for one in values), start=0.0) / max(1, sum(one.size for one in values))
    whole = math.sqrt(_mean([np.square(np.abs(one)) for one in values]))
    spread = math.sqrt(_mean([np.square(np.abs(one - middle)) for one in values]))
    rounded = _ROUNDINGS * float(np.finfo(dtype).eps) * whole
    return (middle, spread, rounded) if spread > rounded else (0.0, whole, rounded)


def _part(error: float, scale: float) -> float:
    return error / scale if scale > 0.0 else (0.0 if error == 0.0 else math.inf)


def _least_cosine(plain: Sequence[tuple[Any, Any]], middle: Any) -> float:
    """Of each call, and of all without their middle."""
    return min([_cosine([both]) for both in plain] + [_cosine(plain, middle)])


def _cosine(pairs: Sequence[tuple[Any, Any]], middle: Any = 0.0) -> float:
    """Of all values together, without the `middle`."""
    dot = before_square = now_square = 0.0
    for before, now in pairs:
        one, other = before - middle, now - middle
        dot += float(np.vdot(one, other).real)
        before_square += float(np.vdot(one, one).real)
        now_square += float(np.vdot(other, other).real)
    norms = math.sqrt(before_square) * math.sqrt(now_square)
    return dot / norms if norms > 0.0 else float(before_square == now_square)


def _check_top1(parity: Parity, pairs: Sequence[tuple[Any, Any]]) -> None:
    """Raises Wrong where the largest values of rows have moved, that lead by more than a value may be off."""
    if parity.top1 is None or parity.top1 >= LEAST_TOP1 or not parity.relative:
        return
    permitted = max(parity.largest, parity.limit * parity.largest / parity.relative)
    clear = [_lead(before) > permitted for before, _ in pairs]
    moved = [before.argmax(axis=-1) != now.argmax(axis=-1) for before, now in pairs]
    rows = sum(int(led.sum()) for led in clear)
    wrong = sum(int((each & led).sum()) for each, led in zip(moved, clear, strict=True))
    if wrong > (1.0 - LEAST_TOP1) * rows:
        raise Wrong(
            f"output {parity.output!r} is wrong: in {wrong} of {rows} rows the largest value stands elsewhere, though "
            f'it leads by more than a value may be off; parity={{"atol": {_up(parity.largest)}}} would accept it'
        )


def _check_slices(parity: Parity, pairs: Sequence[tuple[Any, Any]], dtype: str) -> None:
    """Raises Wrong where parts of it that have a scale of their own are lost: the scores of a head beside its boxes."""
    if parity.dtype not in _REAL:
        return
    # What the original rounds to: its halves came as float32.
    eps = _REAL.get(dtype, _REAL[parity.dtype])
    size = math.sqrt(_mean([np.square(np.where(np.abs(one) < MASKED, one, 0.0), dtype=np.float64) for one, _ in pairs]))
    lost = slices.lost(pairs, parity.limit, _ROUNDINGS * eps * size)
    if lost is not None:
        raise Wrong(
            f"output {parity.output!r} is wrong: {lost}, which the scale of the whole output hides; "
            f'parity={{"atol": {_up(parity.largest)}}} would accept it'
        )


def _lead(array: Any) -> Any:
    """By how much the largest value of each row leads."""
    first_two = np.partition(np.where(np.isfinite(array), array, -MASKED), -2, axis=-1)[..., -2:].astype(np.float64)
    return first_two[..., 1] - first_two[..., 0]


def _top1(pairs: Sequence[tuple[Any, Any]]) -> float | None:
    """Of the rows of the last axis, the share whose largest value stands at the same place; None without classes."""
    if pairs[0][0].ndim < 2 or pairs[0][0].shape[-1] < 2 or pairs[0][0].dtype.kind == "c":
        return None
    return _mean([before.argmax(axis=-1) == now.argmax(axis=-1) for before, now in pairs])


def _mean(arrays: Sequence[Any]) -> float:
    number = sum(array.size for array in arrays)
    return math.fsum(float(array.sum(dtype=np.float64)) for array in arrays) / number if number else 0.0


def _told(parity: Parity, precision: str, permitted: Permitted | None) -> str:
    return f"output {parity.output!r} is wrong: " + "; ".join(_reasons(parity, precision, permitted))


def _reasons(parity: Parity, precision: str, permitted: Permitted | None) -> Iterator[str]:
    if permitted is not None and permitted.error is not None:
        yield f"the error is {parity.error:.3g}, and parity permits {parity.limit:.3g}"
    elif permitted is None and parity.cosine is None:
        yield f"{parity.error:.2%} of its values differ, and they are {parity.dtype}, of which {parity.limit:.1%} may"
        yield f"parity=(lambda expected, actual: (expected != actual).mean(), {_up(parity.error)}) would accept it"
    elif permitted is not None:
        yield f'parity={{"rtol": {permitted.rtol:g}, "atol": {_up(parity.error)}}} would accept it'
    else:
        times = "infinitely far" if parity.relative is None else f"{parity.relative:.2g} of its scale"
        yield f"it is off by {times}, where {parity.limit:g} is permitted of {precision}"
        yield f'parity={{"atol": {_up(parity.largest)}}} would accept it'


def _up(error: float) -> str:
    """The error with two digits, rounded up: what is written is to be enough."""
    if not 0.0 < error < math.inf:
        return f"{error:g}"
    step = 10.0 ** (math.floor(math.log10(error)) - 1)
    return f"{math.ceil(error / step) * step:.2g}"
