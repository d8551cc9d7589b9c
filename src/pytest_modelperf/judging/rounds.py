"""Which rounds count: those that others disturbed are left out while enough remain.

What disturbed a round is told by the machine's counters and never by the round's own times: rounds chosen by their
times would give any figure that one likes (docs/reference/verdicts.md).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..domain.results import Timing

# So many of the rounds must be left …
LEAST_SHARE = 0.5
# … and at the least as many as a schedule has (measuring/schedule.py); else all count, and their spread says it.
LEAST_LEFT = 10


def kept(timing: Timing, yardstick: str = "") -> tuple[int, ...]:
    """The indexes of the case's rounds that count, or of those in which a yardstick had blocks that count."""
    if not yardstick:
        return _undisturbed(range(len(timing.rounds_ns)), timing.disturbed)
    played = [number for number, calls in enumerate(timing.yardsticks[yardstick]) if calls]
    return _undisturbed(played, timing.disturbed_yardsticks.get(yardstick, ()))


def kept_turns(now: Timing, then: Timing) -> tuple[int, ...]:
    """Of the turns in which both sides played, those that count: neither side's block was disturbed."""
    then_turns = set(then.turns)
    disturbed = {timing.turns[number] for timing in (now, then) for number in timing.disturbed}
    return _undisturbed([turn for turn in now.turns if turn in then_turns], disturbed)


def _undisturbed(rounds: Sequence[int], disturbed: Collection[int]) -> tuple[int, ...]:
    left = tuple(number for number in rounds if number not in disturbed)
    return left if len(left) >= max(LEAST_LEFT, LEAST_SHARE * len(rounds)) else tuple(rounds)
