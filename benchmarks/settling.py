"""What a call that settles is worth at the start of a block: two processes of one model in turn, in three ways.

    python benchmarks/settling.py [--seconds 57] [--side 0.6] [--layers 28] [--out settling.jsonl]

Makes pairs for so many seconds, a line of the file each, so that a series can be made in pieces, and shows all that the
file has. Needs torch beside the project, and a machine on which nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_modelperf.domain.workload import Workload
from pytest_modelperf.judging.paired import PAIR_TRIM
from pytest_modelperf.judging.statistics import trimmed_mean
from pytest_modelperf.measuring.orders import Block
from pytest_modelperf.measuring.yardstick import YardstickProcess

# Calls that settle, calls that are timed, and blocks in the same time.
WAYS = {"one settles, one timed": (1, 1, 1), "none settles, twice the rounds": (0, 1, 2), "two timed": (0, 2, 1)}
# The nanoseconds of a block's calls, on both sides.
Round = list[list[int]]


def workloads(layers: str) -> tuple[Workload, ...]:
    """The model, in the process that calls it: convolutions, and products of matrices."""
    import torch

    def stack(number: int, layer: Any) -> Any:
        return torch.nn.Sequential(*(one for _ in range(number) for one in (layer(), torch.nn.ReLU()))).eval()

    convolutions = stack(int(layers), lambda: torch.nn.Conv2d(32, 32, 3, padding=1))
    products = stack(2, lambda: torch.nn.Linear(1024, 1024))
    image, rows = torch.randn(1, 32, 56, 56), torch.randn(32, 1024)

    def call() -> None:
        with torch.inference_mode():
            convolutions(image)
            products(rows)

    return (Workload("model", call),)


def main(seconds: float, side: float, layers: int, out: Path) -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    end, took = time.monotonic() + seconds, 0.0
    while time.monotonic() + took < end:
        began = time.monotonic()
        with out.open("a") as file:
            file.write(json.dumps({"rec": measured(side, layers)}) + "\n")
        took = time.monotonic() - began
    show([json.loads(line)["rec"] for line in out.read_text().splitlines()])


def measured(side: float, layers: int) -> dict[str, list[Round]]:
    """One pair of fresh processes."""
    processes = [YardstickProcess(Path(__file__).stem, str(layers), timeout_s=60.0) for _ in range(2)]
    models = [process.yardsticks[0] for process in processes]
    turns = max(10, int(side / 2 / max(model.call_seconds for model in models)))
    rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
    for _ in range(turns):
        for way in random.sample(list(WAYS), len(WAYS)):
            settling, calls, blocks = WAYS[way]
            rounds[way] += [_round(models, Block(0, calls, settling)) for _ in range(blocks)]
    for process in processes:
        process.close()
    return rounds


def _round(models: Sequence[Any], order: Block) -> Round:
    calls: dict[int, list[int]] = {}
    for number in random.sample(range(len(models)), len(models)):
        models[number].resume()
        calls[number] = list(models[number].block(order).samples_ns)
        models[number].pause()
    return [calls[number] for number in range(len(models))]


def show(pairs: Sequence[dict[str, list[Round]]]) -> None:
    print(f"{len(pairs)} pairs; log ratios, whose truth is 0, and the time of a call against the first way, in %")
    levels = {way: [_level(pair[way]) for pair in pairs] for way in WAYS}
    for way in WAYS:
        logs = [trimmed_mean([_log(one) - _log(other) for one, other in pair[way]], PAIR_TRIM) for pair in pairs]
        mean, spread = statistics.fmean(logs), statistics.stdev(logs) if logs[1:] else math.nan
        squares = math.sqrt(statistics.fmean(log**2 for log in logs))
        slower = [level - base for level, base in zip(levels[way], levels[next(iter(WAYS))], strict=True)]
        figures = (mean, spread / math.sqrt(len(pairs)), squares, statistics.fmean(slower))
        print(f"{way:32}{'{:+8.2f} ±{:5.2f}  rms {:5.2f}  call {:+5.2f}'.format(*(100 * one for one in figures))}")


def _log(calls: Sequence[int]) -> float:
    return math.log(statistics.median(calls))


def _level(rounds: Sequence[Round]) -> float:
    return statistics.median(_log(one[0]) for one in rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=57.0)
    parser.add_argument("--side", type=float, default=0.6)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--out", type=Path, default=Path("settling.jsonl"))
    given = parser.parse_args()
    main(given.seconds, given.side, given.layers, given.out)
