"""What is found and what is a false alarm: models that are unchanged or truly slower by a layer, judged in three ways.

    python benchmarks/detection.py [--minutes 60] [--seconds 8] [--methods against,run] [--out detection.jsonl]

Stacks of 50, 33, 20 and 10 equal layers are compared with themselves and with stacks of a layer more (2, 3, 5 and 10%
slower): convolutions, a transformer, a small MLP, and convolutions in ONNX Runtime. By this plugin with
`--modelperf-against`, by this plugin with stored baselines (windows of accepted runs), and by pytest-benchmark with
`median:5%` and `median:10%`; each spends `--seconds` on a case in all, in alternation, on the machine as it is and
beside a process that loads one core on and off.

Every trial is appended to `--out`, so that a series goes on where it was; `--minutes 0` shows what there is. Nothing is
measured again in a fresh process (`--modelperf-confirm=0`), and every case is judged as if it were alone. Beside the
other commit eight cases of a kind share their pairs of processes, so that the start of ten counts for an eighth each.
Windows are drawn from one series of runs, each with the run that follows. Needs the environment `full` and git.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from scipy.stats import beta

from pytest_modelperf.domain.baseline import Baseline, Run
from pytest_modelperf.domain.codec import from_json, to_json
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.judging.comparison import compare
from pytest_modelperf.judging.experience import Experiences
from pytest_modelperf.judging.wording import word_of
from pytest_modelperf.reporting.json_report import read

MODELS = Path(__file__).resolve().with_name("detection_models.py")
KINDS = ("convolution", "transformer", "mlp", "onnxruntime")
DEPTHS = (50, 33, 20, 10)
# The depths whose runs are kept for windows and for pytest-benchmark: the changes that stored medians might tell.
STORED_DEPTHS = (20, 21, 10, 11)
LEVEL = 0.05
WINDOWS = (5, 1)
NOISE = """
import random, time
while True:
    end = time.time() + random.uniform(0.2, 1.5)
    while time.time() < end:
        sum(range(1000))
    time.sleep(random.uniform(0.2, 1.5))
