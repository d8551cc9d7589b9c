"""A bench and a conductor, when a case is to be called in a loop."""

from __future__ import annotations

from typing import Any

import pytest
from measuring.fakes import Clock, DoesNotFit, FakeBench, FakeSession, lose

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.telemetry import Recording
from pytest_modelperf.domain.tensor import Tensor
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.conduct import CaseLost, Conductor
from pytest_modelperf.measuring.orders import Prepare, Prepared, Soak, Soaked
from pytest_modelperf.measuring.soak import Soaker


def prepared(session: FakeSession) -> LocalBench:
    bench = LocalBench(lambda: session, Device("cpu"), {"x": Tensor(("batch",))}, [{"batch": 2}])
    assert bench.prepare(Prepare(0, 0.1)).status == "ok"
    return bench


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_times_at_which_calls_were_done(asynchronous: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock().install(monkeypatch)
    bench = prepared(FakeSession(clock, lambda batch: 0.002, asynchronous=asynchronous))
    began = clock.now_ns
    said = bench.soak(Soak(0, calls=10, chunk=4))
    assert [mark - began for mark in said.marks_ns] == [0, 8_000_000, 16_000_000, 20_000_000]
    assert said.error == ""


def test_a_call_that_fails_is_said_and_ends_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(Clock().install(monkeypatch))
    bench = prepared(session)

    def fail(batch: int) -> Any:
        raise DoesNotFit("no")

    session.answer = fail
    assert bench.soak(Soak(0, 4, 4)) == Soaked(error="DoesNotFit: no")


class Recorder(Soaker):
    """Writes down what it is asked to soak."""

    def __init__(self, log: list[str], lost: bool = False) -> None:
        self._log, self._lost = log, lost

    def soak(self, bench: Any, case: int, call_seconds: float) -> Recording:
        self._log.append(f"soak {bench.name} {bench.batches[case]} {call_seconds:g}")
        if self._lost:
            raise lose()
        return Recording(unavailable=f"it is {bench.name}")


def test_cases_that_ran_are_soaked_when_all_is_timed_and_before_they_are_counted() -> None:
    log: list[str] = []
    here = FakeBench([1, 2, 4], prepare=_fits_two, log=log)
    there = FakeBench([1, 2], device="cuda:0", log=log)
    measured = Conductor([here, there], seconds=0.05, seed=7, soaker=Recorder(log), soaked=1).run()
    kinds = [line.split()[0] for line in log if line.split()[0] in ("block", "soak", "count")]
    assert kinds == sorted(kinds, key=["block", "soak", "count"].index)
    assert [line for line in log if line.startswith("soak")] == ["soak cpu 1 0.001", "soak cpu 2 0.002"]
    found = {one.case.key: one.recording for one in measured}
    assert found.pop("cpu batch=1") == Recording(unavailable="it is cpu")
    assert found.pop("cpu batch=2") is not None
    assert set(found.values()) == {None}


def test_a_process_that_dies_in_a_soak_is_lost_with_its_case() -> None:
    log: list[str] = []
    with pytest.raises(CaseLost, match="while reading meters of batch=1 on cpu"):
        Conductor([FakeBench([1], log=log)], seconds=0.05, seed=7, soaker=Recorder(log, lost=True), soaked=1).run()


def _fits_two(batch: int) -> Prepared:
    return Prepared("ok", call_seconds=0.001 * batch) if batch <= 2 else Prepared("out of memory", "DoesNotFit: no")
