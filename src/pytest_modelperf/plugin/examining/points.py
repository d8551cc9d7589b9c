"""From what was measured to what a test reads and a baseline keeps."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from ...domain.baseline import CaseRecord, Run
from ...domain.estimate import Estimate
from ...domain.host import Host
from ...domain.metrics import METRICS
from ...domain.profile import Profile
from ...domain.report import TestResult
from ...domain.results import Point, Sweep
from ...domain.verdict import Verdict
from ...judging.figures import figures
from ...judging.record import record
from ...measuring.conduct import Measured
from ...measuring.orders import Opened

# The figures of a point that JUnit and other readers of properties get.
PROPERTIES = ("latency.p50", "latency.p99", "throughput", "memory.peak", "energy.per_sample")

NO_PROFILES: Mapping[str, Profile] = {}

# What decides how many threads a framework takes when nobody says.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")


def point(measured: Measured, pairs: int = 1) -> Point:
    """The Point of one case, whose measuring time so many pairs of processes share."""
    prepared, timing, counted = measured.prepared, measured.timing, measured.counted
    readings = {path: Estimate(value, unit=METRICS[path].unit) for path, value in prepared.figures.items()}
    timed = figures(timing, measured.samples_per_call) if timing is not None else {}
    return Point(
        axes=dict(measured.case.axes),
        device=measured.case.device,
        status=prepared.status,
        reason=prepared.reason,
        samples_per_call=measured.samples_per_call,
        figures={**timed, **readings},
        unavailable={**prepared.unavailable, **counted.unavailable},
        counts={**prepared.counts, **counted.counts},
        notes=(*prepared.notes, *counted.notes, *_remarks(measured, pairs)),
        timing=timing,
        weights=prepared.weights,
        inputs=prepared.inputs,
        outputs=dict(prepared.outputs),
        operators=dict(counted.operators),
        counted_by=dict(counted.counted_by),
    )


def conditions(opened: Opened, isolation: str) -> dict[str, str]:
    """What a model was measured under, beside the hardware: versions, settings, thread variables, what is declared."""
    threads = {name: os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name)}
    asked = {"inputs": opened.inputs} | ({"runtime": opened.runtime} if opened.runtime else {})
    given = {**opened.versions, **opened.settings}
    return {"python": platform.python_version(), "isolation": isolation, **asked, **threads, **given}


def run_of(
    sweep: Sweep, benches: Sequence[Opened], host: Host, isolation: str, profiles: Mapping[str, Profile] = NO_PROFILES
) -> Run | None:
    """What a baseline would keep of the sweep and of profiles by `Case.key`; None when no case was measured."""
    hardware = {opened.device: opened.hardware or host.cpu_hardware for opened in benches}
    records = {
        point.case.key: record(point, hardware[point.device], profiles.get(point.case.key))
        for point in sweep
        if point.ok and point.timing is not None
    }
    devices = {point.device for point in sweep if point.case.key in records}
    held = {opened.device: conditions(opened, isolation) for opened in benches if opened.device in devices}
    return _run(records, held) if records else None


def _run(records: Mapping[str, CaseRecord], held: Mapping[str, dict[str, str]]) -> Run:
    """The run with what holds on all devices, and apart from it what each of several has of its own."""
    first, *others = held.values()
    common = {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}
    if not others:
        return Run(common, records)
    own = {device: {name: one[name] for name in one if name not in common} for device, one in held.items()}
    return Run(common, records, own)


def without_readings(run: Run, cases: Set[str]) -> Run:
    """The run without what its processes read once, for these cases."""
    kept = {case: replace(record, figures={}) if case in cases else record for case, record in run.cases.items()}
    return replace(run, cases=kept)


def without_samples(result: TestResult) -> TestResult:
    """The result without what only the writer of a report asks for: it is large, and travels between measurements."""
    found = result.suggestions
    if found is not None:
        kept = (replace(one, points=_without_samples(one.points)) for one in found.suggestions)
        found = replace(found, suggestions=tuple(kept))
    return replace(result, sweep=replace(result.sweep, points=_without_samples(result.sweep.points)), suggestions=found)


def _without_samples(points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple(
        replace(point, timing=point.timing.without_samples()) if point.timing is not None else point for point in points
    )


def properties(sweep: Sweep, verdicts: Mapping[str, Verdict]) -> dict[str, float | str]:
    """Flat scalars for JUnit: `modelperf.batch=8.latency.p50`; the device is named where there are several."""
    several = len({point.device for point in sweep}) > 1
    found: dict[str, float | str] = {}
    for point in sweep:
        parts = ["modelperf", *([point.device] if several else []), *(f"{a}={v}" for a, v in point.axes.items())]
        name = ".".join(parts)
        found[f"{name}.status"] = point.status
        found |= {f"{name}.{path}": float(point.figures[path]) for path in PROPERTIES if path in point.figures}
        verdict = verdicts.get(point.case.key)
        if verdict is not None:
            found[f"{name}.verdict"] = verdict.word
            if verdict.change is not None:
                found[f"{name}.change"] = float(verdict.change)
            for finding in verdict.beside:
                found[f"{name}.{finding.path}.verdict"] = finding.word
                if finding.change is not None:
                    found[f"{name}.{finding.path}.change"] = float(finding.change)
    return found


def _remarks(measured: Measured, pairs: int) -> tuple[str, ...]:
    timing = measured.timing
    if timing is None:
        return ()
    remarks = []
    if not timing.warmup.settled:
        calls, seconds = timing.warmup.calls, timing.warmup.seconds
        remarks.append(f"still getting faster when warm-up ended ({calls} calls, {seconds:.1f} s)")
    if measured.slow:
        given = f"its share of the measuring time in one of {pairs} pairs" if pairs > 1 else "the measuring time"
        remarks.append(f"one call takes longer than {given}: timed {timing.calls} calls")
    return tuple(remarks)
