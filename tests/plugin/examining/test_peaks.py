from __future__ import annotations

from typing import NoReturn

import pytest

from pytest_modelperf.errors import UsageError
from pytest_modelperf.measuring.orders import Opened
from pytest_modelperf.measuring.peer import Fate, Lost
from pytest_modelperf.plugin.examining import peaks

OPENED = Opened(device="cpu", description="a model", cases=({},), samples_per_call=(1,), load_seconds=0.0)


@pytest.mark.parametrize(
    "error",
    [
        Lost("the yardstick", Fate("ended with exit code 1")),
        BlockingIOError(11, "Resource temporarily unavailable"),
        UsageError("a process cannot be spoken to, for no socket can be made in /tmp"),
    ],
)
def test_a_peak_that_cannot_be_measured_fails_no_test(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(threads: int, timeout_s: float) -> NoReturn:
        raise error

    monkeypatch.setattr(peaks, "measured_peak", fails)
    peak, why = peaks.Peaks().of(OPENED)
    assert peak is None
    assert why == f"the peak of this CPU could not be measured: {error}"
