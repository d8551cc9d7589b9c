"""What counting costs those who are timed after it: calls of a process before it has counted, and behind that.

    python benchmarks/counters.py [--pairs 10] [--rounds 30] [--model "small calls"]

Pairs of fresh processes of one model, on one thread. Both are timed in turn, in blocks of 20 ms in random order, the
idle one stopped; then one of them counts the model as a run does, the other does not, and both are timed again. So what
makes processes of the same model differ (where their memory lies) is on both sides. Printed are the ratio of the one
that counts to the other (the median over rounds of the ratios of their blocks' medians) behind, to that before; its
mean over pairs with the 95% interval, the spread between pairs, and what counting itself took. Needs torch, onnx and
onnxruntime beside the project.
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
COUNTS, NOT = "counts", "does not"


def main(pairs: int, rounds: int, models: Sequence[str]) -> None:
    print(f"{pairs} pairs of processes, {rounds} rounds before and as many behind; with counting to without\n")
    for model in models:
        found = [pair(model, rounds, random.Random(number)) for number in range(pairs)]
        logs = [math.log(ratio) for ratio, _ in found]
        mean, spread = statistics.fmean(logs), statistics.stdev(logs)
        half = t_quantile(0.975, pairs - 1.0) * spread / math.sqrt(pairs)
        low, middle, high = (f"{(math.exp(end) - 1) * 100:+.2f}%" for end in (mean - half, mean, mean + half))
        took = statistics.median(seconds for _, seconds in found)
        told = f"{model:12} {middle} [{low}, {high}]  spread {spread * 100:.2f}%  counting {took * 1e3:.0f} ms"
        print(told, [f"{(ratio - 1) * 100:+.1f}" for ratio, _ in found], flush=True)


def pair(model: str, rounds: int, rng: random.Random) -> tuple[float, float]:
    """The ratio of one pair, and the seconds that counting took."""
    order = [COUNTS, NOT]
    rng.shuffle(order)
    players = {name: Player(__file__, "--child", model) for name in order}
    before = take_turns(players, rounds, rng)
    took = float(players[COUNTS].ask("count"))
    behind = take_turns(players, rounds, rng)
    for player in players.values():
        player.close()
    return ratio(behind[COUNTS], behind[NOT]) / ratio(before[COUNTS], before[NOT]), took


def child(model: str) -> None:
    """Warm up; then play, and count where that is asked for."""
    from pytest_modelperf.domain.counting import Room, Wanted
    from pytest_modelperf.profiling.counters.sources import builtin
    from pytest_modelperf.profiling.counters.take import Counters

    session, inputs = MODELS[model]()
    with session.running():
        call = session.bind(inputs)
        warm(call, WARM_SECONDS)

        def count() -> float:
            start = time.perf_counter()
            wanted = Wanted(lambda session: session.bind(inputs), 0.01)
            (found,) = Counters(builtin()).count(session, [wanted], Room(0.1, 0, math.inf))
            assert found.counts, found.unavailable
            return time.perf_counter() - start

        play(call, "ready", {"count": count})


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
    return OnnxRuntime().open(model, Device("cpu", threads=1)), drawn(32, 256)


def opened(module: Any) -> Any:
    from pytest_modelperf.domain.device import Device
    from pytest_modelperf.runtimes.torch import TorchRuntime

    # Threads that wait for each other make pairs spread by 17%, which hides what is looked for.
    return TorchRuntime().open(module, Device("cpu", threads=1))


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
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--model", choices=MODELS, action="append", help="one of them alone (repeatable)")
    parser.add_argument("--child", choices=MODELS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
    else:
        main(given.pairs, given.rounds, given.model or list(MODELS))
