"""CUDA graphs of modules, where they are captured and what becomes of them: against a stand-in for torch.cuda."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelperf.converting.torch_cuda import CudaVariant, graphed
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import ConversionError
from pytest_modelperf.runtimes.torch import TorchRuntime

WARM = 3


class Graph:
    def __init__(self) -> None:
        self.own, self.replayed, self.was_reset = object(), 0, False

    def pool(self) -> object:
        assert not self.was_reset
        return self.own

    def replay(self) -> None:
        assert not self.was_reset
        self.replayed += 1

    def reset(self) -> None:
        self.was_reset = True


class Stream:
    def wait_stream(self, other: Stream) -> None:
        assert isinstance(other, Stream)


class Cuda:
    """What of torch.cuda is asked; `captured` are the graphs, with pool, stream and the current device of each."""

    def __init__(self) -> None:
        self.current = 0
        self.captured: list[tuple[Graph, object, Stream, int]] = []
        self.streams: list[int] = []

    @contextmanager
    def device(self, device: Any) -> Iterator[None]:
        before, self.current = self.current, device if isinstance(device, int) else device.index
        yield
        self.current = before

    def stream_of_its_own(self) -> Stream:
        self.streams.append(self.current)
        return Stream()

    @contextmanager
    def graph(self, graph: Graph, pool: object = None, stream: Any = None) -> Iterator[None]:
        self.captured.append((graph, pool, stream, self.current))
        yield

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        yield


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    stand_in = Cuda()
    replaced = {
        "device": stand_in.device,
        "graph": stand_in.graph,
        "stream": stand_in.stream,
        "Stream": stand_in.stream_of_its_own,
        "current_stream": Stream,
        "CUDAGraph": Graph,
    }
    for name, value in replaced.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return stand_in


class Doubled(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * 2


class OnSecond(torch.Tensor):
    """A tensor that says that it lies on the second GPU."""

    is_cuda = True
    device = torch.device("cuda", 1)


def test_a_shape_is_captured_once_and_all_share_a_pool(cuda: Cuda) -> None:
    inner = Doubled()
    module = graphed(inner)
    for size in (1, 2, 1, 3, 2):
        assert module(torch.ones(size)).shape == (size,)
    assert inner.calls == 3 * (WARM + 1)
    (first, none, stream, _), *others = cuda.captured
    assert none is None
    assert [(pool, other) for _, pool, other, _ in others] == [(first.pool(), stream)] * 2
    assert [graph.replayed for graph, *_ in cuda.captured] == [2, 2, 1]
    assert len(cuda.streams) == 1


class Scaled(torch.nn.Module):
    def forward(self, x: torch.Tensor, by: Any = 2, then: Any = None) -> torch.Tensor:
        return x * by if isinstance(by, int | float) else x


def test_a_value_of_another_kind_or_place_has_a_graph_of_its_own(cuda: Cuda) -> None:
    module, x = graphed(Scaled()), torch.ones(2)
    for positional, named in (((1,), {}), ((1.0,), {}), ((), {"by": 1}), ((), {"then": 1})):
        for _ in range(2):
            module(x, *positional, **named)
    module(x, by=True)
    assert [graph.replayed for graph, *_ in cuda.captured] == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("held", [{1}, np.ones(2), object(), Doubled()])
def test_an_object_is_no_input_of_a_graph(cuda: Cuda, held: object) -> None:
    with pytest.raises(ConversionError, match=f"its input of the kind {type(held).__qualname__} as it was when"):
        graphed(Scaled())(torch.ones(2), held)
    assert cuda.captured == []


def test_it_is_captured_on_the_device_of_its_inputs(cuda: Cuda) -> None:
    graphed(Doubled())(torch.ones(2).as_subclass(OnSecond))
    ((_, _, _, device),) = cuda.captured
    assert (device, cuda.streams, cuda.current) == (1, [1], 0)


def test_a_session_that_is_trimmed_gives_back_what_was_captured(cuda: Cuda) -> None:
    session = TorchRuntime().open(graphed(Doubled()), Device("cpu"))
    with session.running():
        call = session.bind([Value(np.ones(2, np.float32), "float32")])
        call()
        session.trim()
        assert [graph.was_reset for graph, *_ in cuda.captured] == [True]
        assert call().shape == (2,)
    # A pool that was given back is not asked for again.
    assert [pool for _, pool, *_ in cuda.captured] == [None, None]
    session.close()


def test_what_is_made_for_a_device_is_made_while_it_is_the_current_one(cuda: Cuda) -> None:
    seen: list[int] = []
    variant = CudaVariant("one", "", "float32", lambda subject: seen.append(cuda.current))
    subject: Any = type("Subject", (), {"device": Device("cuda", 1)})
    variant.convert(subject, None)  # type: ignore[arg-type]
    assert (seen, cuda.current) == ([1], 0)


needs_two = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@needs_cuda
@pytest.mark.parametrize("place", ["cuda:0", pytest.param("cuda:1", marks=needs_two)])
def test_a_graph_answers_each_input_as_the_module_does(place: str) -> None:
    plain = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU()).eval()
    session = TorchRuntime().open(graphed(plain.to(place)), Device.parse(place))
    drawn = [
        np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32) for seed, rows in enumerate((1, 4, 1))
    ]
    with session.running():
        calls = [session.bind([Value(array, "float32")]) for array in drawn]
        for number in (0, 1, 2, 1, 0):
            outputs = calls[number]()
            session.wait()
            expected = plain.to(place)(torch.from_numpy(drawn[number]).to(place)).cpu().numpy()
            np.testing.assert_allclose(session.arrays(outputs)["0"], expected, rtol=1e-2, atol=1e-2)
    session.close()
