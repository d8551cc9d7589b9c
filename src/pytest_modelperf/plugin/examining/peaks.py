"""The peaks of a run's devices: those of accelerators from a table, that of the CPU measured once."""

from __future__ import annotations

from ...domain.device import Device
from ...domain.peak import Peak, peak_of
from ...errors import PeerLost, UsageError
from ...measuring.host import cpu_count
from ...measuring.orders import Opened
from ...measuring.peak import measured_peak

# Seconds that the process may take to multiply a few matrices, on a busy machine too.
_TIMEOUT = 60.0


class Peaks:
    """Knows each, once it was asked for."""

    def __init__(self) -> None:
        self._of_cpu: dict[int, tuple[Peak | None, str]] = {}

    def of(self, opened: Opened) -> tuple[Peak | None, str]:
        """The peak of the device of a model that is open, or None and the reason. Asked while nothing is timed."""
        device = Device.parse(opened.device)
        if device.kind != "cpu":
            peak = peak_of(opened.hardware, opened.precision)
            return peak, "" if peak is not None else f"the peak of {opened.hardware or device} is not known here"
        if opened.precision not in ("", "float32"):
            return None, f"the peak of this CPU for {opened.precision} is not measured"
        return self._measured(device.threads or cpu_count())

    def _measured(self, threads: int) -> tuple[Peak | None, str]:
        if threads not in self._of_cpu:
            try:
                self._of_cpu[threads] = measured_peak(threads, _TIMEOUT), ""
            # Where no process is left (OSError), or no room for its socket (UsageError), too: it is worth no test.
            except (PeerLost, OSError, UsageError) as lost:
                self._of_cpu[threads] = None, f"the peak of this CPU could not be measured: {lost}"
        return self._of_cpu[threads]
