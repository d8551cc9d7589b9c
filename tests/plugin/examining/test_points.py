from __future__ import annotations

from pytest_modelperf.domain.baseline import CaseRecord, Location, Run
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.host import Host
from pytest_modelperf.domain.results import Point, Sweep, Timing
from pytest_modelperf.domain.verdict import Finding, Verdict
from pytest_modelperf.measuring.orders import Opened
from pytest_modelperf.plugin.examining.points import properties, run_of, without_readings

HOST = Host("EPYC", 2, 1, (), "Linux", "3.11")


def opened(device: str, **versions: str) -> Opened:
    return Opened(device, "a model", ({},), (1,), 0.0, versions=versions, inputs="x (8)")


def ran(device: str) -> Point:
    return Point({}, device, timing=Timing(((1_000_000,) * 3,) * 12))


def test_a_run_keeps_for_each_of_several_devices_what_is_its_own() -> None:
    models = [opened("cpu", torch="2.13.0"), opened("cuda:0", torch="2.13.0", driver="550")]
    run = run_of(Sweep((ran("cpu"), ran("cuda:0"))), models, HOST, "runner")
    assert run is not None
    assert run.devices == {"cpu": {}, "cuda:0": {"driver": "550"}}
    assert run.conditions_of("cuda:0") == {**run.conditions_of("cpu"), "driver": "550"}
    assert run.conditions["torch"] == "2.13.0"
    missing = run_of(Sweep((ran("cpu"), Point({}, "cuda:0", "failed", "it is gone"))), models, HOST, "runner")
    alone = run_of(Sweep((ran("cpu"),)), models[:1], HOST, "runner")
    assert missing is not None
    assert missing == alone
    assert missing.conditions_of("cpu") == run.conditions_of("cpu")


def test_readings_of_cases_are_left_out_and_times_stay() -> None:
    def record() -> CaseRecord:
        return CaseRecord("EPYC x2", 40, Location(-4.5, 0.02), figures={"memory.peak": 5e8}, counts={"parameters": 7.0})

    run = Run({}, {"cpu batch=1": record(), "cpu batch=2": record(), "cpu:threads=2 batch=1": record()})
    found = without_readings(run, {"cpu batch=1", "cpu batch=2"})
    assert {case: dict(one.figures) for case, one in found.cases.items()} == {
        "cpu batch=1": {},
        "cpu batch=2": {},
        "cpu:threads=2 batch=1": {"memory.peak": 5e8},
    }
    assert found.cases["cpu batch=1"].times == Location(-4.5, 0.02)
    assert found.cases["cpu batch=1"].counts == {"parameters": 7.0}
    assert without_readings(run, set()) == run


def test_properties_tell_what_changed_beside_the_time() -> None:
    findings = (
        Finding("hungrier", "memory.peak", 5e8, 7e8, Estimate(1.4, 1.3, 1.5), 0.05),
        Finding("wrong", "outputs", evidence="logits differs"),
    )
    verdict = Verdict("same", "cpu batch=8", beside=findings)
    found = properties(Sweep((Point({"batch": 8}, "cpu"),)), {"cpu batch=8": verdict})
    assert found == {
        "modelperf.batch=8.status": "ok",
        "modelperf.batch=8.verdict": "same",
        "modelperf.batch=8.memory.peak.verdict": "hungrier",
        "modelperf.batch=8.memory.peak.change": 1.4,
        "modelperf.batch=8.outputs.verdict": "wrong",
    }
    # Only exact builtins survive the way between pytest's processes.
    assert {type(value) for value in found.values()} <= {str, float}
