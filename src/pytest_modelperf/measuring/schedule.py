"""A schedule: how many rounds there will be and how long each block is, settled before the first round that counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

# A block lasts about this long. What disturbs a block mostly disturbs all of it and little of the next: many short ones
# tell more than few long ones. The ratio of two processes in turn on a busy machine was known to 0.4-0.6% after 0.4 s
# each in blocks of 3 ms, to 0.7-2.1% in blocks of 10 ms; in blocks of 1 ms the changes of turn cost more than they
# bring (docs/measurements/repeatability.md).
BLOCK_SECONDS = 0.003
# Calls that are queued on an accelerator fill its pipeline and drain it once a block: a longer one hides that.
PIPELINED_BLOCK_SECONDS = 0.01
# More calls than this in a block tell nothing new about a round.
MOST_CALLS_A_BLOCK = 500
# Calls at the start of a block that are made and not timed, as many as fill this time and two at the most: caches and
# thread pools come back from the others' turn. A call that is longer than a block loses little by that, one of 12 ms a
# hundredth, on both sides alike, and the time of one that settles is better spent on a round: ratios of such calls were
# known a quarter better without (docs/measurements/repeatability.md).
SETTLING_SECONDS = 0.001
SETTLING_CALLS = 2
LONGEST_SETTLING_SECONDS = BLOCK_SECONDS
FEWEST_ROUNDS = 10
# A model whose single call is longer than the time given is called this often.
SLOW_CALLS = 3


@dataclass(frozen=True)
class Schedule:
    """`rounds` blocks of `calls` timed calls, each after `settling` untimed ones. `slow`: one call exceeds the time."""

    rounds: int
    calls: int
    settling: int
    slow: bool = False

    def seconds(self, call_seconds: float, pipelined: bool = False) -> float:
        """How long it will take, given the time of a call."""
        return self.rounds * self.block_seconds(call_seconds, pipelined)

    def block_seconds(self, call_seconds: float, pipelined: bool = False) -> float:
        """How long one block takes, its settling calls included."""
        return (self.settling + self.calls * (2 if pipelined else 1)) * call_seconds

    def takes_part(self, turn: int, turns: int) -> bool:
        """Whether a contender with these rounds has a block in turn `turn` of `turns`: its rounds are spread evenly."""
        return (turn + 1) * self.rounds // turns > turn * self.rounds // turns


def schedule(call_seconds: float, seconds: float, *, pipelined: bool = False, shares: int = 1) -> Schedule:
    """The schedule of a case from the time of one call and the measuring time, both in seconds.

    That is one of so many equal `shares` of the case's time, which have the fewest rounds together where a call is
    longer than one of them and not than all.
    """
    if call_seconds > seconds:
        fewest = math.ceil(FEWEST_ROUNDS / shares) if call_seconds <= seconds * shares else 0
        return Schedule(max(SLOW_CALLS, fewest), 1, 0, slow=True)
    block = PIPELINED_BLOCK_SECONDS if pipelined else BLOCK_SECONDS
    calls = max(1, min(MOST_CALLS_A_BLOCK, round(block / max(call_seconds, 1e-9))))
    settling = settling_calls(call_seconds)
    # A fast model fills less than a block; as many rounds as a block's time gives are enough for it.
    block_seconds = max(Schedule(1, calls, settling).seconds(call_seconds, pipelined), block)
    rounds = math.floor(seconds / block_seconds)
    return Schedule(max(FEWEST_ROUNDS, rounds), calls, settling)


def settling_calls(call_seconds: float) -> int:
    """How many calls at the start of a block are not timed."""
    if call_seconds > LONGEST_SETTLING_SECONDS:
        return 0
    return min(SETTLING_CALLS, math.ceil(SETTLING_SECONDS / max(call_seconds, 1e-9)))
