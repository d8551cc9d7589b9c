"""Traces as torch.profiler writes them. Those of a GPU are made here, in its format: none was at hand."""

from __future__ import annotations

import json
from typing import Any

from pytest_modelperf.domain.counting import Tally
from pytest_modelperf.domain.profile import CALL
from pytest_modelperf.profiling.counters import trace
from pytest_modelperf.profiling.counters.trace import ON_GPU

Event = dict[str, Any]


def tallies(events: list[Event], *, on_gpu: bool) -> list[Tally]:
    return trace.tallies(json.dumps({"traceEvents": events}).encode(), on_gpu=on_gpu)


def event(name: str, cat: str, start: float, seconds: float = 1.0, *, thread: int = 1, **args: Any) -> Event:
    return {"ph": "X", "name": name, "cat": cat, "ts": start, "dur": seconds, "pid": 1, "tid": thread, "args": args}


def marked(start: float, seconds: float) -> Event:
    return event(CALL, "user_annotation", start, seconds)


def op(name: str, start: float, seconds: float = 1.0, **args: Any) -> Event:
    return event(name, "cpu_op", start, seconds, **args)


def memory(start: float, size: int) -> Event:
    return {"ph": "i", "name": "[memory]", "cat": "cpu_instant_event", "ts": start, "args": {"Bytes": size}}


def product(start: float) -> Event:
    told: dict[str, Any] = {"Input Dims": [[4, 8], [8, 2]], "Concrete Inputs": ["", ""]}
    return op("aten::mm", start, **told)


def test_what_lies_within_a_marked_call_is_counted_for_it_alone() -> None:
    first, second = tallies(
        [op("aten::empty", 0.0), marked(10, 10), product(11), op("aten::t", 12), marked(30, 10), product(31)],
        on_gpu=False,
    )
    assert first.operators == {"aten::mm": 1, "aten::t": 1}
    assert second.operators == {"aten::mm": 1}
    assert (first.counts["operator_calls"], second.counts["operator_calls"]) == (2.0, 1.0)
    assert first.counts["flops"] == second.counts["flops"] == 2 * 4 * 8 * 2


def test_the_order_of_the_events_does_not_matter() -> None:
    events = [product(31), marked(30, 10), op("aten::t", 12), marked(10, 10)]
    assert [dict(tally.operators) for tally in tallies(events, on_gpu=False)] == [{"aten::t": 1}, {"aten::mm": 1}]


def test_operators_that_others_call_are_counted_and_their_operations_once() -> None:
    events = [marked(0, 100), op("aten::linear", 1, 20), product(2), op("aten::matmul", 30, 20), product(31)]
    (tally,) = tallies(events, on_gpu=False)
    assert tally.counts["operator_calls"] == 4.0
    assert tally.counts["flops"] == 2 * 128


def test_what_is_given_back_is_no_allocation() -> None:
    (tally,) = tallies([marked(0, 10), product(1), memory(2, 4096), memory(3, 64), memory(4, -4096)], on_gpu=False)
    assert (tally.counts["allocations"], tally.counts["allocated_bytes"]) == (2.0, 4160.0)


def test_a_call_without_a_formula_has_a_reason_instead_of_a_zero() -> None:
    (tally,) = tallies([marked(0, 10), op("aten::relu", 1)], on_gpu=False)
    assert "flops" not in tally.counts
    assert tally.missing["flops"].startswith("no operator was called that has a formula")


class TestCompiled:
    REGION = "Torch-Compiled Region: 0/0"

    def test_regions_are_told_and_operations_are_not(self) -> None:
        events = [marked(0, 50), op(self.REGION, 1, 10), product(2)]
        (tally,) = tallies(events, on_gpu=False)
        assert (tally.counts["compiled_regions"], tally.counts["graph_breaks"]) == (1.0, 0.0)
        assert "torch.compile" in tally.missing["flops"]
        assert tally.operators == {"aten::mm": 1}

    def test_each_region_inside_of_another_is_a_break(self) -> None:
        events = [marked(0, 90), op(self.REGION, 1, 80), op(self.REGION, 10, 60), op(self.REGION, 20, 10)]
        (tally,) = tallies(events, on_gpu=False)
        assert (tally.counts["compiled_regions"], tally.counts["graph_breaks"]) == (3.0, 2.0)

    def test_regions_one_after_the_other_are_none(self) -> None:
        (tally,) = tallies([marked(0, 90), op(self.REGION, 1, 10), op(self.REGION, 20, 10)], on_gpu=False)
        assert tally.counts["graph_breaks"] == 0.0


