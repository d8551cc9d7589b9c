"""Who traces this process: what is timed under a debugger, a profiler or coverage is their work as well."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# What hooks are set by; each is asked which there is.
_HOOKS: dict[str, Callable[[], object]] = {
    "sys.settrace": sys.gettrace,
    "sys.setprofile": sys.getprofile,
    "threading.settrace": threading.gettrace,
    "threading.setprofile": threading.getprofile,
}
# The tools of sys.monitoring (Python 3.12) that are for debuggers, coverage and profilers; the others are anybody's.
_TOOLS = (0, 1, 2)
_DEBUGGER = "run the test without the debugger, or debug it with --modelperf-isolate=no"
# What is to be left out of a run, by the package that the hook belongs to.
_REMEDIES = {
    "coverage": "leave out --cov, --testmon and `coverage run`",
    "cProfile": "leave out --profile and `-m cProfile`",
    "profile": "leave out --profile and `-m profile`",
    "bdb": _DEBUGGER,
    "pdb": _DEBUGGER,
    "debugpy": _DEBUGGER,
    "pydevd": _DEBUGGER,
    "_pydevd_bundle": _DEBUGGER,
    "pydevd_tracing": _DEBUGGER,
}


@dataclass(frozen=True)
class Tracer:
    """`who` slows this process, and what to do about it."""

    who: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.who} would be timed with the model; {self.remedy}"


def tracer() -> Tracer | None:
    """The first that there is; None for nobody."""
    return next(_tracers(), None)


def _tracers() -> Iterator[Tracer]:
    for setter, get in _HOOKS.items():
        hook = get()
        if hook is not None:
            yield _of(_package(hook), setter)
    for name in _monitoring():
        yield _of(name, "sys.monitoring")
    if tracemalloc.is_tracing():
        yield Tracer("tracemalloc, which follows every allocation,", "leave out -X tracemalloc and PYTHONTRACEMALLOC")
    if sys.flags.dev_mode:
        yield Tracer("Python's development mode, which checks all memory,", "leave out -X dev and PYTHONDEVMODE")


def _of(name: str, setter: str) -> Tracer:
    package = name.partition(".")[0]
    remedy = _REMEDIES.get(package, "leave out what has set it, or debug with --modelperf-isolate=no")
    return Tracer(f"{package}, which traces this process ({setter}),", remedy)


def _package(hook: object) -> str:
    """Where a hook comes from: a function's module, or that of the object's class."""
    return str(getattr(hook, "__module__", None) or type(hook).__module__)


def _monitoring() -> Iterator[str]:
    """The tools that have asked for events."""
    monitoring: Any = getattr(sys, "monitoring", None)
    for tool in _TOOLS if monitoring is not None else ():
        name = monitoring.get_tool(tool)
        if name is not None and monitoring.get_events(tool):
            yield str(name)
