"""How many threads TensorFlow works with on a device, told by a process of its own: it can be set once in each.

`python -m runtimes.tensorflow_threads FOLDER DEVICE` prints the number for a SavedModel of the conformance suite.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import process_time

from runtimes import network
from runtimes.conformance import LARGE, WORK_SECONDS

from pytest_modelperf.domain.device import Device
from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime


def ask(path: Path, device: str) -> int:
    """The number, asked of a new process."""
    command = [sys.executable, "-m", __name__, str(path), device]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main(path: str, device: str) -> None:
    session = TensorFlowRuntime().open(Path(path), Device.parse(device))
    with session.running():
        call = session.bind(network.drawn(**LARGE))
        for _ in range(3):
            call()
        before, start = _cpu_seconds(), process_time()
        while process_time() - start < WORK_SECONDS:
            call()
    worked = [seconds - before.get(thread, 0.0) for thread, seconds in _cpu_seconds().items()]
    # Beside the threads that share the arithmetic the caller's and the one that hands out operators work a little.
    sys.stdout.write(str(sum(seconds > max(worked) / 2 for seconds in worked)))


def _cpu_seconds() -> dict[str, float]:
    threads = Path("/proc/self/task").iterdir()
    return {thread.name: int((thread / "schedstat").read_text().split()[0]) / 1e9 for thread in threads}


if __name__ == "__main__":
    main(*sys.argv[1:])