"""

Trial = dict[str, Any]


def main(minutes: float, seconds: float, methods: str, out: Path) -> None:
    end = time.monotonic() + 60 * minutes
    rng = random.Random(len(_lines(out)))
    while time.monotonic() < end:
        for measure in _pass(seconds, methods.split(","), rng):
            try:
                lines = "".join(json.dumps(trial) + "\n" for trial in measure())
            except RuntimeError as error:
                print(f"a trial came to nothing: {error}", file=sys.stderr)
                continue
            with out.open("a") as file:
                file.write(lines)
            if time.monotonic() > end:
                break
    show(_lines(out))


def _lines(out: Path) -> list[Trial]:
    """The trials so far, but for a line that the end of the process has cut off."""
    found = []
    for line in out.read_text().splitlines() if out.exists() else []:
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def _pass(seconds: float, methods: Sequence[str], rng: random.Random) -> list[Callable[[], list[Trial]]]:
    """One of everything, in random order: each kind against another commit, a run of either tool over all depths."""
    measures: list[Callable[[], list[Trial]]] = []
    for noisy in (False, True):
        if "against" in methods:
            measures += [_against(kind, _sides(rng), noisy, seconds) for kind in KINDS]
        measures += [make(noisy, seconds) for method, make in _ALL_DEPTHS.items() if method in methods]
    rng.shuffle(measures)
    return measures


def _sides(rng: random.Random) -> list[tuple[int, int]]:
    """Depths and what they change by, in random order: each by a layer, and as many times no change."""
    sides = [(depth, 1) for depth in DEPTHS] + [(rng.choice(DEPTHS), 0) for _ in DEPTHS]
    return rng.sample(sides, len(sides))


def _against(kind: str, sides: Sequence[tuple[int, int]], noisy: bool, seconds: float) -> Callable[[], list[Trial]]:
    """All sides of a kind in one run: modules as cases of one test, which share their processes, sessions as tests."""

    def measure() -> list[Trial]:
        with _project({kind: [depth for depth, _ in sides]}) as folder, _noise(noisy):
            _git(folder, "init", "-q")
            _git(folder, "add", ".")
            _git(folder, "commit", "-qm", "before")
            _depths(folder, {kind: [depth + change for depth, change in sides]})
            started = time.monotonic()
            options = ["--modelperf-against=HEAD", f"--modelperf-seconds={seconds / 2}"]
            tests = "test_modelperf" if kind == "onnxruntime" else "test_together"
            verdicts = _verdicts(_modelperf(folder, *options, "-k", tests))
            each = (time.monotonic() - started) / len(sides)
            about = {"method": "against", "noisy": noisy, "kind": kind, "seconds": each}
            return [
                {**about, "depth": depth, "change": change, **_found(verdicts[number])}
                for number, (depth, change) in enumerate(sides)
            ]

    return measure


def _verdicts(results: Any) -> dict[int, Verdict]:
    """Of each place of a kind: the case that has it as its length of `which`, or the only one of the test of it."""
    found = {}
    for result in results:
        for case, verdict in result.verdicts.items():
            which = re.search(r"which=(\d+)", case)
            found[int(which[1]) - 1 if which else _number(result.nodeid)] = verdict
    return found


def _found(verdict: Verdict) -> Trial:
    if verdict.change is None:
        raise RuntimeError(f"{verdict.case}: {verdict.word}: {verdict.reason}")
    change = verdict.change
    return {"low": change.low, "value": float(change), "high": change.high, "attempts": verdict.attempts}


def _run(noisy: bool, seconds: float) -> Callable[[], list[Trial]]:
    def measure() -> list[Trial]:
        with _project({kind: list(STORED_DEPTHS) for kind in KINDS}) as folder, _noise(noisy):
            started = time.monotonic()
            results = _modelperf(folder, f"--modelperf-seconds={seconds / 1.5}", "-k", "test_modelperf")
            runs = {_place(result.nodeid): json.loads(to_json(result.run)) for result in results}
            return [{"method": "run", "noisy": noisy, "runs": runs, "seconds": time.monotonic() - started}]

    return measure


def _benchmark(noisy: bool, seconds: float) -> Callable[[], list[Trial]]:
    def measure() -> list[Trial]:
        with _project({kind: list(STORED_DEPTHS) for kind in KINDS}) as folder, _noise(noisy):
            started = time.monotonic()
            options = [f"--benchmark-max-time={seconds}", "--benchmark-json=benchmark.json", "-k", "test_benchmark"]
            _pytest(folder, *options)
            found = json.loads((folder / "benchmark.json").read_text())["benchmarks"]
            medians = {_place(one["name"]): one["stats"]["median"] for one in found}
            return [{"method": "benchmark", "noisy": noisy, "medians": medians, "seconds": time.monotonic() - started}]

    return measure


_ALL_DEPTHS = {"run": _run, "benchmark": _benchmark}


def _place(nodeid: str) -> str:
    """`"mlp 20"` of `test_models.py::test_modelperf[mlp-0]`."""
    return f"{nodeid.rpartition('[')[2].rpartition('-')[0]} {STORED_DEPTHS[_number(nodeid)]}"


def _number(nodeid: str) -> int:
    """2 of `test_models.py::test_modelperf[mlp-2]`: the place among the depths of its kind."""
    return int(nodeid.rpartition("-")[2].rstrip("]"))


@contextmanager
def _project(depths: Mapping[str, list[int]]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(MODELS, folder / "test_models.py")
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / ".gitignore").write_text("__pycache__/\n*.json\n!depths.json\n")
        _depths(folder, depths)
        yield folder


def _depths(folder: Path, depths: Mapping[str, list[int]]) -> None:
    (folder / "depths.json").write_text(json.dumps(depths))


@contextmanager
def _noise(noisy: bool) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", NOISE]) if noisy else nullcontext() as process:
        try:
            yield
        finally:
            if process is not None:
                process.kill()


def _modelperf(folder: Path, *options: str) -> Any:
    report = folder / "report.json"
    _pytest(folder, "--modelperf", "--modelperf-confirm=0", f"--modelperf-report=json:{report}", *options)
    return read(report).results


def _pytest(folder: Path, *options: str) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    ran = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    # A failed test is a verdict.
    if ran.returncode not in (0, 1):
        raise RuntimeError(ran.stdout + ran.stderr)


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=detection", "-c", "user.email=detection@localhost"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


# What is shown


@dataclass(frozen=True)
class Judged:
    """One comparison: its true ratio, and the interval that was found."""

    true: float
    low: float
    high: float

    def word(self, tolerance: float) -> str:
        """The word of a test with one case, whose level is that of the interval that is shown."""
        interval = Estimate(self.low, self.low, self.high)
        return word_of(interval, interval, tolerance)


def show(trials: list[Trial]) -> None:
    for noisy in (False, True):
        here = [trial for trial in trials if trial["noisy"] == noisy]
        print("\nbeside the noise process" if noisy else "the machine as it is")
        _header()
        against = [
            Judged((one["depth"] + one["change"]) / one["depth"], one["low"], one["high"])
            for one in here
            if one["method"] == "against"
        ]
        for tolerance in (0.005, 0.02):
            _row("--modelperf-against", tolerance, against, _median_seconds(here, "against"))
        runs = [_loaded(one["runs"]) for one in here if one["method"] == "run"]
        for window in WINDOWS:
            judged = list(_windows(runs, window))
            for tolerance in (0.02, 0.05):
                seconds = _median_seconds(here, "run") / (len(KINDS) * len(STORED_DEPTHS))
                _row(f"stored, window of {window}", tolerance, judged, seconds)
        medians = [one["medians"] for one in here if one["method"] == "benchmark"]
        for tolerance in (0.05, 0.10):
            seconds = _median_seconds(here, "benchmark") / (len(KINDS) * len(STORED_DEPTHS))
            _row("pytest-benchmark", tolerance, list(_medians(medians)), seconds)


def _header() -> None:
    columns = ("unchanged: alarm", "uncertain", "2% found", "3% found", "5% found", "10% found", "missed: uncertain")
    print(f"{'':24}{'tol.':>6}" + "".join(f"{column:>24}" for column in (*columns, "coverage")) + f"{'s':>7}")


def _row(name: str, tolerance: float, judged: list[Judged], seconds: float) -> None:
    unchanged = [one.word(tolerance) for one in judged if one.true == 1.0]
    cells = [_share(unchanged, "slower"), _share(unchanged, "uncertain")]
    missed: list[str] = []
    for change in (0.02, 0.03, 0.05, 0.10):
        words = [one.word(tolerance) for one in judged if abs(one.true - 1 - change) < 0.004]
        cells.append(_share(words, "slower"))
        missed += [word for word in words if word != "slower"] if change > tolerance else []
    cells += [_share(missed, "uncertain"), _share([_covers(one) for one in judged], "covered")]
    print(f"{name:24}{tolerance:>6.1%}" + "".join(f"{cell:>24}" for cell in cells) + f"{seconds:7.1f}")


def _covers(one: Judged) -> str:
    return "covered" if one.low <= one.true <= one.high else "missed"


def _share(words: list[str], word: str) -> str:
    """A share with its interval of Clopper and Pearson (1934), and n."""
    number, found = len(words), words.count(word)
    if not number:
        return "–"
    low = beta.ppf(0.025, found, number - found + 1) if found else 0.0
    high = beta.ppf(0.975, found + 1, number - found) if found < number else 1.0
    return f"{found / number:.1%} [{low:.0%}, {high:.0%}] {number}"


def _median_seconds(trials: list[Trial], method: str) -> float:
    seconds = sorted(one["seconds"] for one in trials if one["method"] == method)
    return seconds[len(seconds) // 2] if seconds else math.nan


def _loaded(runs: Mapping[str, Any]) -> dict[str, Run]:
    return {place: from_json(json.dumps(run), Run) for place, run in runs.items()}


def _windows(runs: list[dict[str, Run]], window: int) -> Iterator[Judged]:
    """Every window of runs with the run that follows: of the same depth, and of a layer more."""
    for number in range(window, len(runs)):
        accepted = {
            place: Baseline(
                place, "", (runs[number - window][place],), tuple(run[place] for run in runs[number - window : number])
            )
            for place in runs[number]
        }
        for place, baseline in accepted.items():
            kind, depth = place.split()
            for change in (0, 1):
                now = runs[number].get(f"{kind} {int(depth) + change}")
                if now is not None:
                    verdict = _verdict(now, baseline, list(accepted.values()))
                    assert verdict.change is not None
                    yield Judged((int(depth) + change) / int(depth), verdict.change.low, verdict.change.high)


def _verdict(now: Run, baseline: Baseline, others: list[Baseline]) -> Verdict:
    (case, record) = next(iter(now.cases.items()))
    learned = Experiences(others).of(baseline.test)
    return compare(case, record, baseline, tolerance=0.05, level=LEVEL, conditions=now.conditions, experience=learned)


def _medians(runs: list[dict[str, float]]) -> Iterator[Judged]:
    """Every run with the one before it; a median has no interval."""
    for before, after in pairwise(runs):
        for place, median in before.items():
            kind, depth = place.split()
            for change in (0, 1):
                now = after.get(f"{kind} {int(depth) + change}")
                if now is not None:
                    ratio = now / median
                    yield Judged((int(depth) + change) / int(depth), ratio, ratio)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--methods", default="against,run,benchmark")
    parser.add_argument("--out", type=Path, default=Path("detection.jsonl"))
    main(**vars(parser.parse_args()))
