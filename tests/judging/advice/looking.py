"""Real models, looked into by the real sources, as rules see them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from pytest_modelperf.converting.registry import builtin as builtin_converters
from pytest_modelperf.converting.registry import chosen
from pytest_modelperf.domain.advice import Advice, Seen
from pytest_modelperf.domain.counting import Room, Wanted
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.host import Host
from pytest_modelperf.domain.profile import Profile
from pytest_modelperf.domain.results import Point, Sweep
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.judging.advice.table import advise
from pytest_modelperf.profiling.counters.sources import builtin as counters
from pytest_modelperf.profiling.counters.take import CounterSources
from pytest_modelperf.profiling.registry import Sources, builtin
from pytest_modelperf.runtimes.protocol import Runtime

# Products of several threads take for ever beside other work.
ONE = Device("cpu", threads=1)
CALLS, WARM = 15, 3
WITHOUT_HALVES = Host("a CPU", 1, 2**33)
WITH_HALVES = Host("a CPU", 1, 2**33, cpu_features=("avx512_bf16",))


def profile(runtime: Runtime, model: object, *arrays: Any, dtype: str = "float32") -> Profile:
    """Where the time of the model's calls on these inputs goes."""
    session = runtime.open(model, ONE)
    try:
        inputs = [Value(array, dtype if array.dtype.kind == "f" else str(array.dtype)) for array in arrays]
        return Sources(builtin()).take(session, inputs, calls=CALLS, warm=WARM).profile
    finally:
        session.close()


def seen(profile: Profile, host: Host = WITHOUT_HALVES, counts: Mapping[str, float] = {}, **more: Any) -> Seen:
    """A case that takes as long as it did while it was looked into."""
    return timed(profile.seconds, host, counts, profile=profile, **more)


def timed(seconds: float, host: Host = WITHOUT_HALVES, counts: Mapping[str, float] = {}, **more: Any) -> Seen:
    """A case that takes so long; `first` is its first call."""
    figures = {"latency.p50": Estimate(seconds, unit="s")}
    if "first" in more:
        figures["cold_start.first_call"] = Estimate(more.pop("first"), unit="s")
    point = Point({"batch": 1}, str(ONE), figures=figures, counts=counts)
    return Seen(point, Sweep((point,)), host, **more)


def counted(runtime: Runtime, model: object, *arrays: Any) -> dict[str, float]:
    """What is counted of a call on these inputs."""
    session = runtime.open(model, ONE)
    try:
        with session.running():
            wanted = Wanted(lambda session: session.bind([Value(array, str(array.dtype)) for array in arrays]), 0.0)
            (found,) = CounterSources(counters()).count(session, [wanted], Room(0.0, 0, 2**33))
        facts = session.facts
        told = {"parameters": facts.parameters, "size_bytes": facts.size_bytes, **facts.counts}
        return {**{name: float(count) for name, count in told.items() if count is not None}, **found.counts}
    finally:
        session.close()


def fired(seen: Seen) -> dict[str, Advice]:
    """What the table says, by rule."""
    found = advise([seen])
    assert not found.problems
    assert sorted(found.advice, key=_gain, reverse=True) == list(found.advice)
    return {one.rule: one for one in found.advice}


def call_seconds(runtime: Runtime, model: object, x: Any, calls: int = 15, device: Device = ONE) -> tuple[float, float]:
    """What the first call takes, and the fastest of the others: neighbours only add to it."""
    session = runtime.open(model, device)
    samples = []
    with session.running():
        call = session.bind([Value(x, "float32")])
        for _ in range(calls):
            start = time.perf_counter()
            call()
            samples.append(time.perf_counter() - start)
    session.close()
    return samples[0], min(samples[1:])


def converters(do: str) -> list[str]:
    """The converters that advice names, each of which there is."""
    (named,) = re.findall(r"--modelperf-convert=(\S+)", do)
    return [one.name for one in chosen(named.split(","), builtin_converters()) if not one.is_bridge]


def _gain(advice: Advice) -> float:
    return advice.gain
