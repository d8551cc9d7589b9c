"""A bench whose cases are made ready once, for however many heats."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from ...domain.results import Status
from ...measuring.limits import resident_bytes
from ...measuring.orders import Block, Count, Prepare, Prepared, Samples, Soak, Soaked, Tallied
from ...measuring.peer import Peer
from ...measuring.warmup import WINDOW_SECONDS
from ..twins.remote_bench import BodyLeft, RemoteBench

# Seconds of measuring for a case in the longest heat: warm-up is for that one. The ratio of two processes in turn is
# known to about 0.5% after 0.4 s each (docs/measurements/repeatability.md).
SECONDS = 0.6


class Ready:
    """A bench in another process that is warm once it has been asked to be."""

    def __init__(self, bench: RemoteBench) -> None:
        self._bench, self.opened = bench, bench.opened
        self._prepared: dict[int, Prepared] = {}
        # Of cases that were called once, and are to be made ready yet.
        self._single: dict[int, float] = {}

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
        prepared = self._called(case)
        self.pause()
        if prepared.status != "ok":
            return None
        self._single[case] = prepared.call_seconds
        return prepared.call_seconds

    def call_seconds(self, axes: Mapping[str, int]) -> float | None:
        """Of a case that is ready; else None."""
        cases = list(self.opened.cases)
        prepared = self._prepared.get(cases.index(axes)) if axes in cases else None
        return prepared.call_seconds if prepared is not None and prepared.status == "ok" else None

    def prepare(self, order: Prepare) -> Prepared:
        if order.case not in self._prepared:
            self._prepared[order.case] = self._warmed(order.case)
        return self._prepared[order.case]

    def _warmed(self, case: int) -> Prepared:
        """As for the longest heat: what a short one cuts off would be missing there.

        A variant is called for its proof, for its pace, and three times here. A call as long as a window of the warm-up
        has caches and threads then; of shorter ones the warm-up sees when their time falls no longer.
        """
        single = self._single.get(case, 0.0)
        if single < WINDOW_SECONDS:
            return self._bench.prepare(Prepare(case, SECONDS))
        called = self._called(case)
        prepared = self._bench.prepare(Prepare(case, SECONDS, "finish")) if called.status == "ok" else called
        if prepared.status != "ok":
            return prepared
        return msgspec.structs.replace(prepared, call_seconds=min(single, called.call_seconds))

    def _called(self, case: int) -> Prepared:
        """A call of it, where there is room."""
        admitted = self._bench.prepare(Prepare(case, SECONDS, "admit"))
        return self._bench.prepare(Prepare(case, SECONDS, "call")) if admitted.status == "ok" else admitted

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
