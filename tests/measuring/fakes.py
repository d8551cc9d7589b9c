"""What stands in for a model, a machine and a process: a clock that is told what a call takes, and players that log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.counting import Counted
from pytest_modelperf.domain.session import DeviceMemory, ModelFacts, Weight
from pytest_modelperf.domain.tensor import Value, map_leaves
from pytest_modelperf.measuring import blocks
from pytest_modelperf.measuring.machine_counters import Events, Reading
from pytest_modelperf.measuring.orders import Block, Count, Opened, Prepare, Prepared, Samples, Soak, Soaked, Tallied
from pytest_modelperf.measuring.peer import Fate, Lost
from pytest_modelperf.measuring.yardstick import Yardstick


@dataclass
class Clock:
    """A clock that stands until work is done."""

    now_ns: int = 1_000_000_000

    def ns(self) -> int:
        return self.now_ns

    def seconds(self) -> float:
        return self.now_ns * 1e-9

    def work(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Make it the clock that measuring reads."""
        monkeypatch.setattr(blocks, "perf_counter_ns", self.ns)
        return self


class DoesNotFit(Exception):
    """What the fake framework raises when its device has no memory left."""


@dataclass
class FakeSession:
    """A session whose calls move the clock by `call_seconds(batch)`, what is queued only when it is waited for.

    `peaks` gives the device's high-water mark of a batch (None: the memory is the process's own); `answer` what a
    call returns.
    """

    clock: Clock
    call_seconds: Callable[[int], float] = lambda batch: 0.001 * batch
    answer: Callable[[int], Any] = lambda batch: np.arange(batch, dtype=np.float32)
    asynchronous: bool = False
    peaks: Callable[[int], int] | None = None
    held_bytes: int = 0
    free: int | None = None
    facts: ModelFacts = field(default_factory=lambda: ModelFacts("a fake", 400, 100, {"fake": "1.0"}))
    log: list[str] = field(default_factory=list)
    bound: list[Any] = field(default_factory=list)
    told: Mapping[str, Weight] | None = None
    queued: float = 0.0
    peak_bytes: int = 0
    inside: bool = False

    @contextmanager
    def running(self) -> Iterator[None]:
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    def bind(self, inputs: Any) -> Callable[[], Any]:
        assert self.inside
        arrays = map_leaves(inputs, Value, lambda _, value: value.array)
        self.bound.append(arrays)
        leaves = list(arrays.values() if isinstance(arrays, Mapping) else arrays)
        batch = len(leaves[0]) if leaves else 1

        def call() -> Any:
            assert self.inside
            self._work(self.call_seconds(batch))
            if self.peaks is not None:
                self.peak_bytes = max(self.peak_bytes, self.held_bytes + self.peaks(batch))
            return self.answer(batch)

        return call

    def _work(self, seconds: float) -> None:
        if self.asynchronous:
            self.queued += seconds
        else:
            self.clock.work(seconds)

    def wait(self) -> None:
        self.clock.work(self.queued)
        self.queued = 0.0

    def arrays(self, outputs: Any) -> dict[str, Any]:
        assert self.inside
        return outputs if isinstance(outputs, dict) else {"0": outputs}

    def dtypes(self, outputs: Any) -> dict[str, str]:
        return {name: np.asarray(array).dtype.name for name, array in self.arrays(outputs).items()}

    def weights(self) -> Mapping[str, Weight] | None:
        return self.told

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        self.told = dict(weights)

    def reset_peak(self) -> None:
        self.peak_bytes = self.held_bytes

    def peak(self) -> DeviceMemory | None:
        return None if self.peaks is None else DeviceMemory(self.peak_bytes, 2 * self.peak_bytes)

    def free_bytes(self) -> int | None:
        return self.free

    def trim(self) -> None:
        assert self.inside
        self.log.append("trim")

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, DoesNotFit | MemoryError)

    def close(self) -> None:
        self.log.append("close")


