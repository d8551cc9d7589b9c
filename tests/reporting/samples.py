"""Sample reports: what runs of every kind look like, as the reporters get them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pytest_modelperf.domain.baseline import CaseRecord, Location, Run
from pytest_modelperf.domain.budget import Budget
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.host import Host
from pytest_modelperf.domain.report import Report, TestResult
from pytest_modelperf.domain.results import Point, Status, Sweep, Timing, Warmup
from pytest_modelperf.domain.units import GiB, MiB, ms, us
from pytest_modelperf.domain.verdict import NEVER_ACCEPTED, Breach, Finding, Verdict, Word

HOST = Host("AMD EPYC 7B13", 2, int(8 * GiB), system="Linux 6.8 x86_64", python="3.11.9")
MACHINE = "amd-epyc-7b13-x2"
NO_METER = {"energy.per_sample": "no energy meter on this machine"}


def point(seconds: float, *, device: str = "cpu", calls: int = 400, memory: float = 512 * MiB, **axes: int) -> Point:
    """A point that ran, its median call `seconds` long."""
    batch = axes.get("batch", 1)
    p99_high = 1.2 * seconds if calls >= 368 else math.inf
    return Point(
        axes,
        device,
        samples_per_call=batch,
        figures={
            "latency.p50": Estimate(seconds, 0.992 * seconds, 1.009 * seconds, "s"),
            "latency.p99": Estimate(1.13 * seconds, 1.08 * seconds, p99_high, "s"),
            "throughput": Estimate(batch / seconds, 0.99 * batch / seconds, 1.01 * batch / seconds, "1/s"),
            "calls_per_second": Estimate(1 / seconds, 0.99 / seconds, 1.01 / seconds, "1/s"),
            "memory.peak": Estimate(memory, unit="B"),
            "cold_start.load": Estimate(0.734, unit="s"),
            "cold_start.first_call": Estimate(3.1 * seconds, unit="s"),
        },
        unavailable=NO_METER,
        counts={"parameters": 25_557_032.0},
        timing=Timing(((round(seconds * 1e9),) * calls,), warmup=Warmup(9, 0.4, True)),
    )


def lost(status: Status, reason: str, *, device: str = "cpu", **axes: int) -> Point:
    """A point without figures."""
    return Point(axes, device, status, reason, samples_per_call=axes.get("batch", 1))


def verdict(word: Word, point: Point, change: float | None = None, **more: object) -> Verdict:
    """A verdict with an interval of two and a half percent to both sides."""
    ratio = None if change is None else Estimate(1 + change, 1 + change - 0.025, 1 + change + 0.027)
    evidence: dict[str, object] = (
        {"tolerance": 0.05, "level": 0.0125, "detectable": 0.031, "runs": 8, "scale": "numpy-matmul 1"} if ratio else {}
    )
    return Verdict(word, point.case.key, ratio, **(evidence | more))  # type: ignore[arg-type]


def result(
    nodeid: str,
    points: tuple[Point, ...],
    verdicts: tuple[Verdict, ...] = (),
    sweep: Mapping[str, object] = {},
    **more: object,
) -> TestResult:
    """A result with its best and knee."""
    measured = Sweep(points, **sweep)  # type: ignore[arg-type]
    ran = any(point.holds(measured.budget) for point in points)
    facts: dict[str, object] = {
        "model": "ResNetForImageClassification, torch 2.13.0",
        "best": measured.best.case.key if ran else "",
        "knee": measured.knee.case.key if ran else "",
        "tolerance": 0.05,
        "seconds": 24.1,
    }
    return TestResult(nodeid, measured, {found.case: found for found in verdicts}, **(facts | more))  # type: ignore[arg-type]


def report(*results: TestResult, **more: object) -> Report:
    """A whole run of these results."""
    facts: dict[str, object] = {"created": "2026-07-01T12:00:00+00:00", "commit": "1f3a9c2"}
    return Report(results, HOST, MACHINE, **(facts | more))  # type: ignore[arg-type]


def batch_sweep() -> TestResult:
    """One device, one axis, verdicts of three kinds, a counter that changed, an upgrade."""
    points = tuple(point(0.0123 * n**0.9, memory=(400 + 30 * n) * MiB, batch=n) for n in (1, 2, 4, 8))
    upgrade = ("torch 2.12.0 → 2.13.0",)
    return result(
        "tests/test_vision.py::test_resnet50",
        points,
        (
            verdict("same", points[0], 0.003, conditions=upgrade),
            verdict("same", points[1], -0.009, conditions=upgrade),
            verdict("uncertain", points[2], 0.041, conditions=upgrade, reason="--modelperf-seconds=12 would tell"),
            verdict(
                "slower",
                points[3],
                0.124,
                conditions=upgrade,
                changed={"operators": (175.0, 181.0)},
                counters=("operators",),
            ),
        ),
        passed=False,
        failure="slower than the baseline: batch=8 +12.4% [+9.9%, +15.1%] (accepted: 5%)",
        run=Run({"torch": "2.13.0"}, {"cpu batch=1": CaseRecord("AMD EPYC 7B13 x2", 40, Location(-4.4, 0.01))}),
    )


def two_axes() -> TestResult:
    """batch × seq, all the same; nothing to say but that."""
    points = tuple(
        point(0.0021 * b * q / 32, memory=(900 + b * q / 4) * MiB, batch=b, seq=q)
        for b in (1, 8)
        for q in (32, 128, 512)
    )
    return result(
        "tests/test_text.py::test_bert",
        points,
        tuple(verdict("same", each, 0.001 * number) for number, each in enumerate(points)),
        model="BertModel, torch 2.13.0",
    )


def against_a_commit() -> TestResult:
    """Compared with a commit, side by side: slower, the same, uncertain, and two that it cannot be compared for."""
    name, points = "main (3fa2b1c)", tuple(point(0.0123 * n**0.9, batch=n) for n in (1, 2, 4, 8, 16))
    evidence = {"against": name, "runs": 5, "scale": "", "tolerance": 0.02}
    pairs = (1.124, 1.131, 1.119, 1.127, 1.12)
    return result(
        "tests/test_vision.py::test_resnet50",
        points,
        (
            verdict("slower", points[0], 0.124, attempts=pairs, conditions=("torch 2.12.0 → 2.13.0",), **evidence),
            verdict("same", points[1], 0.001, attempts=(1.0, 1.001, 1.002, 1.0, 1.002), **evidence),
            verdict(
                "uncertain", points[2], 0.02, attempts=pairs, reason="--modelperf-seconds=12 would tell", **evidence
            ),
            verdict("new", points[3], against=name, reason=f"the test does not measure this case at {name}"),
            verdict("not measured", points[4], against=name, reason=f"at {name} it failed: RuntimeError: no"),
        ),
        passed=False,
        tolerance=0.02,
    )


def devices() -> TestResult:
    """Two devices that ran and one that is not there."""
    points = (
        *(point(0.110 * n, batch=n) for n in (1, 16)),
        *(point(0.0041 * n**0.4, device="cuda:0", memory=(1 + n / 64) * GiB, batch=n) for n in (1, 16, 256)),
        lost("out of memory", "CUDA out of memory. Tried to allocate 98.00 GiB", device="cuda:0", batch=4096),
    )
    return result(
        "tests/test_vision.py::test_vit",
        points,
        (
            *(verdict("same", each, 0.002) for each in points[:2]),
            *(
                verdict("other machine", each, reason="the baseline is of NVIDIA A100, this is NVIDIA H200")
                for each in points[2:5]
            ),
            verdict("not measured", points[5], reason="CUDA out of memory"),
        ),
        {"skipped": {"cuda:1": "this machine has one CUDA device, cuda:0"}},
        model="ViTModel, torch 2.13.0",
        passed=False,
    )


def broken() -> TestResult:
    """Over budget, failed, out of memory, and skipped behind it."""
    budget = (Budget("latency.p50", 60 * ms), Budget("memory.peak", 2 * GiB))
    points = (
        point(0.031, batch=1),
        point(0.0621, batch=2),
        lost("failed", "RuntimeError: shape '[4, 12]' is invalid for input of size 36", batch=4),
        lost("out of memory", "the process was killed by the system at 7.6 GiB", batch=64),
        lost("out of memory", "not tried: batch=64 did not fit", batch=128),
    )
    return result(
        "tests/test_exported.py::test_detector",
        points,
        (
            verdict("faster", points[0], -0.183),
            verdict("same", points[1], 0.004),
            *(verdict("not measured", each, reason=each.reason) for each in points[2:]),
        ),
        {"budget": budget},
        breaches=(Breach("cpu batch=2", budget[0], points[1].figures["latency.p50"]),),
        passed=False,
        model="detector.onnx, onnxruntime 1.31.1",
    )


def findings() -> TestResult:
    """Times are the same, and other things are not."""
    points = tuple(point(0.0123 * n, memory=700 * MiB, batch=n) for n in (1, 2, 4))
    load = Finding(
        "slower to start",
        "cold_start.load",
        0.734,
        2.31,
        Estimate(3.15, 2.1, 4.7),
        0.5,
        "read 2.31 s, 2.33 s, 2.29 s; before 710 ms to 760 ms in 8 runs",
    )
    hungrier = Finding(
        "hungrier",
        "memory.peak",
        512 * MiB,
        700 * MiB,
        Estimate(1.367, 1.32, 1.42),
        0.05,
        "read 700.0 MiB, 701.0 MiB, 699.0 MiB; before 511.0 MiB to 513.0 MiB in 8 runs",
    )
    others = (
        Finding("wrong", "counters.nan_values", 0.0, 3.0, evidence="3 NaN among the answers, and none before"),
        Finding("wrong", "outputs", evidence="logits differs by 0.012 of its scale"),
        Finding("larger", "counters.size_bytes", 100 * MiB, 110 * MiB, Estimate(1.1), 0.01, "counted"),
        Finding("leaner", "memory.reserved", 2 * GiB, 1 * GiB, Estimate(0.5, 0.48, 0.52), 0.05, "read 1.000 GiB"),
        Finding("uncertain", "cold_start.first_call", 1.0, 2.0, Estimate(2.0, 0.3, 9.0), 0.5, "read 2.000 s"),
    )
    changed = {"size_bytes": (100 * MiB, 110 * MiB), "parameters": (100.0, 110.0)}
    return result(
        "tests/test_vision.py::test_findings",
        points,
        (
            verdict("same", points[0], 0.003, beside=(load,)),
            verdict("same", points[1], 0.001, beside=(load, hungrier)),
            verdict("slower", points[2], 0.2, beside=(load, *others), changed=changed, counters=tuple(changed)),
        ),
        passed=False,
    )


def all_new() -> TestResult:
    """No baseline yet."""
    points = tuple(point(0.0123 * n, batch=n) for n in (1, 2, 4))
    reason = f"{NEVER_ACCEPTED}; accept this run with --modelperf-update"
    return result("tests/test_new.py::test_new", points, tuple(verdict("new", each, reason=reason) for each in points))


def changed() -> TestResult:
    """What the test declares is not what it was when its baseline was made."""
    only = point(0.0042)
    reason = "the runtime asked for changed, none → openvino: not compared; accept this run with --modelperf-update"
    return result("tests/test_new.py::test_changed", (only,), (verdict("new", only, reason=reason),))


def stopped() -> TestResult:
    """Interrupted in the middle: rounds were measured, nothing was judged."""
    points = tuple(point(0.0123 * n, calls=60, batch=n) for n in (1, 2))
    return result("tests/test_new.py::test_stopped", points, best="", knee="", unmeasured="interrupted", passed=False)


def one_case() -> TestResult:
    """No axes at all."""
    only = point(0.0042)
    return result("tests/test_plain.py::test_callable", (only,), (verdict("same", only, 0.011),), model="a callable")


def fast() -> TestResult:
    """Microseconds."""
    points = tuple(point(1.7 * us * n**0.5, calls=90_000, memory=83 * MiB, batch=n) for n in (1, 64, 4096))
    return result(
        "tests/test_fast.py::test_mlp", points, tuple(verdict("same", each, 0.0) for each in points), model=""
    )


def slow() -> TestResult:
    """Seconds: three calls a case."""
    points = tuple(point(7.3 * n, calls=3, memory=5.1 * GiB, batch=n) for n in (1, 4))
    noted = tuple(
        Point(**{**vars(each), "notes": ("one call takes longer than the time given: 3 calls were made",)})
        for each in points
    )
    return result(
        "tests/test_slow.py::test_diffusion[stable-diffusion-xl-base-1.0-with-a-very-long-parameter-name-fp32-512x512]",
        noted,
        tuple(
            verdict("uncertain", each, 0.03, reason="more rounds would tell: --modelperf-seconds=120") for each in noted
        ),
    )


def unmeasured() -> TestResult:
    """A test that gave no figures at all."""
    return result(
        "tests/test_lost.py::test_lost", (), unmeasured="the runner was killed by signal 11", passed=False, seconds=0.0
    )


def accepted() -> TestResult:
    """A slowdown that is meant."""
    only = point(0.02, batch=1, max_sequence_length=128)
    return result(
        "tests/test_text.py::test_accepted",
        (only,),
        (verdict("slower", only, 0.3),),
        accepted="--modelperf-accept=tests/test_text.py::test_accepted",
    )


def everything() -> Report:
    """All kinds in one run."""
    return report(
        batch_sweep(),
        two_axes(),
        devices(),
        broken(),
        one_case(),
        fast(),
        slow(),
        unmeasured(),
        accepted(),
        findings(),
        all_new(),
        written={"out/report.json": "json report"},
    )


REPORTS = {
    "batch sweep": report(batch_sweep()),
    "against a commit": report(against_a_commit()),
    "two axes": report(two_axes()),
    "devices": report(devices()),
    "broken": report(broken()),
    "findings": report(findings()),
    "new": report(all_new()),
    "one case": report(one_case()),
    "fast": report(fast()),
    "slow": report(slow()),
    "unmeasured": report(unmeasured()),
    "accepted": report(accepted(), written={f"perf_baselines/{MACHINE}/t/{n}.json": "baseline" for n in "abc"}),
    "interrupted": report(all_new(), stopped(), interrupted=True),
    "empty": report(),
    "everything": everything(),
}
