"""Proving: whether a variant answers as the original does, and keeps what the user measures of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..domain.tensor import Value, map_leaves, tensors
from ..domain.units import format_quantity
from ..domain.variant import Parity, Permitted, Quality, QualityCheck, Rival
from ..errors import ConversionError, TooSlow
from ..measuring.bench import Asked, LocalBench
from ..measuring.inputs import draw
from ..runtimes.kinds import is_a
from .export import Answer
from .parity import check_kind, parities
from .protocol import Converted

# Draws of inputs at the smallest case; all others are asked once. A model that is frozen to one shape differs at
# another, one that is wrong for some values with other values.
DRAWS = 3
# What takes as long in two of these calls, one after the other, in seconds and in those of the original's, is asked no
# more: a variant that is tens of times slower (float16 where the CPU has no arithmetic for it) would take minutes to be
# proven and timed. In one call it may compile itself.
SLOW_SECONDS, SLOW_TIMES = 1.0, 10.0

# What takes so many times as long as its rival in the fastest of its calls would not win in more: the states of a
# machine are 1.3 times apart (docs/measurements/repeatability.md). Where the proof looks like it, calls of so many
# seconds, and so many at most, decide.
BEATEN = 1.5
PACE_SECONDS, MOST_CALLS = 0.05, 50

# TorchScript, live and as a file.
_SCRIPT, _SCRIPT_FILE = "torch.jit._script.ScriptModule", ".pt"

# An answer of the original, with the number of its case and of its draw.
Expected = tuple[int, int, Asked]


@dataclass(frozen=True)
class Prover:
    """Holds variants of a model to its answers at these `cases`, and to its `quality` before."""

    inputs: Any
    cases: Sequence[Mapping[str, int]]
    permitted: Permitted | None
    quality: QualityCheck | None
    # The fastest that is known of those that are no less exact.
    rival: Rival | None = None

    def expected(self, original: LocalBench) -> list[Expected]:
        """The original's answers."""
        first, *others = sorted(range(len(self.cases)), key=lambda index: math.prod(self.cases[index].values()))
        asked = [*((first, number) for number in range(DRAWS)), *((index, 0) for index in others)]
        return [(index, number, original.ask(draw(self.inputs, self.cases[index], number))) for index, number in asked]

    def answers(self, expected: Sequence[Expected], fixed: Mapping[str, int] | None) -> list[Answer]:
        """The first of the original at every case that the variant takes."""
        return [
            Answer(self.cases[index], asked.arrays, asked.dtypes)
            for index, number, asked in expected
            if number == 0 and fits(self.cases[index], fixed)
        ]

    def parity(
        self,
        bench: LocalBench,
        made: Converted,
        expected: Sequence[Expected],
        precision: str,
        go_on: Callable[[], None] = lambda: None,
    ) -> tuple[tuple[Parity, ...], Mapping[str, str]]:
        """How far its answers are from the expected ones, and its names of the outputs.

        `go_on` is called before any but the smallest case is asked. Raises Wrong, and ConversionError for what the
        smallest case shows to be too slow.
        """
        pairs: list[tuple[Asked, Asked]] = []
        names: dict[str, str] = {}
        settles = _settles(made.model)
        for index, number, before in expected:
            axes = self.cases[index]
            if fits(axes, made.fixed):
                case = list(bench.opened.cases).index(axes)
                values = unsettled(draw(self.inputs, axes, number), made.settled)
                for _ in range(DRAWS if settles and len(pairs) >= DRAWS else 1):
                    now = bench.ask(values, case)
                names |= check_kind(before, now, where(axes))
                pairs.append((before, now))
                if number:
                    _check_pace(pairs[-2:], where(axes))
                if number == DRAWS - 1:
                    self._check_beaten(bench, case, min(now.seconds for _, now in pairs), where(axes))
                    go_on()
        return parities(pairs, names, precision, self.permitted), names

    def _check_beaten(self, bench: LocalBench, case: int, fastest: float, place: str) -> None:
        """Raises ConversionError where a call of this case takes much longer than its rival's."""
        if self.rival is None or fastest <= BEATEN * self.rival.seconds:
            return
        # The first calls of a fast model are slow ones.
        calls = max(DRAWS, min(MOST_CALLS, int(PACE_SECONDS / fastest)))
        with bench.probing() as timed:
            fastest = min(timed(case, calls, calls)) * 1e-9
        if fastest > BEATEN * self.rival.seconds:
            raise TooSlow(
                f"beaten: a call at {place} takes {format_quantity(fastest, 's')}, one of {self.rival.name}, "
                f"which is no less exact, {format_quantity(self.rival.seconds, 's')}"
            )

    def measured(self, original: LocalBench) -> float:
        """The quality of the original, 0 where none is measured."""
        return self.quality.measure(self._caller(original, ())) if self.quality is not None else 0.0

    def kept(self, bench: LocalBench, made: Converted, before: float) -> Quality | None:
        """The quality of the variant beside that; None where none is measured.

        Raises ConversionError where it is too low.
        """
        if self.quality is None:
            return None
        now = self.quality.measure(self._caller(bench, made.settled))
        if not before - now <= self.quality.drop:
            raise ConversionError(
                f"its quality is {now:.4g}, where the original's is {before:.4g} and may drop by {self.quality.drop:g}"
            )
        return Quality(before, now, self.quality.drop)

    def _caller(self, bench: LocalBench, settled: Sequence[str]) -> Callable[..., Any]:
        """The model as a function of numpy arrays, positional or by name as the test declares inputs, that gives the
        arrays of its outputs by name."""

        def call(*args: Any, **kwargs: Any) -> Mapping[str, Any]:
            if isinstance(self.inputs, Mapping):
                plain = {name: value for name, value in self.inputs.items() if not any(tensors(value))}
                return bench.ask(unsettled(_values({**plain, **kwargs}, self.inputs), settled)).arrays
            return bench.ask(_values(list(args), self.inputs)).arrays

        return call


def unsettled(inputs: Any, settled: Sequence[str]) -> Any:
    """The inputs without those that have become part of the variant."""
    if not isinstance(inputs, Mapping):
        return inputs
    return {name: value for name, value in inputs.items() if name not in settled}


def fits(axes: Mapping[str, int], fixed: Mapping[str, int] | None) -> bool:
    """Whether a variant that is fixed to these sizes takes the case."""
    return all(axes.get(axis) == value for axis, value in (fixed or {}).items())


def where(axes: Mapping[str, int]) -> str:
    """The case for people."""
    return " ".join(f"{axis}={value}" for axis, value in axes.items()) or "every call"


def _values(given: Any, declared: Any) -> Any:
    """Arrays as Values of the dtypes that the test declares at their places, else of their own."""
    dtypes = {path: tensor.dtype for path, tensor in tensors(declared)}
    return map_leaves(given, np.ndarray, lambda path, array: Value(array, dtypes.get(path, array.dtype.name)))


def _settles(model: object) -> bool:
    """Whether it is made anew for a shape that is called again, by what was seen before, as TorchScript is.

    What is timed is what the last of some calls ran.
    """
    return is_a(model, _SCRIPT) or (isinstance(model, Path) and model.suffix == _SCRIPT_FILE)


def _check_pace(pairs: Sequence[tuple[Asked, Asked]], place: str) -> None:
    usual, fastest = max(before.seconds for before, _ in pairs), min(now.seconds for _, now in pairs)
    if fastest > max(SLOW_SECONDS, SLOW_TIMES * usual):
        times = fastest / max(usual, 1e-9)
        raise TooSlow(f"not faster: a call at {place} takes {times:.0f} times as long")
