"""Turns: contenders take blocks in random order, round after round; who waits is stopped."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .orders import Block, Samples
from .schedule import Schedule


class Player(Protocol):
    """What a contender plays on: a bench or a yardstick. `block` is asked only between `resume` and `pause`."""

    def block(self, order: Block) -> Samples: ...
    def resume(self) -> None: ...
    def pause(self) -> None: ...


@dataclass(eq=False)
class Contender:
    """One case on a bench, or a yardstick, and the blocks it has played so far, by turn.

    Contenders of one `group`, which have equal rounds, play one after the other: what disturbs the machine for a while
    disturbs them alike.
    """

    player: Player
    case: int
    schedule: Schedule
    pipelined: bool = False
    group: object = field(default_factory=object)
    blocks: dict[int, Samples] = field(default_factory=dict)
    failure: Samples | None = None
    playing: bool = False

    def takes_part(self, turn: int, turns: int) -> bool:
        return self.failure is None and self.schedule.takes_part(turn, turns)

    def play(self, turn: int) -> None:
        """Take one block. A block that fails ends this contender, not the round."""
        self.playing = True
        self.player.resume()
        order = Block(self.case, self.schedule.calls, self.schedule.settling, self.pipelined)
        samples = self.player.block(order)
        self.player.pause()
        self.playing = False
        if samples.error:
            self.failure = samples
        else:
            self.blocks[turn] = samples


def take_turns(
    contenders: Sequence[Contender],
    rng: random.Random,
    after_round: Callable[[int, int], None],
    after_block: Callable[[Contender, int], None] = lambda contender, turn: None,
) -> None:
    """Play every contender's rounds.

    While nothing is timed, `after_block(contender, turn)` is called between blocks, `after_round(done, of)` between
    rounds.

    A contender with fewer rounds than the others sits some out, evenly spread: all see the same stretch of time.
    """
    turns = max((contender.schedule.rounds for contender in contenders), default=0)
    owed: _Orders = {}
    for turn in range(turns):
        for contender in _order([one for one in contenders if one.takes_part(turn, turns)], rng, owed):
            contender.play(turn)
            after_block(contender, turn)
        after_round(turn + 1, turns)


# By group, the order in which its contenders played, where they have not yet played in the opposite one.
_Orders = dict[object, list[Contender]]


def _order(playing: Sequence[Contender], rng: random.Random, owed: _Orders) -> Iterator[Contender]:
    """Groups in random order, and in each its contenders in random order, and in its next round in the opposite one.

    So each of two has gone first as often as the other, and what the first one meets favours neither.
    """
    groups: _Orders = {}
    for contender in playing:
        groups.setdefault(contender.group, []).append(contender)
    order = list(groups.items())
    rng.shuffle(order)
    for group, contenders in order:
        before = owed.pop(group, None)
        if before is None:
            rng.shuffle(contenders)
            owed[group] = contenders
            yield from contenders
        else:
            # One may have failed meanwhile.
            yield from (contender for contender in reversed(before) if contender in contenders)
