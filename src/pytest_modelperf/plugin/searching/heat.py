"""A heat: variants and their original, which take turns together; what is measured of it serves all of them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...domain.axes import Case
from ...domain.results import Point
from ...judging.gain import Look
from ...measuring.bench import Bench
from ...measuring.conduct import Conductor, Measured, Progress
from ...measuring.state import Observer
from ..examining.points import point
from ..twins.messages import Terms
from ..twins.remote_bench import LOST
from .entrants import Entrant, Failed, lost
from .ready import Ready

# Seconds of measuring for a case on either side in a first look, when most of what cannot win is told apart.
FIRST_SECONDS = 0.2
# What takes this many times as long in a single call, over all cases, is not warmed up. No state of a machine was seen
# to slow one process and not the other by as much, call after call (docs/measurements/repeatability.md).
HOPELESS = 4.0

# Told of what came to nothing.
Fail = Callable[[Entrant, Failed], None]


@dataclass(frozen=True)
class Course:
    """What all heats of a search have in common."""

    nodeid: str
    terms: Terms
    observer: Callable[[], Observer]
    show: Callable[[Progress], None]


def looks(
    course: Course, entrants: Sequence[Entrant], original: Ready, seconds: float, fail: Fail, number: int = 0
) -> list[tuple[Entrant, Look]]:
    """What is seen of each in turn with the original, all in one heat, in the so-maniest pair of processes.

    Those whose process is lost are told to `fail`, and the others go on; so are those that always fail. Raises what the
    original's process raises.
    """
    standing = list(entrants)
    while standing:
        try:
            seen = list(zip(standing, _in_turn(course, standing, original, seconds, number), strict=True))
        except LOST as error:
            gone = [one for one in standing if one.bench.is_behind(error)]
            if original.is_behind(error) or not gone:
                raise
            standing = [one for one in standing if one not in gone]
            for one in gone:
                fail(one, lost(error, one.place))
        else:
            return [one for one in seen if _ran(*one, fail)]
    return []


def paced(entrants: Sequence[Entrant], original: Ready, fail: Fail) -> list[Entrant]:
    """Those that may be fast enough; `fail` is told of others, which no turns are needed to tell of.

    The original is ready.
    """
    return [one for one in entrants if _has_pace(one, original, fail)]


def _in_turn(course: Course, entrants: Sequence[Entrant], original: Ready, seconds: float, number: int) -> list[Look]:
    name = ", ".join(one.variant.name for one in entrants)
    # Whose memory is laid out first may be better off: by chance, the same in every run, and each once in two.
    seed = zlib.crc32(f"{course.nodeid} {name}".encode()) + number
    others = [one.bench for one in entrants]
    benches = [original, *others] if seed % 2 else [*others, original]
    conductor = Conductor(
        list[Bench](benches),
        seconds=min(seconds, course.terms.seconds),
        seed=seed,
        only={Case(bench.opened.device, axes).key for bench in others for axes in bench.opened.cases},
        observer=course.observer(),
        watch=lambda progress: course.show(replace(progress, case=f"{name}: {progress.case}")),
        runtime=course.terms.runtime,
        counts=False,
    )
    measured = conductor.run()
    theirs = _of(original, measured, benches)
    return [(_of(bench, measured, benches), theirs) for bench in others]


def _has_pace(entrant: Entrant, original: Ready, fail: Fail) -> bool:
    try:
        times = _times_as_long(entrant.bench, original)
    except LOST as error:
        fail(entrant, lost(error, entrant.place))
        return False
    if times > HOPELESS:
        fail(entrant, Failed(f"not faster: a single call takes {times:.2g} times as long", slow=True))
    return times <= HOPELESS


def _times_as_long(variant: Ready, original: Ready) -> float:
    """A single call in those of the original, over all cases that can be told; 0 for none."""
    logs: list[float] = []
    for index, axes in enumerate(variant.opened.cases):
        usual = original.call_seconds(axes)
        single = variant.single_call(index) if usual else None
        if usual and single and single > HOPELESS * usual:
            # What compiles itself may do so in the second call of a shape (TorchScript), which this may be.
            single = variant.single_call(index)
        if usual and single:
            logs.append(math.log(single / usual))
    return math.exp(math.fsum(logs) / len(logs)) if logs else 0.0


def _ran(entrant: Entrant, found: Look, fail: Fail) -> bool:
    mine, _ = found
    reasons = "; ".join(sorted({one.reason for one in mine if not one.ok}))
    crowded = any(one.status == "out of memory" for one in mine)
    if (crowded and entrant.beside) or not any(one.ok for one in mine):
        fail(entrant, Failed(reasons, crowded=crowded))
        return False
    return True


def _of(bench: Ready, measured: Sequence[Measured], benches: Sequence[Ready]) -> list[Point]:
    return [point(one) for one in measured if benches[one.bench] is bench]
