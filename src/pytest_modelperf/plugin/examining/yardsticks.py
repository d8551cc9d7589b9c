"""The yardsticks of a coordinator: a panel for each kind of device, started when first needed, stopped in between."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from ...domain.device import Device
from ...errors import PeerLost, UsageError
from ...measuring.host import cpu_count
from ...measuring.workloads import SINGLE, THREADS
from ...measuring.yardstick import Yardstick, YardstickProcess

_NUMPY = "pytest_modelperf.measuring.workloads"
_TORCH = "pytest_modelperf.runtimes.torch_workloads"
_LAYERS = "pytest_modelperf.runtimes.torch_layers"


class Yardsticks:
    """Starts, keeps and closes their processes."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._notes: list[str] = []
        # By the number of threads, of numpy's or of torch's, or by the accelerator; None where there are no workloads.
        self._processes: dict[int | str, YardstickProcess | None] = {}

    def of(self, device: str, *, threads: int = 0, torch: bool = False) -> tuple[Yardstick, ...]:
        """The panel for a device; empty on accelerators that nothing here has workloads for.

        `threads` were seen computing there (0: nobody can tell): a framework may take as many as there are cores, where
        CPUs are twice as many. `torch`: models of torch's run there, which one yardstick is built on; another framework
        is not imported.
        A yardstick never fails a test: what cannot be started is left out, and `notes` tells why.
        """
        spec = Device.parse(device)
        if spec.kind == "cuda":
            return self._accelerator(str(spec))
        if spec.kind != "cpu":
            return ()
        threads = spec.threads or min(threads or cpu_count(), cpu_count())
        several = (*self._cpu(threads), *(self._layers(threads) if torch else ())) if threads > 1 else ()
        return (*self._cpu(1), *several)

    def notes(self) -> tuple[str, ...]:
        """What there is to say of those that were left out, since it was asked last."""
        notes, self._notes = tuple(dict.fromkeys(self._notes)), []
        return notes

    def close(self) -> None:
        while self._processes:
            process = self._processes.popitem()[1]
            if process is not None:
                process.close()

    def _cpu(self, threads: int) -> tuple[Yardstick, ...]:
        """What one thread does serves for every number of threads."""
        if not self._has(threads):
            kinds = SINGLE if threads == 1 else THREADS
            self._start(threads, f"{threads} threads", _NUMPY, str(threads), *kinds, threads=threads)
        return self._panel(threads)

    def _layers(self, threads: int) -> tuple[Yardstick, ...]:
        key = f"layers {threads}"
        if not self._has(key):
            self._start(key, f"{threads} threads", _LAYERS, str(threads))
        return self._panel(key)

    def _accelerator(self, device: str) -> tuple[Yardstick, ...]:
        if not self._has(device):
            if find_spec("torch") is None:
                self._processes[device] = None
            else:
                self._start(device, device, _TORCH, device)
        return self._panel(device)

    def _has(self, key: int | str) -> bool:
        # Of one that was lost the next measurement gets another.
        process = self._processes.get(key)
        return key in self._processes and (process is None or process.alive)

    def _start(self, key: int | str, where: str, module: str, *arguments: str, threads: int | None = None) -> None:
        """Start a process; without a reason that may pass, what has no workloads is not asked again."""
        self._processes.pop(key, None)
        start = partial(YardstickProcess, module, *arguments, timeout_s=self._timeout_s)
        try:
            process = start() if threads is None else start(threads=threads)
        except (PeerLost, OSError, UsageError) as lost:
            self._notes.append(f"no yardstick on {where}: {lost}")
            return
        if process.yardsticks:
            self._processes[key] = process
            return
        process.close()
        if process.reason:
            self._notes.append(f"no yardstick on {where}: {process.reason}")
        else:
            self._processes[key] = None

    def _panel(self, key: int | str) -> tuple[Yardstick, ...]:
        process = self._processes.get(key)
        return process.yardsticks if process is not None else ()
