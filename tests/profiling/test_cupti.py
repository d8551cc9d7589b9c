"""The source of CUPTI: on records made of the fields that its documentation has; no GPU was at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.profiling.cupti import CuptiSource, marks, recorded
from pytest_modelperf.profiling.recording import profile_of
from pytest_modelperf.runtimes.callable import CallableRuntime


class Kind(IntEnum):
    MEMCPY, MEMSET, KERNEL, DRIVER, RUNTIME = range(1, 6)
    CONCURRENT_KERNEL = 10


# The classes of records and the fields of them that are read.
FIELDS = {
    "ActivityKernel11": ("name", "start", "end", "correlation_id", "device_id", "stream_id"),
    "ActivityMemcpy6": ("copy_kind", "bytes", "start", "end", "correlation_id", "device_id", "stream_id"),
    "ActivityMemset4": ("bytes", "start", "end", "correlation_id", "device_id", "stream_id"),
    "ActivityAPI": ("cbid", "start", "end", "process_id", "thread_id", "correlation_id"),
}
KINDS = {
    "ActivityKernel11": Kind.CONCURRENT_KERNEL,
    "ActivityMemcpy6": Kind.MEMCPY,
    "ActivityMemset4": Kind.MEMSET,
    "ActivityAPI": Kind.RUNTIME,
}


def record(made: str, *values: object) -> Any:
    return SimpleNamespace(kind=int(KINDS[made]), **dict(zip(FIELDS[made], values, strict=True)))


class StandIn:
    """`cupti.cupti`, as far as it is used."""

    ActivityKind = Kind
    CallbackDomain = SimpleNamespace(RUNTIME_API=2, DRIVER_API=1)

    class cuptiError(Exception):  # noqa: N801 - its own name
        pass

    def __init__(self, records: Sequence[Any], **refuses: str) -> None:
        """`refuses` is what is said of functions that are refused: `enable` at the third kind, `disable`, `flush`."""
        self._records, self._refuses = records, refuses
        self.enabled: list[int] = []
        self._completed: Callable[[Sequence[Any]], None] = lambda _: None

    def activity_register_callbacks(self, func_buffer_requested: Any, func_buffer_completed: Any) -> None:
        size, most = func_buffer_requested()
        assert size > 0
        assert most == 0
        self._completed = func_buffer_completed

    def activity_enable(self, kind: int) -> None:
        if len(self.enabled) == 2:
            self._check("enable")
        self.enabled.append(kind)

    def activity_disable(self, kind: int) -> None:
        self.enabled.remove(kind)
        self._check("disable")

    def activity_flush_all(self, flag: int) -> None:
        assert flag == 1
        self._check("flush")
        self._completed(self._records)

    def _check(self, name: str) -> None:
        if name in self._refuses:
            raise self.cuptiError(self._refuses[name])

    def get_callback_name(self, domain: int, cbid: int) -> str:
        return {(2, 211): "cudaLaunchKernel", (2, 41): "cudaMemcpyAsync"}[domain, cbid]


# One call of the model, from 0 to 100 us: a kernel that runs later than it was asked for, and a copy to the host.
RECORDS = (
    record("ActivityAPI", 211, 3_000, 7_000, 42, 1, 5),
    record("ActivityKernel11", "sgemm_64x64", 30_000, 70_000, 5, 0, 7),
    record("ActivityAPI", 41, 20_000, 24_000, 42, 1, 6),
    record("ActivityMemcpy6", 2, 256, 70_000, 80_000, 6, 0, 7),
    record("ActivityMemset4", 64, 81_000, 82_000, 8, 0, 7),
    SimpleNamespace(kind=99),
)


def test_activities_become_a_profile() -> None:
    cupti = StandIn(RECORDS)
    with recorded(cupti) as found:
        assert len(cupti.enabled) == 5
    assert cupti.enabled == []
    trace = json.dumps([*marks([(0, 100_000)]), *found]).encode()
    profile = profile_of(trace, "cupti 13", {})
    assert profile.seconds == pytest.approx(1e-4)
    (kernel,) = profile.kernels
    assert (kernel.name, kernel.calls) == ("sgemm_64x64", 1)
    assert kernel.seconds == pytest.approx(4e-5)
    assert {one.name: one.bytes for one in profile.copies} == {"Memcpy DtoH": 256, "Memset": 64}
    assert {one.name for one in profile.api_calls} == {"cudaLaunchKernel", "cudaMemcpyAsync"}
    # Without operators what ran on the GPU stands for itself.
    assert profile.operators[0].name == "sgemm_64x64"
    assert profile.operators[0].share == pytest.approx(0.4)


@pytest.mark.parametrize("name", ["enable", "disable", "flush"])
def test_what_cupti_refuses_is_the_reason_and_nothing_stays_enabled(name: str) -> None:
    cupti = StandIn((), **{name: "MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED"})
    with pytest.raises(MetricUnavailable, match="CUPTI says MULTIPLE_SUBSCRIBERS"), recorded(cupti):
        pass
    assert cupti.enabled == []


@pytest.mark.parametrize("name", ["disable", "flush"])
def test_what_the_model_raises_is_not_hidden_by_what_cupti_refuses(name: str) -> None:
    cupti = StandIn((), **{name: "ILLEGAL_ADDRESS"})
    with pytest.raises(ZeroDivisionError), recorded(cupti):
        raise ZeroDivisionError
    assert cupti.enabled == []


def test_a_model_on_the_cpu_is_not_looked_into() -> None:
    session = CallableRuntime().open(len, Device("cpu"))
    assert CuptiSource().available(session) == "the model does not run on an NVIDIA GPU"


def test_the_library_has_what_the_stand_in_has() -> None:
    cupti = pytest.importorskip("cupti.cupti")
    for name, fields in FIELDS.items():
        assert not [field for field in (*fields, "kind") if not hasattr(getattr(cupti, name), field)]
    assert all(cupti.ActivityKind[kind.name] == kind.value for kind in Kind)
    assert (cupti.CallbackDomain.RUNTIME_API, cupti.CallbackDomain.DRIVER_API) == (2, 1)
    assert issubclass(cupti.cuptiError, Exception)
    for name in ("activity_register_callbacks", "activity_enable", "activity_disable", "activity_flush_all"):
        assert callable(getattr(cupti, name))
    assert callable(cupti.get_callback_name)
    assert callable(cupti.get_timestamp)
