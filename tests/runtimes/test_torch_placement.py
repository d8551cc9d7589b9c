"""Where torch really ran a model. Without an accelerator: its allocator is a stand-in that counts as torch's do."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import ModelFacts
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.runtimes import torch_placement
from pytest_modelperf.runtimes.torch import TorchRuntime
from pytest_modelperf.runtimes.torch_devices import Allocator

torch = pytest.importorskip("torch")

CPU, CUDA, MPS = Device("cpu"), Device("cuda"), Device("mps")


class Count:
    """An allocator that has given memory out so often."""

    def __init__(self, number: int | None) -> None:
        self.number = number

    def allocations(self) -> int | None:
        return self.number


def watched(number: int | None) -> tuple[Any, Any]:
    count: Any = Count(number)
    return count, torch_placement.Watch(CUDA, count)


FACTS = ModelFacts("Net (torch)", counts={"fallback_nodes": 0})


def test_a_model_that_took_no_memory_of_its_device_ran_elsewhere() -> None:
    count, watch = watched(10)
    with watch.binding():
        count.number += 2
    told = watch.called(FACTS, torch.ones(2))
    assert told.counts == {"fallback_nodes": 1}
    (note,) = told.notes
    assert note.startswith(
        "nothing was allocated on 'cuda:0' while the model ran: it seems to have run on the CPU; look"
    )
    assert watch.called(told, torch.ones(2)) is told


@pytest.mark.parametrize(
    "kept", [torch.ones(2, device="meta"), {"y": torch.ones(2, device="meta"), "n": torch.ones(1)}]
)
def test_answers_in_memory_that_it_has_kept_there_are_no_word_against_it(kept: Any) -> None:
    """A CUDA graph of the user's own allocates nothing, and answers on the device."""
    _, watch = watched(10)
    with watch.binding():
        pass
    told = watch.called(FACTS, kept)
    assert told.counts == {"fallback_nodes": 0}
    (note,) = told.notes
    assert note.startswith("nothing was allocated on 'cuda:0' while the model ran: whether it ran there cannot be told")
    assert watch.called(told, kept) is told
    assert watch.called(FACTS, None).counts == {"fallback_nodes": 0}


def test_one_that_took_some_at_its_first_call_did_not() -> None:
    count, watch = watched(10)
    with watch.binding():
        count.number += 2
    # The first call of a CUDA graph allocates, its replays do not.
    count.number += 1
    assert watch.called(FACTS, torch.ones(2)) is FACTS
    with watch.binding():
        count.number += 2
    assert watch.called(FACTS, torch.ones(2)) is FACTS


@pytest.mark.parametrize("number", [None, 0])
def test_an_allocator_that_does_not_tell_says_nothing_of_the_model(number: int | None) -> None:
    _, watch = watched(number or None)
    with watch.binding():
        pass
    assert watch.called(FACTS, torch.ones(2)) is FACTS


def test_torch_s_own_count_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        stats: ClassVar[dict[str, int]] = {}

        def memory_stats(self, device: str) -> dict[str, int]:
            return self.stats

    monkeypatch.setattr(torch, "get_device_module", lambda kind: Module())
    allocator = Allocator(CUDA)
    assert allocator.allocations() is None
    Module.stats["allocation.all.allocated"] = 7
    assert allocator.allocations() == 7
    assert Allocator(CPU).allocations() is None


def test_on_the_cpu_nothing_falls_back(net: Any) -> None:
    session = TorchRuntime().open(net, CPU)
    with session.running():
        session.arrays(session.bind([Value(np.ones((2, 3), np.float32), "float32")])())
    assert (session.facts.counts, session.facts.notes) == ({"fallback_nodes": 0}, ())


def test_what_mps_lacks_is_not_counted_where_it_may_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    assert (torch_placement.counts(MPS), torch_placement.notes(MPS)) == ({"fallback_nodes": 0}, ())
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    assert torch_placement.counts(MPS) == {}
    assert torch_placement.notes(MPS) == (
        "operators that MPS lacks run on the CPU (PYTORCH_ENABLE_MPS_FALLBACK=1); how many, torch does not tell",
    )
    assert torch_placement.counts(CUDA) == {"fallback_nodes": 0}


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@needs_cuda
@pytest.mark.parametrize(("place", "fallback"), [("cuda", 0), ("cpu", 1)])
def test_on_cuda(place: str, fallback: int) -> None:
    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3))

        def forward(self) -> Any:
            return self.weight.detach().to(place).to("cpu") if place == "cpu" else self.weight * 2

    session = TorchRuntime().open(Net(), CUDA)
    with session.running():
        outputs = session.bind([])()
        session.wait()
        session.arrays(outputs)
    assert session.facts.counts == {"fallback_nodes": fallback}


@needs_cuda
def test_a_cuda_graph_of_the_user_s_own_ran_there() -> None:
    class Replayed(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.x, self.graph = torch.ones(8, device="cuda"), torch.cuda.CUDAGraph()
            (self.x * 2).sum()
            with torch.cuda.graph(self.graph):
                self.y = self.x * 2

        def forward(self) -> Any:
            self.graph.replay()
            return self.y

    session = TorchRuntime().open(Replayed(), CUDA)
    with session.running():
        session.arrays(session.bind([])())
    assert session.facts.counts == {"fallback_nodes": 0}
    session.close()
