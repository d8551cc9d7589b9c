"""A schedule: how many rounds there will be and how long each block is, settled before the first round that counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

# A block lasts about this long: 40 ms blocks in turn repeat within 0.5% (docs/verdicts.md, measured).
BLOCK_SECONDS = 0.04
# More calls than this in a block tell nothing new about a round.
MOST_CALLS_A_BLOCK = 500
# Calls at the start of a block that are made and not timed: caches and thread pools come back from the others' turn.
SETTLING_CALLS = 2
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


def schedule(call_seconds: float, seconds: float, *, pipelined: bool = False) -> Schedule:
    """The schedule of a case from the time of one call and the measuring time, both in seconds."""
    if call_seconds > seconds:
        return Schedule(SLOW_CALLS, 1, 0, slow=True)
    calls = max(1, min(MOST_CALLS_A_BLOCK, round(BLOCK_SECONDS / max(call_seconds, 1e-9))))
    # A fast model fills less than a block; as many rounds as a block's time gives are enough for it.
    block_seconds = max(Schedule(1, calls, SETTLING_CALLS).seconds(call_seconds, pipelined), BLOCK_SECONDS)
    rounds = math.floor(seconds / block_seconds)
    return Schedule(max(FEWEST_ROUNDS, rounds), calls, SETTLING_CALLS)
