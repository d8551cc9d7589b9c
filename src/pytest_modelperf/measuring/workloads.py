"""The workloads of the CPU's yardsticks, one for each thing that a model's speed may hang on.

They are built on numpy and on no framework under test, so that they hide no upgrade of one: in trials a matrix product
of numpy's took away as much of the machine's drift as convolutions of the framework itself, where it was of the model's
kind. One of the wrong kind makes things worse, so there is a panel. A call takes about a third of a millisecond.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from ..domain.workload import Workload

# Those that one thread does: one process has them all, for every number of threads.
SINGLE = ("calls", "single", "memory")
# On all threads of the device, in a process for each number.
THREADS = ("threads",)
# Increase a workload's whenever what it does, or how it is placed, changes: ratios to another are not comparable.
# 2: its threads keep to a core each.
VERSIONS = {"calls": 1, "single": 1, "memory": 1, "threads": 2}

CALLS = 1000
SINGLE_SIZE, SINGLE_PRODUCTS = 96, 20
THREADS_SIZE, THREADS_PRODUCTS = 256, 2
# Each call takes the next piece of arrays that together fill no last-level cache, or no share of one.
MEMORY_BYTES, PIECE_BYTES = 32 * 2**20, 2 * 2**20


def workloads(threads: str, *kinds: str) -> tuple[Workload, ...]:
    """The workloads of these kinds, in a process whose libraries have been given that many threads."""
    return tuple(Workload(name(kind, int(threads)), _MADE[kind]()) for kind in kinds)


def name(kind: str, threads: int) -> str:
    """The full name of a workload; what its speed depends on beside the machine is part of it."""
    import numpy as np

    # Two builds of one numpy may multiply with different libraries.
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    product = f"{blas.get('name', 'blas')}={blas.get('version', 'unknown')}"
    other = {"calls": f"python={platform.python_version()}", "single": product, "threads": product}
    parts = [f"{kind}/{VERSIONS[kind]}", f"numpy={np.__version__}", other.get(kind, ""), f"threads={threads}"]
    return " ".join(filter(None, parts))


def _calls() -> Callable[[], Any]:
    """Bound by what a call costs: an interpreter's loop with many calls that do nearly nothing."""
    import numpy as np

    left, right, result = (np.ones(8, np.float32) for _ in range(3))

    def call() -> None:
        add = np.add
        for _ in range(CALLS):
            add(left, right, out=result)

    return call


def _products(size: int, products: int) -> Callable[[], Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    left = rng.standard_normal((size, size), dtype=np.float32)
    right = rng.standard_normal((size, size), dtype=np.float32)
    product = np.empty((size, size), dtype=np.float32)

    def call() -> None:
        for _ in range(products):
            np.matmul(left, right, out=product)

    return call


def _memory() -> Callable[[], Any]:
    """Bound by memory: multiply and add, always where no call has been for long."""
    import numpy as np

    left, right = (np.ones(MEMORY_BYTES // 4, np.float32) for _ in range(2))
    length, start = PIECE_BYTES // 4, 0

    def call() -> None:
        nonlocal start
        piece = slice(start, start + length)
        np.multiply(left[piece], 0.5, out=right[piece])
        np.add(left[piece], right[piece], out=right[piece])
        start = (start + length) % left.size

    return call


_MADE: dict[str, Callable[[], Callable[[], Any]]] = {
    "calls": _calls,
    "single": lambda: _products(SINGLE_SIZE, SINGLE_PRODUCTS),
    "memory": _memory,
    "threads": lambda: _products(THREADS_SIZE, THREADS_PRODUCTS),
}
