"""Without isolation: the desk in the pytest process itself, for debuggers and `--modelperf-isolate=no`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ...domain.device import Device
from ...domain.results import Sweep
from ...errors import DeviceMissing, NotMeasured
from ...measuring.bench import LocalBench
from ...measuring.locks import DeviceLocks
from ...measuring.tracers import tracer
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
        self._nodeid = ""

    def begin(self, nodeid: str) -> None:
        self._nodeid = nodeid
        self._examination = Examination(nodeid, self._bureau)

    def measure(self, terms: Terms, opener: Opener) -> Sweep:
        assert self._examination is not None
        self._examination = self._traced() or self._examination
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

    def _traced(self) -> Examination | None:
        """The examination of a test that is debugged: compared with nothing; None where nobody traces this process.

        Raises NotMeasured where a baseline is to be made of it.
        """
        traced = tracer()
        if traced is None:
            return None
        if self._bureau.settings.update:
            raise NotMeasured(f"{traced}, or leave out --modelperf-update")
        isolation = f"{self._bureau.isolation} under {traced.who.partition(',')[0]}"
        examination = Examination(self._nodeid, replace(self._bureau, isolation=isolation))
        examination.note(f"not the model's times alone: {traced}")
        return examination

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
