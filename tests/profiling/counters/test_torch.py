"""Counters of real models in torch, each with a fault planted that its counters must show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from pytest_modelperf.domain.counting import Counted, Room, Wanted
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Session
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.profiling.counters.take import CounterSources
from pytest_modelperf.profiling.counters.torch import TorchCounters
from pytest_modelperf.runtimes.callable import CallableRuntime
from pytest_modelperf.runtimes.torch import TorchRuntime

torch = pytest.importorskip("torch")
nn = torch.nn


def drawn(*shape: int) -> dict[str, Value]:
    return {"input": Value(np.random.default_rng(7).standard_normal(shape, dtype=np.float32), "float32")}


IMAGE, TOKENS = drawn(2, 3, 32, 32), drawn(2, 16, 64)


def resnet_block() -> Any:
    """What a residual network is made of: convolutions in groups and with strides, pooling, a dense layer."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 7, stride=2, padding=3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(16, 32, 3, padding=2, dilation=2, groups=4),
        nn.ConvTranspose2d(32, 16, 2, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class Attention(nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(64, 192), nn.Linear(64, 64)

    def forward(self, input: Any) -> Any:
        query, key, value = self.qkv(input).reshape(2, 16, 3, 4, 16).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.out(attended.transpose(1, 2).reshape(2, 16, 64))


# 2 x 16 tokens, 64 features, 4 heads of 16: three projections and one, and two products of attention.
ATTENTION_FLOPS = 2 * 32 * 64 * 192 + 2 * 32 * 64 * 64 + 2 * 2 * 4 * 16 * 16 * (16 + 16)


class Faulty(nn.Module):  # type: ignore[name-defined, misc]
    """A model whose answer something is done to."""

    def __init__(self, inner: Any, fault: Callable[[Any], Any]) -> None:
        super().__init__()
        self.inner, self.fault = inner, fault

    def forward(self, input: Any) -> Any:
        return self.fault(self.inner(input))


@contextmanager
def opened(model: Any) -> Iterator[Session]:
    session = TorchRuntime().open(model, Device("cpu"))
    try:
        with session.running():
            yield session
    finally:
        session.close()


def count(session: Session, inputs: Mapping[str, Value]) -> Counted:
    wanted = Wanted(lambda session: session.bind(inputs), 0.001)
    return CounterSources([TorchCounters()]).count(session, [wanted], Room(0.0, 0, 1e12))[0]


def counted(model: Any, inputs: Mapping[str, Value] = IMAGE) -> Counted:
    with opened(model) as session:
        return count(session, inputs)


def reference_flops(model: Any, inputs: Mapping[str, Value]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.tensor(inputs["input"].array))
    return int(counter.get_total_flops())


class TestFlops:
    def test_they_are_those_of_torchs_own_counter(self) -> None:
        model = resnet_block()
        found = counted(model)
        assert found.counts["flops"] == reference_flops(model, IMAGE) > 0
        assert "torch.utils.flop_counter" in found.counted_by["flops"]

    def test_attention_on_the_cpu_is_counted(self) -> None:
        assert counted(Attention(), TOKENS).counts["flops"] == ATTENTION_FLOPS

    def test_a_fused_layer_is_looked_into(self) -> None:
        layer = nn.TransformerEncoderLayer(64, 4, dim_feedforward=128, dropout=0.0, batch_first=True)
        found = counted(layer, {"src": TOKENS["input"]})
        assert found.operators["aten::_transformer_encoder_layer_fwd"] == 1
        dense = 2 * 32 * 64 * (4 * 64 + 2 * 128)
        assert found.counts["flops"] == dense + 2 * 2 * 4 * 16 * 16 * (16 + 16)

    def test_a_script_has_those_of_its_module(self) -> None:
        model = resnet_block().eval()
        with torch.inference_mode():
            script = torch.jit.freeze(torch.jit.script(model))
        assert counted(script).counts["flops"] == reference_flops(model, IMAGE)

    def test_they_grow_with_the_batch(self) -> None:
        model = resnet_block()
        assert counted(model, drawn(4, 3, 32, 32)).counts["flops"] == 2 * counted(model).counts["flops"]


class TestFaults:
    """What a change does to a model by mistake, and what shows it."""

    @pytest.mark.parametrize(
        ("fault", "operator"),
        [
            (lambda y: y.double().float(), "aten::_to_copy"),
            (lambda y: y.clone(), "aten::clone"),
            (lambda y: y.sort(-1)[0], "aten::sort"),
            (lambda y: nn.functional.pad(y, (1, 1)), "aten::constant_pad_nd"),
            (lambda y: y * y.sum().item(), "aten::_local_scalar_dense"),
        ],
    )
    def test_an_operator_that_came_to_be_is_told(self, fault: Callable[[Any], Any], operator: str) -> None:
        model = resnet_block()
        sound, faulty = counted(model), counted(Faulty(model, fault))
        assert faulty.operators[operator] > sound.operators.get(operator, 0)
        assert faulty.counts["operator_calls"] > sound.counts["operator_calls"]
        assert faulty.counts["flops"] == sound.counts["flops"]

    def test_doubled_work_doubles_the_operations(self) -> None:
        model = resnet_block()

        class Twice(nn.Module):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                super().__init__()
                self.inner = model

            def forward(self, input: Any) -> Any:
                return self.inner(input) + self.inner(input)

        assert counted(Twice()).counts["flops"] == 2 * counted(model).counts["flops"]

    def test_a_copy_is_an_allocation_of_its_size(self) -> None:
        model = nn.Sequential(nn.Linear(64, 64))
        sound, faulty = counted(model, TOKENS), counted(Faulty(model, lambda y: y.clone()), TOKENS)
        assert faulty.counts["allocations"] == sound.counts["allocations"] + 1
        assert faulty.counts["allocated_bytes"] == sound.counts["allocated_bytes"] + 2 * 16 * 64 * 4

    def test_what_differs_between_equal_calls_is_not_counted(self) -> None:
        calls = iter(range(100))
        model = nn.Sequential(nn.Linear(64, 64))
        found = counted(Faulty(model, lambda y: y.clone() if next(calls) % 2 else y), TOKENS)
        assert "operator_calls" not in found.counts
        assert found.unavailable["counters.operator_calls"].startswith("two equal calls gave ")
        assert found.counts["flops"] == 2 * 32 * 64 * 64


class TestCallers:
    def test_a_function_that_calls_torch_is_counted(self) -> None:
        model = resnet_block().eval()

        def predict(input: Any) -> Any:
            with torch.inference_mode():
                return model(torch.from_numpy(input)).numpy()

        session = CallableRuntime().open(predict, Device("cpu"))
        assert count(session, IMAGE).counts["flops"] == counted(model).counts["flops"]

    def test_a_function_that_does_not_has_no_counters(self) -> None:
        session = CallableRuntime().open(lambda input: input + 1, Device("cpu"))
        assert count(session, IMAGE) == Counted()

    def test_beside_another_profiler_it_gives_way(self) -> None:
        with torch.profiler.profile():
            found = counted(resnet_block())
        assert found.unavailable["counters.flops"] == "another profiler is on"


class TestCompiled:
    """With a backend that compiles nothing, dynamo's graphs and breaks are the same, and no compiler is needed."""

    @pytest.fixture(autouse=True)
    def fresh(self) -> Iterator[None]:
        torch.compiler.reset()
        yield
        torch.compiler.reset()

    @staticmethod
    def compiled(fault: Callable[[Any], Any]) -> Any:
        model = torch.compile(Faulty(nn.Linear(64, 64), fault).eval(), backend="eager")
        with torch.inference_mode():
            model(torch.tensor(TOKENS["input"].array))
        return model

    def test_a_graph_break_is_counted_in_every_call(self) -> None:
        def broken(y: Any) -> Any:
            torch._dynamo.graph_break()
            return y + 1

        sound, faulty = counted(self.compiled(lambda y: y + 1), TOKENS), counted(self.compiled(broken), TOKENS)
        assert sound.counts["graph_breaks"] == 0.0
        assert faulty.counts["graph_breaks"] > 0.0
        assert faulty.counts["compiled_regions"] > sound.counts["compiled_regions"]

    def test_counting_leaves_the_model_compiled(self) -> None:
        model = self.compiled(lambda y: y + 1)
        first = counted(model, TOKENS)
        assert counted(model, TOKENS).counts == first.counts
        assert "torch.compile" in first.unavailable["counters.flops"]
