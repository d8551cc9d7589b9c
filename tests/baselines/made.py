"""Runs and records that are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from multiprocessing.synchronize import Barrier

from hypothesis import strategies as st

from pytest_modelperf.baselines.store import Store
from pytest_modelperf.domain.baseline import Baseline, CaseRecord, Location, OutputSample, Run
from pytest_modelperf.domain.blame import Use, Uses

CASE = "cpu batch=8"
CPU, GPU = "AMD EPYC 7B13 x2", "NVIDIA H200"
CONDITIONS = {"torch": "2.13.0", "isolation": "yes"}
NODEID = "tests/test_vision.py::test_resnet50"


def record(location: float = -4.5, hardware: str = CPU, spread: float = 0.02, **more: object) -> CaseRecord:
    given = {"rounds": 40, "counts": {"parameters": 25557032.0}, "figures": {"memory.peak": 2.0**31}}
    return CaseRecord(hardware, times=Location(location, spread), **{**given, **more})  # type: ignore[arg-type]


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


LOCATIONS = st.builds(Location, st.floats(-100, 100), st.floats(0, 100))
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
OUTPUTS = st.builds(
    OutputSample,
    dtype=NAMES,
    shape=st.lists(st.integers(0, 2**40), max_size=3).map(tuple),
    scale=st.floats(0, 1e300),
    values=st.lists(st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=5).map(tuple),
)
USES = st.builds(
    Uses,
    source=NAMES,
    operators=st.dictionaries(NAMES, st.builds(Use, st.integers(0, 10**6), st.floats(0, 1), NAMES), max_size=3),
    settings=st.dictionaries(NAMES, NAMES, max_size=2),
)
RECORDS = st.builds(
    CaseRecord,
    hardware=NAMES,
    rounds=st.integers(1, 10**6),
    times=LOCATIONS,
    scaled=st.dictionaries(NAMES, LOCATIONS, max_size=3),
    figures=st.dictionaries(NAMES, st.floats(0, 1e15), max_size=3),
    counts=st.dictionaries(NAMES, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    weights=st.text("0123456789abcdef", max_size=8),
    outputs=st.dictionaries(NAMES, OUTPUTS, max_size=2),
    profile=st.none() | USES,
)
CONDITION_SETS = st.dictionaries(NAMES, NAMES, max_size=3)
RUNS = st.builds(
    Run,
    CONDITION_SETS,
    st.dictionaries(NAMES, RECORDS, max_size=3),
    st.dictionaries(NAMES, CONDITION_SETS, max_size=2),
)
BASELINES = st.builds(
    Baseline,
    NAMES,
    NAMES,
    st.lists(RUNS.filter(lambda run: bool(run.cases)), max_size=2).map(tuple),
    st.lists(RUNS, max_size=3).map(tuple),
)
