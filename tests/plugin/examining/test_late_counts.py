from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from baselines import made

from pytest_modelperf.domain.baseline import CaseRecord
from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.counting import Counted
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Point
from pytest_modelperf.measuring.orders import Count, Opened, Prepare, Prepared, Tallied
from pytest_modelperf.plugin.examining.late_counts import LateCounts
from pytest_modelperf.profiling.counters.trace import NOT_LAST

KERNELS = Budget("counters.kernels", 140.0)
READY = Prepared("ok")
UNTOLD = {"counters.kernels": NOT_LAST, "counters.synchronisations": NOT_LAST, "counters.flops": "compiled"}


def point(batch: int, device: str = "cuda:0") -> Point:
    figures = {"latency.p50": Estimate(0.02, unit="s")}
    return Point({"batch": batch}, device, figures=figures, counts={"parameters": 7.0}, unavailable=UNTOLD)


@dataclass
class FakeBench:
    counted: Counted
    status: Prepared = READY
    log: list[str] = field(default_factory=list)

    @property
    def opened(self) -> Opened:
        return Opened("cuda:0", "net", ({"batch": 1}, {"batch": 8}), (1, 8), 0.1)

    def resume(self) -> None:
        self.log.append("resume")

    def pause(self) -> None:
        self.log.append("pause")

    def prepare(self, order: Prepare) -> Prepared:
        self.log.append(f"prepare {order.case}")
        return self.status

    def count(self, order: Count) -> Tallied:
        self.log.append(f"count {order.cases} {order.call_seconds} {order.last}")
        return Tallied((self.counted,))


def accepted(**counts: float) -> dict[str, CaseRecord]:
    return {"cuda:0 batch=8": made.record(counts=counts)}


def test_who_asks_for_them() -> None:
    points = [point(1), point(8), point(1, "cuda:1")]

    def wanted(*budget: Budget, then: Mapping[str, CaseRecord] = {}, update: bool = False) -> tuple[str, ...]:
        return LateCounts().want(points, budget, then, update=update)

    assert wanted() == wanted(Budget("counters.flops", 3.0)) == ()
    assert wanted(KERNELS) == wanted(update=True) == ("cuda:0", "cuda:1")
    assert wanted(then=accepted(kernels=140.0, parameters=7.0)) == ("cuda:0",)
    assert wanted(then=accepted(parameters=7.0)) == ()
    counted = [replace(one, unavailable={}) for one in points]
    assert LateCounts().want(counted, [KERNELS], {}, update=True) == ()


def test_those_that_are_asked_for_are_counted_and_added() -> None:
    late, bench = LateCounts(), FakeBench(Counted({"kernels": 140.0, "flops": 9.0}, counted_by={"kernels": "torch"}))
    points = [point(1), point(8)]
    assert late.want(points, (), accepted(kernels=140.0), update=False) == ("cuda:0",)
    late.take(bench)
    assert bench.log == ["resume", "prepare 1", "count (1,) (0.02,) True", "pause"]
    same, found = late.added(points)
    assert same is points[0]
    assert found.counts == {"parameters": 7.0, "kernels": 140.0}
    assert found.counted_by == {"kernels": "torch"}
    assert found.unavailable == {"counters.flops": "compiled", "counters.synchronisations": NOT_LAST}


def test_a_case_that_fails_there_is_not_counted() -> None:
    late, bench = LateCounts(), FakeBench(Counted({"kernels": 140.0}), Prepared("out of memory", "no room"))
    late.want([point(1)], [KERNELS], {}, update=False)
    late.take(bench)
    assert bench.log == ["resume", "prepare 0", "pause"]
    (found,) = late.added([point(1)])
    assert "fresh process" in found.unavailable["counters.kernels"]


def test_a_process_that_is_lost_is_the_reason() -> None:
    late = LateCounts()
    late.want([point(1)], [KERNELS], {}, update=False)
    late.give_up("the runner was killed")
    (found,) = late.added([point(1)])
    assert found.unavailable["counters.kernels"] == "a fresh process could not count it: the runner was killed"
    assert found.unavailable["counters.flops"] == "compiled"
