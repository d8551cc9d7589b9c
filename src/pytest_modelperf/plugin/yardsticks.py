"""The yardsticks of a coordinator: one for each number of threads, started when first needed, stopped in between."""

from __future__ import annotations

from ..domain.device import Device
from ..measuring.host import cpu_count
from ..measuring.yardstick import Yardstick


class Yardsticks:
    """Starts, keeps and closes them."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._by_threads: dict[int, Yardstick] = {}

    def of(self, device: str) -> tuple[Yardstick, ...]:
        """The panel for a device; empty on accelerators, whose speed the CPU's does not tell. Raises PeerLost."""
        spec = Device.parse(device)
        if spec.kind != "cpu":
            return ()
        threads = spec.threads or cpu_count()
        known = self._by_threads.get(threads)
        if known is None or not known.alive:
            # One that was lost cost its test the yardstick; the next test gets another.
            self._by_threads[threads] = Yardstick(threads, self._timeout_s)
        return (self._by_threads[threads],)

    def close(self) -> None:
        while self._by_threads:
            self._by_threads.popitem()[1].close()
