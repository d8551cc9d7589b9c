"""The yardsticks of a coordinator: a panel for each kind of device, started when first needed, stopped in between."""

from __future__ import annotations

from importlib.util import find_spec

from ..domain.device import Device
from ..measuring.host import cpu_count
from ..measuring.workloads import SINGLE, THREADS
from ..measuring.yardstick import Yardstick, YardstickProcess

_NUMPY = "pytest_modelperf.measuring.workloads"
_TORCH = "pytest_modelperf.runtimes.torch_workloads"
_LAYERS = "pytest_modelperf.runtimes.torch_layers"


class Yardsticks:
    """Starts, keeps and closes their processes."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        # By the number of threads, of numpy's or of torch's, or by the accelerator; None where there are no workloads.
        self._processes: dict[int | str, YardstickProcess | None] = {}

    def of(self, device: str, *, torch: bool = False) -> tuple[Yardstick, ...]:
        """The panel for a device; empty on accelerators that nothing here has workloads for. Raises PeerLost.

        `torch`: models of torch's run there, which one yardstick is built on; another framework is not imported.
        """
        spec = Device.parse(device)
        if spec.kind == "cuda":
            return self._accelerator(str(spec))
        if spec.kind != "cpu":
            return ()
        threads = spec.threads or cpu_count()
        several = (*self._cpu(threads), *(self._layers(threads) if torch else ())) if threads > 1 else ()
        return (*self._cpu(1), *several)

    def close(self) -> None:
        while self._processes:
            process = self._processes.popitem()[1]
            if process is not None:
                process.close()

    def _cpu(self, threads: int) -> tuple[Yardstick, ...]:
        """What one thread does serves for every number of threads."""
        if not self._has(threads):
            kinds = SINGLE if threads == 1 else THREADS
            self._start(
                threads, YardstickProcess(_NUMPY, str(threads), *kinds, timeout_s=self._timeout_s, threads=threads)
            )
        return self._panel(threads)

    def _layers(self, threads: int) -> tuple[Yardstick, ...]:
        key = f"layers {threads}"
        if not self._has(key):
            self._start(key, YardstickProcess(_LAYERS, str(threads), timeout_s=self._timeout_s))
        return self._panel(key)

    def _accelerator(self, device: str) -> tuple[Yardstick, ...]:
        if not self._has(device):
            there = find_spec("torch") is not None
            self._start(device, YardstickProcess(_TORCH, device, timeout_s=self._timeout_s) if there else None)
        return self._panel(device)

    def _has(self, key: int | str) -> bool:
        # One that was lost has cost its test the measurement; the next test gets another.
        process = self._processes.get(key)
        return key in self._processes and (process is None or process.alive)

    def _start(self, key: int | str, process: YardstickProcess | None) -> None:
        if process is not None and not process.yardsticks:
            process.close()
            process = None
        self._processes[key] = process

    def _panel(self, key: int | str) -> tuple[Yardstick, ...]:
        process = self._processes[key]
        return process.yardsticks if process is not None else ()
