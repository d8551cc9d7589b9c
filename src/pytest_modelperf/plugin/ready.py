"""A bench whose cases are made ready once, for however many heats."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from ..domain.results import Status
from ..measuring.limits import resident_bytes
from ..measuring.orders import Block, Count, Prepare, Prepared, Samples, Soak, Soaked, Tallied
from ..measuring.peer import Peer
from .remote_bench import BodyLeft, RemoteBench

# Seconds of measuring for a case in the longest heat: warm-up is for that one. The ratio of two processes in turn is
# known to about 0.5% after 0.4 s each (docs/measurements/repeatability.md).
SECONDS = 0.6


class Ready:
    """A bench in another process that is warm once it has been asked to be."""

    def __init__(self, bench: RemoteBench) -> None:
        self._bench, self.opened = bench, bench.opened
        self._prepared: dict[int, Prepared] = {}

    @property
    def is_lost(self) -> bool:
        return not self._bench.runner.peer.alive

    @property
    def held_bytes(self) -> int:
        """The memory of its process, and of those that it has started."""
        peer = self._bench.runner.peer
        assert isinstance(peer, Peer)
        return resident_bytes(peer.pid)

    def is_behind(self, error: Exception) -> bool:
        """Whether it is this process that was lost, or has left its test."""
        return self._bench.runner is error.runner if isinstance(error, BodyLeft) else self.is_lost

    def warm_up(self) -> None:
        """Make all cases ready, the smallest first."""
        cases = self.opened.cases
        for case in sorted(range(len(cases)), key=lambda index: math.prod(cases[index].values())):
            self.resume()
            self.prepare(Prepare(case, SECONDS))
            self.pause()

    def single_call(self, case: int) -> float | None:
        """The seconds of one call, before it is warmed up; None where it fails."""
        self.resume()
        prepared = self._bench.prepare(Prepare(case, SECONDS, "call"))
        self.pause()
        return prepared.call_seconds if prepared.status == "ok" else None

    def call_seconds(self, axes: Mapping[str, int]) -> float | None:
        """Of a case that is ready; else None."""
        cases = list(self.opened.cases)
        prepared = self._prepared.get(cases.index(axes)) if axes in cases else None
        return prepared.call_seconds if prepared is not None and prepared.status == "ok" else None

    def prepare(self, order: Prepare) -> Prepared:
        if order.case not in self._prepared:
            # As for the longest heat: what a short one cuts off would be missing there.
            self._prepared[order.case] = self._bench.prepare(msgspec.structs.replace(order, seconds=SECONDS))
        return self._prepared[order.case]

    def block(self, order: Block) -> Samples:
        samples = self._bench.block(order)
        if samples.error:
            # It is not called any more.
            status: Status = "out of memory" if samples.out_of_memory else "failed"
            self._prepared[order.case] = Prepared(status, samples.error)
        return samples

    def count(self, order: Count) -> Tallied:
        return self._bench.count(order)

    def soak(self, order: Soak) -> Soaked:
        return self._bench.soak(order)

    def resume(self) -> None:
        self._bench.resume()

    def pause(self) -> None:
        self._bench.pause()

    def release(self) -> None:
        self._bench.release()
