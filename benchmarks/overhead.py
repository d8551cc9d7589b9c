"""What the plugin costs: time a call beyond the bare loop, milliseconds of an idle run, seconds to start a runner.

    python benchmarks/overhead.py [--repeats 30]

Everything is compared within one run, in random order, repeat by repeat. Printed are the median over repeats and its
95% interval, by order statistics. Needs pytest-benchmark and torch beside the project.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL_FILE = """import torch

import pytest


@pytest.mark.modelperf(inputs=())
def test_x(modelperf):
    modelperf(lambda: None)
"""

Contenders = Mapping[str, Callable[[], float]]


def main(repeats: int) -> None:
    print(f"{repeats} repeats, Python {sys.version.split()[0]}, {os.cpu_count()} CPUs\n")
    calls(repeats)
    idle(repeats)
    runner(max(5, repeats // 3))


def calls(repeats: int) -> None:
    """Nanoseconds a call of each way to put it on the clock, measured where pytest-benchmark's fixture is."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "calls.json"
        environment = {**os.environ, "OVERHEAD_OUTPUT": str(output), "OVERHEAD_REPEATS": str(repeats)}
        pytest(
            ["-q", "-p", "no:cacheprovider", "--benchmark-disable-gc", str(HERE / "overhead_calls.py")], env=environment
        )
        samples = json.loads(output.read_text())
    for model, ways in samples.items():
        print(f"{model} call, ns a call beyond the bare loop")
        for way in ("pytest-modelperf", "pytest-benchmark pedantic"):
            show(way, [timed - bare for timed, bare in zip(ways[way], ways["bare loop"], strict=True)], "ns")
        show("ratio of the two", [a / b for a, b in zip(*(ways[way] for way in list(ways)[1:]), strict=True)], "")
        print()


def idle(repeats: int) -> None:
    """`pytest --collect-only` in an empty folder, with the plugin and with it blocked."""
    with tempfile.TemporaryDirectory() as folder:

        def run(*arguments: str) -> Callable[[], float]:
            return lambda: timed(lambda: pytest(["--collect-only", "-q", *arguments], cwd=folder, expected=(5,)))

        samples = alternate({"without": run("-p", "no:modelperf"), "with": run()}, repeats)
    print("pytest --collect-only of an empty folder, whole process")
    show("without the plugin", [seconds * 1e3 for seconds in samples["without"]], "ms")
    show("the plugin adds", [(a - b) * 1e3 for a, b in zip(samples["with"], samples["without"], strict=True)], "ms")
    print()


def runner(repeats: int) -> None:
    """From the start of a runner until it has collected, next to a pytest that imports and collects the same file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test_x.py"
        file.write_text(MODEL_FILE)
        started = Path(folder) / "started.json"

        def start() -> float:
            environment = {**os.environ, "PYTHONPATH": str(HERE), "OVERHEAD_OUTPUT": str(started)}
            options = ["-q", "-p", "overhead_runner", "--modelperf", "--modelperf-seconds=0.01", str(file)]
            pytest(options, cwd=folder, env=environment)
            return float(json.loads(started.read_text()))

        def collect() -> float:
            return timed(lambda: pytest(["-q", "--collect-only", str(file)], cwd=folder))

        samples = alternate({"start": start, "collect": collect}, repeats)
    print("a runner for a file that imports torch")
    show("pytest --collect-only of it", samples["collect"], "s")
    show("starting its runner", samples["start"], "s")
    show("difference", [a - b for a, b in zip(samples["start"], samples["collect"], strict=True)], "s")


def alternate(contenders: Contenders, repeats: int) -> dict[str, list[float]]:
    """Every contender once a repeat, in random order."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name in random.sample(list(contenders), len(contenders)):
            samples[name].append(contenders[name]())
    return samples


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def pytest(
    arguments: Sequence[str],
    *,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    expected: Sequence[int] = (0,),
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode not in expected:
        raise SystemExit(f"pytest {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def show(name: str, samples: Sequence[float], unit: str) -> None:
    low, high = interval(samples)
    print(f"  {name:<28} {statistics.median(samples):9.3g} [{low:.3g}, {high:.3g}] {unit}")


def interval(samples: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the median, by order statistics (normal approximation of the binomial)."""
    ordered, number = sorted(samples), len(samples)
    half = 1.96 * math.sqrt(number) / 2
    low, high = max(0, math.floor(number / 2 - half)), min(number - 1, math.ceil(number / 2 + half))
    return ordered[low], ordered[high]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    main(parser.parse_args().repeats)
