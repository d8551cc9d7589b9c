"""What counting costs those who are timed after it: calls in a process that has counted, and in one that has not.

    python benchmarks/counters.py [--pairs 10] [--rounds 60] [--model "small calls"]

Pairs of fresh processes of one model; one of each pair counts it as a run does, the other does not. Then both are
timed in turn, in blocks of 20 ms in random order, the idle one stopped. Printed are the ratio with counting to
without (the median over rounds of the ratios of their blocks' medians), its mean over pairs with the 95% interval, the
spread between pairs, and what counting itself took. Needs torch, onnx and onnxruntime beside the project.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from players import Player, play, ratio, take_turns, warm

from pytest_modelperf.judging.statistics import t_quantile

WARM_SECONDS = 1.0


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
    players = {counts: Player(__file__, "--child", model, "--counts", counts) for counts in order}
    blocks = take_turns(players, rounds, rng)
    for player in players.values():
        player.close()
    return ratio(blocks["yes"], blocks["no"]), float(players["yes"].told)


def child(model: str, counts: bool) -> None:
    """Warm up, count or not, and say how long that took; then play."""
    from pytest_modelperf.domain.counting import Room, Wanted
    from pytest_modelperf.profiling.counters.sources import builtin
    from pytest_modelperf.profiling.counters.take import Counters

    session, inputs = MODELS[model]()
    with session.running():
        call = session.bind(inputs)
        warm(call, WARM_SECONDS)
        start = time.perf_counter()
        if counts:
            wanted = Wanted(lambda session: session.bind(inputs), 0.01)
            (found,) = Counters(builtin()).count(session, [wanted], Room(0.1, 0, math.inf))
            assert found.counts, found.unavailable
        play(call, time.perf_counter() - start)


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
