from __future__ import annotations

import sys

import pytest
import torch

from pytest_modelperf.errors import MetricUnavailable
from pytest_modelperf.runtimes import torch_workloads


def test_another_workload_needs_another_version() -> None:
    """Baselines hold ratios to them: who changes one must increase its version, and then this line."""
    assert torch_workloads.VERSIONS == {"product": 1, "copy": 1}
    assert (torch_workloads.SIZE, torch_workloads.PRODUCTS) == (1024, 4)
    assert (torch_workloads.COPY_BYTES, torch_workloads.COPIES) == (67108864, 2)


def test_the_same_work_on_the_cpu() -> None:
    product, copy = torch_workloads.workloads("cpu")
    assert product.name == f"product/1 torch={torch.__version__} cpu"
    assert copy.name == f"copy/1 torch={torch.__version__} cpu"
    for workload in (product, copy):
        assert workload.wait is None
        assert workload.call() is None
        assert workload.call() is None


def test_on_an_accelerator_the_name_tells_which_and_calls_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for what only a GPU answers."""
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    assert torch_workloads._name("copy", "cuda:1") == f"copy/1 torch={torch.__version__} NVIDIA H200"
    wait = torch_workloads._wait("cuda:1")
    assert wait is not None
    wait()
    assert waited == ["cuda:1"]


@pytest.mark.parametrize("device", ["cuda:99", "xpu:0"])
def test_a_device_that_is_not_there_has_none(device: str) -> None:
    assert torch_workloads.workloads(device) == ()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("_copies", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 64.00 MiB.")),
        # The context of a second process on a full device, and on one in exclusive mode.
        ("_products", RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported at another call")),
        ("_products", torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable")),
        ("_name", RuntimeError("CUDA driver error: unknown error")),
    ],
)
def test_a_device_without_room_has_none_and_says_why(
    where: str, said: RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: str) -> None:
        raise said

    monkeypatch.setattr(torch_workloads, where, full)
    with pytest.raises(MetricUnavailable) as caught:
        torch_workloads.workloads("cpu")
    first = str(said).splitlines()[0]
    assert str(caught.value) == f"the device has no room for another process: {type(said).__name__}: {first}"


def test_the_first_call_is_made_where_it_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handle of cuBLAS is made there: outside of it its error would end the process."""

    def product() -> None:
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr(torch_workloads, "_products", lambda device: product)
    with pytest.raises(MetricUnavailable, match=r"no room for another process: .*CUBLAS_STATUS_ALLOC_FAILED"):
        torch_workloads.workloads("cpu")


def test_without_torch_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert torch_workloads.workloads("cuda:0") == ()
