"""How far runs of unchanged models spread on this machine: what the priors of `judging/ratio.py` are taken from.

    python benchmarks/repeatability.py [--runs 12] [--seconds 1] [--out runs.jsonl]

Every run is a pytest of its own over `repeatability_models.py`. A line a run is appended to `--out`, so that an
interrupted series goes on where it was. Needs torch and onnxruntime beside the project.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pytest_modelperf.reporting.json_report import read

MODELS = Path(__file__).resolve().with_name("repeatability_models.py")


def main(runs: int, seconds: float, out: Path) -> None:
    done = len(out.read_text().splitlines()) if out.exists() else 0
    for _ in range(done, runs):
        with out.open("a") as file:
            file.write(json.dumps(measured(seconds)) + "\n")
    show([json.loads(line) for line in out.read_text().splitlines()])


def measured(seconds: float) -> dict[str, dict[str, float]]:
    """One run: the record of every case, by test and case."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--modelperf", f"--modelperf-seconds={seconds}", f"--modelperf-report=json:{report}"]
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(MODELS)],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        results = read(report).results
    return {
        f"{result.nodeid.rpartition('::')[2]} {case}": {
            "times": record.log_location,
            "scaled": record.scaled_location,
            "rounds": record.spread,
            "scaled rounds": record.scaled_spread,
            "number": record.rounds,
        }
        for result in results
        if result.run is not None
        for case, record in result.run.cases.items()
    }


def show(runs: list[dict[str, dict[str, float]]]) -> None:
    print(f"{len(runs)} runs; standard deviations of logs in %, and the range over all runs")
    print(f"{'':40}{'times':>8}{'range':>8}{'scaled':>8}{'range':>8}{'rounds':>8}{'scaled':>8}{'number':>8}")
    for name in runs[0]:
        column = {key: [run[name][key] for run in runs if name in run] for key in runs[0][name]}
        cells = [
            statistics.stdev(column["times"]),
            max(column["times"]) - min(column["times"]),
            statistics.stdev(column["scaled"]),
            max(column["scaled"]) - min(column["scaled"]),
            math.sqrt(statistics.fmean(spread**2 for spread in column["rounds"])),
            math.sqrt(statistics.fmean(spread**2 for spread in column["scaled rounds"])),
        ]
        numbers = "".join(f"{100 * cell:8.2f}" for cell in cells)
        print(f"{name:40}{numbers}{statistics.fmean(column['number']):8.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("repeatability.jsonl"))
    main(**vars(parser.parse_args()))
