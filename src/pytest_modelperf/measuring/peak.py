"""The peak of a CPU: what a product of matrices reaches, measured once in a process of its own.

It is numpy's product of float32, with the BLAS that numpy was built with: a framework that has a better one for this
CPU may do more. How fast it reads weights is told by a product with a vector. Nothing is timed meanwhile.
"""

from __future__ import annotations

import platform
from typing import Any

from ..domain.peak import Peak
from ..domain.workload import Workload
from .yardstick import YardstickProcess

# Large enough that a product is bound by the units that multiply, and takes a few milliseconds.
SIZE = 1024
_OPERATIONS = 2.0 * SIZE**3
# A matrix of 128 MiB, which no cache keeps from one product with a vector to the next.
ROWS, COLUMNS = 4096, 8192
_BYTES = 4.0 * ROWS * COLUMNS


def workloads(threads: str) -> tuple[Workload, ...]:
    """The products, in a process whose libraries have been given that many threads."""
    import numpy as np

    left, right = (np.random.default_rng(seed).standard_normal((SIZE, SIZE), dtype=np.float32) for seed in (0, 1))
    result: Any = np.empty((SIZE, SIZE), dtype=np.float32)
    noun = "thread" if threads == "1" else "threads"
    name = f"a product of {SIZE} x {SIZE} matrices of float32 with numpy {np.__version__}, {threads} {noun}"
    matrix, vector = np.ones((ROWS, COLUMNS), np.float32), np.ones(COLUMNS, np.float32)
    return (
        Workload(name, lambda: np.matmul(left, right, out=result)),
        Workload(f"a product of a {ROWS} x {COLUMNS} matrix with a vector", lambda: np.matmul(matrix, vector)),
    )


def measured_peak(threads: int, timeout_s: float) -> Peak:
    """The peak with this many threads. Raises PeerLost."""
    process = YardstickProcess(__name__, str(threads), timeout_s=timeout_s, threads=threads)
    try:
        product, reading = process.yardsticks
    finally:
        process.close()
    rate = _OPERATIONS / product.call_seconds
    source = f"measured: {product.name}: {rate * 1e-9:.3g} GFLOP/s on {platform.machine()}"
    return Peak(rate, source, _BYTES / reading.call_seconds)
