"""What counting costs those who are timed after it: calls in a process that has counted, and in one that has not.

    python benchmarks/counters.py [--pairs 10] [--rounds 60] [--model "small calls"]

Pairs of fresh processes of one model; one of each pair counts it as a run does, the other does not. Then both are
timed in turn, in blocks of 20 ms in random order, the idle one stopped. Printed are the ratio with counting to
without (the median over rounds of the ratios of their blocks' medians), its mean over pairs with the 95% interval, the
spread between pairs, and what counting itself took. Needs torch, onnx and onnxruntime beside the project.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_modelperf.judging.statistics import t_quantile

WARM_SECONDS, BLOCK_SECONDS = 1.0, 0.02


def main(pairs: int, rounds: int, models: Sequence[str]) -> None:
    print(f"{pairs} pairs of processes, {rounds} rounds each; with counting to without\n")
    for model in models:
        found = [pair(model, rounds, random.Random(number)) for number in range(pairs)]
        logs = [math.log(ratio) for ratio, _ in found]
        mean, spread = statistics.fmean(logs), statistics.stdev(logs)
        half = t_quantile(0.975, pairs - 1.0) * spread / math.sqrt(pairs)
        low, middle, high = (f"{(math.exp(end) - 1) * 100:+.2f}%" for end in (mean - half, mean, mean + half))
        took = statistics.median(seconds for _, seconds in found)
        print(f"{model:12} {middle} [{low}, {high}]  spread {spread * 100:.2f}%  counting {took * 1e3:.0f} ms")


def pair(model: str, rounds: int, rng: random.Random) -> tuple[float, float]:
    """The ratio of one pair, and the seconds that counting took."""
    order = ["yes", "no"]
    rng.shuffle(order)
    players = {counts: Player(model, counts) for counts in order}
    blocks: dict[str, list[float]] = {counts: [] for counts in order}
    for _ in range(rounds):
        rng.shuffle(order)
        for counts in order:
            blocks[counts].append(players[counts].block())
    for player in players.values():
        player.close()
    ratios = [with_ / without for with_, without in zip(blocks["yes"], blocks["no"], strict=True)]
    return statistics.median(ratios), players["yes"].counting_seconds


class Player:
    """A process that is stopped unless it plays."""

    def __init__(self, model: str, counts: str) -> None:
        command = [sys.executable, __file__, "--child", model, "--counts", counts]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.counting_seconds = self._answer()
        self._child.send_signal(signal.SIGSTOP)

    def block(self) -> float:
        """The median call of a block, in seconds."""
        self._child.send_signal(signal.SIGCONT)
        assert self._child.stdin is not None
        self._child.stdin.write("block\n")
        self._child.stdin.flush()
        median = self._answer()
        self._child.send_signal(signal.SIGSTOP)
        return median

    def close(self) -> None:
        self._child.send_signal(signal.SIGCONT)
        self._child.communicate()

    def _answer(self) -> float:
        assert self._child.stdout is not None
        return float(json.loads(self._child.stdout.readline()))


def child(model: str, counts: bool) -> None:
    """Warm up, count or not, say how long that took; then play a block for each line until there are no more."""
    from pytest_modelperf.domain.counting import Room, Wanted
    from pytest_modelperf.profiling.counters.sources import builtin
    from pytest_modelperf.profiling.counters.take import Counters

    session, inputs = MODELS[model]()
    with session.running():
        call = session.bind(inputs)
        end = time.perf_counter() + WARM_SECONDS
        while time.perf_counter() < end:
            call()
        start = time.perf_counter()
        if counts:
            wanted = Wanted(lambda session: session.bind(inputs), 0.01)
            (found,) = Counters(builtin()).count(session, [wanted], Room(0.1, 0, math.inf))
            assert found.counts, found.unavailable
        print(json.dumps(time.perf_counter() - start), flush=True)
        for _ in sys.stdin:
            print(json.dumps(median_call(call)), flush=True)
    # Frameworks may write when they end.
    os._exit(0)


def median_call(call: Callable[[], Any]) -> float:
    call()
    call()
    samples, end = [], time.perf_counter() + BLOCK_SECONDS
    while time.perf_counter() < end or len(samples) < 3:
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def convolutions() -> tuple[Any, Mapping[str, Any]]:
    """Bound by what it computes."""
    from torch import nn

    layers = [nn.Conv2d(3, 32, 3, padding=1), *(nn.Conv2d(32, 32, 3, padding=1) for _ in range(6))]
    return opened(nn.Sequential(*layers)), drawn(1, 3, 64, 64)


def small_calls() -> tuple[Any, Mapping[str, Any]]:
    """Bound by what a call of an operator costs."""
    from torch import nn

    layers = [layer for _ in range(60) for layer in (nn.Linear(16, 16), nn.ReLU())]
    return opened(nn.Sequential(*layers)), drawn(1, 16)


def onnx() -> tuple[Any, Mapping[str, Any]]:
    """A model of onnxruntime, which is opened once more to be counted."""
    import numpy as np
    from onnx import helper, numpy_helper

    from pytest_modelperf.domain.device import Device
    from pytest_modelperf.runtimes.onnxruntime import OnnxRuntime

    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.standard_normal((256, 256), dtype=np.float32) / 16, "w")
    nodes = [helper.make_node("MatMul", [f"x{n}" if n else "input", "w"], [f"x{n + 1}"]) for n in range(20)]
    ends = [helper.make_tensor_value_info(name, 1, [32, 256]) for name in ("input", "x20")]
    graph = helper.make_graph(nodes, "products", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return OnnxRuntime().open(model, Device("cpu")), drawn(32, 256)


def opened(module: Any) -> Any:
    from pytest_modelperf.domain.device import Device
    from pytest_modelperf.runtimes.torch import TorchRuntime

    return TorchRuntime().open(module, Device("cpu"))


def drawn(*shape: int) -> dict[str, Any]:
    import numpy as np

    from pytest_modelperf.domain.tensor import Value

    return {"input": Value(np.random.default_rng(0).standard_normal(shape, dtype=np.float32), "float32")}


MODELS: Mapping[str, Callable[[], tuple[Any, Mapping[str, Any]]]] = {
    "convolutions": convolutions,
    "small calls": small_calls,
    "onnxruntime": onnx,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--model", choices=MODELS, action="append", help="one of them alone (repeatable)")
    parser.add_argument("--child", choices=MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--counts", choices=("yes", "no"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.counts == "yes")
    else:
        main(given.pairs, given.rounds, given.model or list(MODELS))
