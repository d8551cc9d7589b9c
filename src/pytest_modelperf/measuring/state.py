"""The machine's state: what others took of it while blocks were played, and which blocks that disturbed.

Everything here goes by the machine's counters and never by the times of calls: rounds that were chosen by their times
would make figures as good as one likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..domain.host import MachineState, TakenTime
from .machine_counters import Events, MachineCounters, Reading

# Counters are compared over windows of at least this long, from block to block: the system counts CPU time in ticks of
# 10 ms, so that over this time a share of a core is known to ±0.04 (standard deviation).
WINDOW_SECONDS = 0.1
# A window is disturbed when others had more than this share of a core, which is five standard deviations, or when a
# hypervisor withheld more than this, which is two ticks.
OTHERS_SHARE = 0.2
STEAL_SHARE = 0.15
# On a machine of many CPUs that is nothing: there it is this share of them all.
SHARE_OF_ALL = 0.025
# Or when a container's quota kept threads waiting for more than this share of it: they all wait, for tens of
# milliseconds, when it is used up.
THROTTLED_SHARE = 0.02
# How often the clock is read at the most.
CLOCK_SECONDS = 0.5


class Source(Protocol):
    """What an observer reads: `MachineCounters`, a script in tests."""

    cpus: int
    granted: float
    sums: int

    def now(self) -> float: ...
    def read(self) -> Reading: ...
    def events(self) -> Events: ...
    def clock_hz(self) -> float | None: ...
    def governor(self) -> str: ...


@dataclass(frozen=True)
class Played:
    """A block: whose it was, and in which turn of which measurement."""

    player: Hashable
    measurement: int
    turn: int


@dataclass(frozen=True)
class Window:
    """A stretch of time and the blocks in it. `others` and `steal` are shares of one core (`steal` None: not told).

    `throttled` is the share of the time that a container's quota kept a thread waiting.
    """

    seconds: float
    cpus: int
    others: float
    steal: float | None
    blocks: tuple[Played, ...]
    gpu: frozenset[str] = frozenset()
    throttled: float = 0.0

    @classmethod
    def between(
        cls, before: Reading, now: Reading, source: Source, blocks: Iterable[Played], gpu: Iterable[str] = ()
    ) -> Window:
        """What happened from one reading to the next.

        Where a quota grants us a part of the CPUs, others may have the rest: in a cluster the counters tell of the
        whole node.
        """
        seconds = max(now.at - before.at, 1e-9)
        steal = None if now.steal is None or before.steal is None else now.steal - before.steal
        used = source.granted * seconds - (now.free - before.free) - (steal or 0.0)
        others = max(0.0, used - (now.ours - before.ours))
        share = None if steal is None else steal / seconds
        throttled = (now.throttled - before.throttled) / seconds
        return cls(seconds, source.cpus, others / seconds, share, tuple(blocks), frozenset(gpu), throttled)

    @property
    def disturbed(self) -> bool:
        """Whether its blocks tell of something else than the model."""
        return self.shared or self.withheld or self.throttled > THROTTLED_SHARE

    @property
    def shared(self) -> bool:
        """Whether others had more of the CPUs than may pass."""
        return self.others > max(OTHERS_SHARE, SHARE_OF_ALL * self.cpus)

    @property
    def withheld(self) -> bool:
        """Whether a hypervisor gave more of the CPUs to others than may pass."""
        return (self.steal or 0.0) > max(STEAL_SHARE, SHARE_OF_ALL * self.cpus)


class Observer:
    """Looks at the machine between blocks: `begin`, `after_block` after each, `end`; then tells what it saw.

    One may look at several measurements, one after the other. `gpu` tells for what reasons an accelerator runs slower
    than it can, just now.
    """

    def __init__(
        self, source: Callable[[], Source] = MachineCounters, gpu: Callable[[], Collection[str]] = lambda: ()
    ) -> None:
        self._source_of, self._gpu = source, gpu
        self._measurements = 0
        self._windows: list[Window] = []
        self._clocks: list[float] = []
        self._governor = ""
        self._happened = _Happened()

    def begin(self) -> None:
        """Just before the first block, when all processes of the measurement have been started."""
        self._source = self._source_of()
        self._measurements += 1
        self._governor = self._source.governor()
        # Of a reading that adds up several counters each is rounded.
        self._length = WINDOW_SECONDS * math.sqrt(self._source.sums)
        self._open: list[Played] = []
        self._previous: Reading | None = None
        self._events = self._source.events()
        self._began = self._last = self._source.read()
        self._next_clock = self._began.at + CLOCK_SECONDS

    def after_block(self, player: Hashable, turn: int) -> None:
        """A block is over."""
        self._open.append(Played(player, self._measurements, turn))
        if self._source.now() - self._last.at >= self._length:
            self._close()

    def end(self) -> None:
        """Just after the last block, while the processes are still there.

        Those after the last whole window make one with it: over a few milliseconds ticks tell nothing.
        """
        if self._open and self._previous is not None:
            last = self._windows.pop()
            self._last, self._open = self._previous, [*last.blocks, *self._open]
            self._close(last.gpu)
        seconds = self._source.now() - self._began.at
        self._happened = self._happened.and_then(self._events, self._source.events(), seconds)

    def disturbed(self, player: Hashable) -> frozenset[int]:
        """The turns in which a player's block was disturbed."""
        blocks = (block for window in self._windows if window.disturbed for block in window.blocks)
        return frozenset(block.turn for block in blocks if block.player == player)

    @property
    def state(self) -> MachineState:
        """What was seen in all measurements."""
        told = [window for window in self._windows if window.steal is not None]
        withheld = [(window, window.steal or 0.0) for window in told if window.withheld]
        return MachineState(
            rounds=_rounds(self._windows),
            others=_taken([(window, window.others) for window in self._windows if window.shared]),
            steal=_taken(withheld) if told else None,
            clock_hz=_range(self._clocks),
            governor=self._governor,
            heat=self._happened.heat,
            quota_seconds=self._happened.quota_seconds,
            preemptions=self._happened.preemptions_per_second,
            gpu=_reasons(self._windows),
        )

    def _close(self, gpu: Collection[str] = ()) -> None:
        now = self._source.read()
        self._windows.append(Window.between(self._last, now, self._source, self._open, {*gpu, *self._gpu()}))
        self._previous, self._last, self._open = self._last, now, []
        if now.at >= self._next_clock:
            self._next_clock = now.at + CLOCK_SECONDS
            clock = self._source.clock_hz()
            self._clocks += [] if clock is None else [clock]