class TestOnAGpu:
    def events(self) -> list[Event]:
        def api(name: str, start: float, number: int) -> Event:
            return event(name, "cuda_runtime", start, correlation=number)

        def gpu(name: str, cat: str, start: float, number: int, **args: Any) -> Event:
            return event(name, cat, start, thread=7, correlation=number, **args)

        return [
            marked(0, 10),
            # The same call as the GPU sees it, longer than it takes on the host.
            event(CALL, "gpu_user_annotation", 5, 90, thread=7),
            product(1),
            api("cudaLaunchKernel", 1.1, 1),
            api("cuLaunchKernelEx", 2, 2),
            api("cudaMemcpyAsync", 3, 3),
            api("cudaMemcpyAsync", 4, 4),
            api("cudaMemcpyAsync", 5, 5),
            api("cudaStreamSynchronize", 6, 6),
            # It waits for the device when the call is over: that is measuring's own.
            api("cudaDeviceSynchronize", 11, 7),
            api("cudaLaunchKernel", 12, 8),
            # These run when the host has gone on.
            gpu("gemm", "kernel", 40, 1),
            gpu("relu", "kernel", 41, 2),
            gpu("Memcpy HtoD (Pageable -> Device)", "gpu_memcpy", 42, 3, bytes=4096),
            gpu("Memcpy DtoH (Device -> Pageable)", "gpu_memcpy", 43, 4, bytes=16),
            gpu("Memcpy DtoD (Device -> Device)", "gpu_memcpy", 44, 5, bytes=10**6),
            gpu("another call's", "kernel", 45, 8),
        ]

    def test_kernels_and_copies_belong_to_the_call_that_asked_for_them(self) -> None:
        (tally,) = tallies(self.events(), on_gpu=True)
        assert {name: tally.counts[name] for name in ("kernels", "host_device_copies", "host_device_bytes")} == {
            "kernels": 2.0,
            "host_device_copies": 2.0,
            "host_device_bytes": 4112.0,
        }

    def test_waiting_after_the_call_is_none_of_its_synchronisations(self) -> None:
        (tally,) = tallies(self.events(), on_gpu=True)
        assert (tally.counts["synchronisations"], tally.counts["cuda_api_calls"]) == (1.0, 6.0)

    def test_what_cupti_did_not_record_is_no_0(self) -> None:
        silent = [one for one in self.events() if one["cat"] not in ("cuda_runtime", "kernel", "gpu_memcpy")]
        launched = [one for one in self.events() if one["cat"] not in ("kernel", "gpu_memcpy")]
        for events in (silent, launched):
            (tally,) = tallies(events, on_gpu=True)
            assert not set(ON_GPU) & set(tally.counts)
            assert set(tally.missing) >= set(ON_GPU)
            assert tally.missing["kernels"].startswith("CUPTI recorded nothing of the GPU: another profiler may be on")

    def test_a_call_that_launches_nothing_is_told_with_0(self) -> None:
        asked = [*self.events(), marked(100, 10), event("cudaStreamIsCapturing", "cuda_runtime", 101, correlation=99)]
        *_, tally = tallies(asked, on_gpu=True)
        assert (tally.counts["kernels"], tally.counts["cuda_api_calls"]) == (0.0, 1.0)

    def test_without_cupti_nothing_is_told_of_it(self) -> None:
        (tally,) = tallies(self.events(), on_gpu=False)
        assert not {"kernels", "synchronisations", "cuda_api_calls"} & set(tally.counts)
