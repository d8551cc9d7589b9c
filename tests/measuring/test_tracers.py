"""Who traces this process. In one of its own: this one may be debugged, or measured for its coverage."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from pytest_modelperf.measuring import tracers

PROFILER = "import cProfile\nprofiler = cProfile.Profile()\nprofiler.enable()\n"
OWN = "import threading\nthreading.setprofile(lambda *_: None)\n"


def found(script: str, *flags: str) -> str:
    """What is found after the script."""
    asks = f"from pytest_modelperf.measuring.tracers import tracer\n{script}\nprint(tracer())"
    done = subprocess.run([sys.executable, *flags, "-c", asks], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_nobody_traces_a_plain_process() -> None:
    assert found("") == "None"


@pytest.mark.parametrize(
    ("script", "flags", "words"),
    [
        (PROFILER, (), "cProfile, which traces this process|leave out --profile and `-m cProfile`"),
        (OWN, (), "(threading.setprofile), would be timed with the model; leave out what has set it"),
        ("", ("-X", "tracemalloc"), "tracemalloc, which follows|leave out -X tracemalloc and PYTHONTRACEMALLOC"),
        ("", ("-X", "dev"), "Python's development mode|leave out -X dev and PYTHONDEVMODE"),
    ],
)
def test_who_does_is_named_with_what_to_leave_out(script: str, flags: tuple[str, ...], words: str) -> None:
    told = found(script, *flags)
    assert all(some in told for some in words.split("|")), told


def test_a_debugger_may_go_on_in_the_pytest_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def hook() -> None: ...

    hook.__module__ = "_pydevd_bundle.pydevd_trace_dispatch_regular"
    monkeypatch.setattr(tracers, "_HOOKS", {"sys.settrace": lambda: hook})
    assert str(tracers.tracer()) == (
        "_pydevd_bundle, which traces this process (sys.settrace), would be timed with the model; "
        "run the test without the debugger, or debug it with --modelperf-isolate=no"
    )


@pytest.mark.parametrize(("events", "told"), [(1, True), (0, False)])
def test_tools_that_have_asked_for_events(events: int, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = {1: "coverage", 5: "an optimizer"}
    monitoring = SimpleNamespace(get_tool=tools.get, get_events=lambda tool: events)
    monkeypatch.setattr(tracers, "_HOOKS", {})
    monkeypatch.setattr(sys, "monitoring", monitoring, raising=False)
    tracer = tracers.tracer()
    assert (tracer is not None and "coverage" in str(tracer)) == told
