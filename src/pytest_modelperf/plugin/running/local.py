"""Without isolation: the desk in the pytest process itself, for debuggers and `--modelperf-isolate=no`."""

from __future__ import annotations

import pytest

from ...domain.device import Device
from ...domain.results import Sweep
from ...errors import DeviceMissing, NotMeasured
from ...measuring.bench import LocalBench
from ...measuring.locks import DeviceLocks
from ..examining.bureau import Bureau
from ..examining.examination import Examination
from ..twins.messages import Judged, Terms
from ..twins.remote import physical
from .absent_devices import none_there, parted
from .desk import Opener


class LocalDesk:
    """Measures and judges where it is asked. All devices are measured in this process."""

    def __init__(self, bureau: Bureau, locks: DeviceLocks) -> None:
        self._bureau, self._locks = bureau, locks
        self._examination: Examination | None = None

    def begin(self, nodeid: str) -> None:
        self._examination = Examination(nodeid, self._bureau)

    def measure(self, terms: Terms, opener: Opener) -> Sweep:
        assert self._examination is not None
        self._examination.read_baseline()
        self._locks.hold(physical(terms.devices), terms.bus_ids)
        benches: list[LocalBench] = []
        try:
            skipped, lost = parted(terms, _open(terms, opener, benches))
            if not benches and lost:
                raise NotMeasured(none_there(terms, {**skipped, **lost}))
            if not benches:
                pytest.skip(none_there(terms, skipped))
            return self._examination.measure(terms, benches, skipped, lost)
        except KeyboardInterrupt:
            self._bureau.interrupted(self._examination)
            raise
        finally:
            for bench in benches:
                bench.release()
            self._bureau.progress.clear()
            self._locks.release()

    def judge(self, passed: bool) -> Judged:
        assert self._examination is not None
        self._examination.convert_nothing(f"the tests run {self._bureau.isolation}, which a converter may take with it")
        return self._examination.judge(passed)


def _open(terms: Terms, opener: Opener, benches: list[LocalBench]) -> dict[str, str]:
    """Open the model on every device, into `benches`; gives the devices that are not there, with the reason."""
    skipped = {}
    for device in terms.devices:
        try:
            benches.append(opener.open(Device.parse(device)))
        except DeviceMissing as missing:
            skipped[device] = str(missing)
    return skipped
