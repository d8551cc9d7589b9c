"""Runs and records that are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from multiprocessing.synchronize import Barrier

from hypothesis import strategies as st

from pytest_modelperf.baselines.store import Store
from pytest_modelperf.domain.baseline import Baseline, CaseRecord, Run

CASE = "cpu batch=8"
CPU, GPU = "AMD EPYC 7B13 x2", "NVIDIA H200"
CONDITIONS = {"torch": "2.13.0", "isolation": "yes"}
NODEID = "tests/test_vision.py::test_resnet50"


def record(log_location: float = -4.5, hardware: str = CPU, **more: object) -> CaseRecord:
    given = {"spread": 0.02, "rounds": 40, "counts": {"parameters": 25557032.0}, "figures": {"memory.peak": 2.0**31}}
    return CaseRecord(hardware, log_location, **{**given, **more})  # type: ignore[arg-type]


def run(
    location: float = -4.5, cases: Mapping[str, CaseRecord] | None = None, conditions: Mapping[str, str] = CONDITIONS
) -> Run:
    """A run of one case at this location, or of these cases."""
    return Run(conditions, {CASE: record(location)} if cases is None else dict(cases))


def accept_all(store: Store, locations: Sequence[float], start: Barrier) -> None:
    """What a process does that updates at once with others: waits for them, then accepts a run after the other."""
    start.wait(60)
    for location in locations:
        store.accept(NODEID, run(location))


FINITE = st.floats(-100, 100)
SPREADS = st.floats(0, 100)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
RECORDS = st.builds(
    CaseRecord,
    hardware=NAMES,
    log_location=FINITE,
    spread=SPREADS,
    rounds=st.integers(1, 10**6),
    yardstick=NAMES,
    scaled_location=FINITE,
    scaled_spread=SPREADS,
    figures=st.dictionaries(NAMES, st.floats(0, 1e15), max_size=3),
    counts=st.dictionaries(NAMES, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)
RUNS = st.builds(Run, st.dictionaries(NAMES, NAMES, max_size=3), st.dictionaries(NAMES, RECORDS, max_size=3))
BASELINES = st.builds(Baseline, NAMES, NAMES, RUNS, st.lists(RUNS, max_size=3).map(tuple))