class NoObserver(Observer):
    """Looks at nothing."""

    def begin(self) -> None:
        """Nothing."""

    def after_block(self, player: Hashable, turn: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


@dataclass(frozen=True)
class _Happened:
    """What has been counted over measurements of so many seconds."""

    seconds: float = 0.0
    heat: int = 0
    quota_seconds: float = 0.0
    preemptions: int | None = None

    def and_then(self, before: Events, after: Events, seconds: float) -> _Happened:
        # Threads that have ended took their counts with them.
        told = before.preemptions is not None and after.preemptions is not None
        more = max(0, (after.preemptions or 0) - (before.preemptions or 0))
        return _Happened(
            self.seconds + seconds,
            self.heat + max(0, after.heat - before.heat),
            self.quota_seconds + max(0.0, after.quota_seconds - before.quota_seconds),
            (self.preemptions or 0) + more if told else self.preemptions,
        )

    @property
    def preemptions_per_second(self) -> float | None:
        return None if self.preemptions is None or self.seconds <= 0 else self.preemptions / self.seconds


def _taken(shares: Sequence[tuple[Window, float]]) -> TakenTime:
    """The average share of one core in these windows, and the rounds that they touched."""
    seconds = sum(window.seconds for window, _ in shares)
    taken = sum(share * window.seconds for window, share in shares)
    return TakenTime(taken / seconds, _rounds(window for window, _ in shares)) if shares else TakenTime()


def _rounds(windows: Iterable[Window]) -> int:
    return len({(block.measurement, block.turn) for window in windows for block in window.blocks})


def _range(clocks: Sequence[float]) -> tuple[float, float] | None:
    """From the lowest to the highest, a tenth of the readings left out at each end."""
    kept = sorted(clocks)[len(clocks) // 10 : len(clocks) - len(clocks) // 10]
    return (kept[0], kept[-1]) if kept else None


def _reasons(windows: Sequence[Window]) -> dict[str, int]:
    reasons = sorted({reason for window in windows for reason in window.gpu})
    return {reason: _rounds(window for window in windows if reason in window.gpu) for reason in reasons}
