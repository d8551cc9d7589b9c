"""Tuning: which settings of its runtime suit a variant, by a short search in the process that has made it.

What is timed here decides between settings and is never reported: which of several was the fastest had luck, too. The
variant with the settings that were chosen is measured afterwards as any other is.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import fmean, median

from ..measuring.bench import LocalBench
from .settings import Knob, Settings, Walked, walk

# What a setting must be faster by, as a suggestion must: less than that a short look does not tell from noise.
MARGIN = 1.05
# Rounds in turn against what has won before, and how many of them a winner may lose: one of sixteen that are no faster
# loses as few (binomial), before the margin. Who cannot win any more is given up at once.
ROUNDS, LOST = 7, 1
# The search for one variant takes no longer, but for the round that it is in.
SECONDS = 5.0
# A turn of fast calls; of slow ones it is a single call.
BLOCK_NS = 10_000_000
MOST_CALLS = 50
# Both are in one process. Threads spin on after a call and would take the other's time: they are given theirs to rest.
PAUSE = 0.01

# Nanoseconds of calls of a case, by its number: how many, after how many that do not count.
Timer = Callable[[int, int, int], Sequence[int]]


def tune(
    bench: LocalBench, knobs: Sequence[Knob], opens: Callable[[Settings], LocalBench], has_time: Callable[[], bool]
) -> Walked:
    """What has won, from the defaults, with which the bench is open; all that was opened is closed."""
    standing = bench

    def wins(settings: Settings) -> bool:
        nonlocal standing
        other = challenged(standing, settings, opens, has_time)
        if other is None:
            return False
        if standing is not bench:
            standing.release()
        standing = other
        return True

    try:
        return walk(knobs, wins, has_time)
    finally:
        if standing is not bench:
            standing.release()


def challenged(
    standing: LocalBench, settings: Settings, opens: Callable[[Settings], LocalBench], has_time: Callable[[], bool]
) -> LocalBench | None:
    """The bench with these settings, if it is faster than the one that stands; else it is closed."""
    with ExitStack() as stack:
        try:
            other = opens(settings)
            stack.callback(other.release)
            with standing.probing() as old, other.probing() as new:
                if not is_faster(new, old, _ends(other), has_time):
                    return None
        except Exception:  # noqa: BLE001 - whatever a framework raises: with what it cannot run is no gain
            return None
        stack.pop_all()
    return other


def is_faster(new: Timer, old: Timer, cases: Sequence[int], has_time: Callable[[], bool]) -> bool:
    """Whether the new one wins in turns with the old one: by the margin over all cases, and loses at none as much."""
    order = random.Random(0)
    calls = {case: _calls(old, new, case) for case in cases}
    least = math.log(MARGIN)
    rounds: list[float] = []
    gains: dict[int, list[float]] = {case: [] for case in cases}
    for _ in range(ROUNDS):
        if not has_time():
            return False
        for case in cases:
            gains[case].append(_gain(new, old, case, calls[case], order))
        rounds.append(fmean(each[-1] for each in gains.values()))
        if sum(gain <= 0 for gain in rounds) > LOST or sum(gain < least for gain in rounds) > ROUNDS // 2:
            return False
    return all(median(each) > -least for each in gains.values())


def _gain(new: Timer, old: Timer, case: int, calls: int, order: random.Random) -> float:
    """The logarithm of how many times as fast a turn of the new one was."""
    turns = [new, old]
    order.shuffle(turns)
    took = {timer: _turn(timer, case, calls) for timer in turns}
    return math.log(took[old] / took[new])


def _turn(timer: Timer, case: int, calls: int) -> int:
    """Its fastest call, above what any interruption adds."""
    time.sleep(PAUSE)
    return max(1, min(timer(case, calls, 1 if calls > 1 else 0)))


def _calls(old: Timer, new: Timer, case: int) -> int:
    """How many make a turn; first calls, which take longer, are over with it."""
    new(case, 1, 0)
    return max(1, min(MOST_CALLS, BLOCK_NS // max(1, *old(case, 1, 1))))


def _ends(bench: LocalBench) -> list[int]:
    """The numbers of the smallest and of the largest case."""
    cases = bench.opened.cases
    order = sorted(range(len(cases)), key=lambda index: math.prod(cases[index].values()))
    return [order[0], *order[1:][-1:]]