@dataclass(eq=False)
class FakePlayer:
    """A player that writes down what is asked of it, and answers blocks with `answers` (by default calls of 1 µs)."""

    name: str
    log: list[str]
    answer: Callable[[Block], Samples] = lambda order: Samples((1000,) * order.calls)
    resumed: bool = False
    orders: list[Block] = field(default_factory=list)

    def resume(self) -> None:
        self.resumed = True
        self.log.append(f"resume {self.name}")

    def pause(self) -> None:
        self.resumed = False
        self.log.append(f"pause {self.name}")

    def block(self, order: Block) -> Samples:
        assert self.resumed
        self.orders.append(order)
        self.log.append(f"block {self.name} {order.case}")
        return self.answer(order)


class FakeBench(FakePlayer):
    """A bench of cases over `batch`; `prepare` is asked for what a case becomes."""

    def __init__(
        self,
        batches: Sequence[int],
        *,
        device: str = "cpu",
        prepare: Callable[[int], Prepared] = lambda batch: ready(0.001 * batch),
        answer: Callable[[Block], Samples] = lambda order: Samples((1000,) * order.calls),
        asynchronous: bool = False,
        log: list[str] | None = None,
    ) -> None:
        super().__init__(device, [] if log is None else log, answer)
        self._prepare, self.batches = prepare, batches
        self.opened = Opened(
            device=device,
            description="a fake",
            cases=tuple({"batch": batch} for batch in batches),
            samples_per_call=tuple(batches),
            load_seconds=0.5,
            asynchronous=asynchronous,
        )

    def prepare(self, order: Prepare) -> Prepared:
        assert self.resumed
        self.log.append(f"prepare {self.name} {self.batches[order.case]} for {order.seconds:g} s")
        return self._prepare(self.batches[order.case])

    def count(self, order: Count) -> Tallied:
        assert self.resumed
        self.log.append(f"count {self.name} {', '.join(str(self.batches[case]) for case in order.cases)}")
        return Tallied(tuple(Counted({"flops": 100.0 * self.batches[case]}) for case in order.cases))

    def soak(self, order: Soak) -> Soaked:
        assert self.resumed
        self.log.append(f"soak {self.name} {self.batches[order.case]}")
        return Soaked((0, 1000))

    def release(self) -> None:
        self.log.append(f"release {self.name}")


class FakeYardstick(Yardstick):
    """A yardstick without a process: its calls take 1 ms."""

    def __init__(self, log: list[str], name: str = "fake/1", index: int = 0) -> None:
        self.name, self.call_seconds, self.index = name, 0.001, index
        self.player = FakePlayer("yardstick", log, lambda order: Samples((1_000_000,) * order.calls))

    def block(self, order: Block) -> Samples:
        return self.player.block(order)

    def resume(self) -> None:
        self.player.resume()

    def pause(self) -> None:
        self.player.pause()


@dataclass
class Machine:
    """A machine with counters: `work` moves its clock, and gives the CPUs to us, to others, to another machine."""

    cpus: int = 2
    granted: float = 0.0
    sums: int = 1
    tells_steal: bool = True
    clocks: Iterator[float | None] = field(default_factory=lambda: iter(()))
    free: float = 0.0
    ours: float = 5.0
    steal: float = 0.0
    time: float = 100.0
    heat: int = 7
    quota: float = 1.0
    preemptions: int | None = 1000
    read_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.granted = self.granted or self.cpus

    def work(self, seconds: float, *, ours: float = 1.0, others: float = 0.0, steal: float = 0.0) -> None:
        self.time += seconds
        self.ours += ours * seconds
        self.steal += steal * seconds
        self.free += (self.cpus - ours - others - steal) * seconds

    def now(self) -> float:
        return self.time

    def read(self) -> Reading:
        self.read_at.append(self.time)
        # A system that does not tell counts stolen time as anybody's.
        return Reading(self.time, self.free, self.ours, self.steal if self.tells_steal else None, self.quota)

    def events(self) -> Events:
        return Events(self.heat, self.quota, self.preemptions)

    def clock_hz(self) -> float | None:
        return next(self.clocks, None)

    def governor(self) -> str:
        return "powersave"


def ready(call_seconds: float) -> Prepared:
    """A case that can be timed."""
    return Prepared("ok", call_seconds=call_seconds)


def lose(out_of_memory: bool = False) -> Lost:
    """What is raised when a runner dies."""
    return Lost("the runner", Fate("was killed by signal 11 (SIGSEGV)", out_of_memory))
