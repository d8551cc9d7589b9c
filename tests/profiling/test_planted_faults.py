"""Models that carry a fault on purpose: the profiles of real frameworks name it first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.profile import Profile
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.judging.blame import blame, uses
from pytest_modelperf.profiling.torch import TorchSource
from pytest_modelperf.runtimes.torch import TorchRuntime

functional = torch.nn.functional

WIDTH, BATCH, LAYERS = 256, 128, 4
PERMUTATION = torch.randperm(WIDTH)
CALLS, WARM = 30, 5

# What really takes time may be disturbed by a neighbour on the machine: a test has failed when it fails twice.
pytestmark = pytest.mark.flaky(reruns=1)

# What is done to the values between two layers; `linear` is the layer that comes.
Between = Callable[[Any, Any], Any]


class Net(torch.nn.Module):
    def __init__(self, between: Between) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
        self.between = between

    def forward(self, x: Any) -> Any:
        for linear in self.layers:
            x = torch.relu(linear(self.between(x, linear)))
        return x


# Products of several threads take for ever beside other work.
ONE = Device("cpu", threads=1)


def profile(
    between: Between, change: Callable[[Any], Any] = lambda model: model, dtype: str = "float32", device: Device = ONE
) -> Profile:
    session = TorchRuntime().open(change(Net(between)), device)
    values = Value(np.random.default_rng(0).standard_normal((BATCH, WIDTH), np.float32), dtype)
    try:
        return TorchSource().take(session, [values], calls=CALLS, warm=WARM).profile
    finally:
        session.close()


def unchanged(x: Any, linear: Any) -> Any:
    return x


@pytest.fixture
def sound() -> Profile:
    return profile(unchanged)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def first_cause(sound: Profile, faulty: Profile) -> str:
    """The first cause of the slowdown. A neighbour on the machine may have hidden that: it is at least a tenth."""
    found = blame(uses(sound), uses(faulty), sound.seconds, max(faulty.seconds, 1.1 * sound.seconds))
    return found.causes[0].what if found.causes else found.rest


def cast(x: Any, linear: Any) -> Any:
    for _ in range(8):
        x = x.double().float()
    return x


def normalised(x: Any, linear: Any) -> Any:
    for _ in range(3):
        x = functional.layer_norm(x, (WIDTH,))
    return x


def on_rows(x: Any, linear: Any) -> Any:
    return torch.stack([linear(row) for row in x])


def waits(x: Any, linear: Any) -> Any:
    time.sleep(0.005)
    return x


# Between two layers: what is done there, and the operators of which one is to be named first.
BETWEEN: dict[str, tuple[Between, tuple[str, ...]]] = {
    "cast": (cast, ("aten::copy_", "aten::_to_copy")),
    "sort": (lambda x, linear: x.sort()[0], ("aten::sort",)),
    "doubled work": (lambda x, linear: linear(x), ("aten::addmm",)),
    "copy": (lambda x, linear: x.repeat(8, 1).clone()[:BATCH], ("aten::clone", "aten::copy_", "aten::repeat")),
    "layout": (lambda x, linear: x.t().contiguous().t().contiguous(), ("aten::clone", "aten::copy_", "aten::contig")),
    "pad": (
        lambda x, linear: functional.pad(x, (512, 512, 512, 512))[512:-512, 512:-512].contiguous(),
        ("aten::constant_pad_nd", "aten::copy_", "aten::fill_", "aten::clone"),
    ),
    "unfrozen dropout": (
        lambda x, linear: functional.dropout(x, 0.1, training=True),
        ("aten::native_dropout", "aten::bernoulli_", "aten::dropout"),
    ),
    "another activation": (lambda x, linear: functional.gelu(x), ("aten::gelu",)),
    "row by row": (on_rows, ("aten::addmm", "aten::linear")),
    "concatenation": (lambda x, linear: torch.cat([x] * 8)[:BATCH], ("aten::cat",)),
    "index": (lambda x, linear: x[:, PERMUTATION], ("aten::index",)),
    "normalisation": (normalised, ("aten::native_layer_norm",)),
    "random numbers": (lambda x, linear: x + 0 * torch.randn_like(x), ("aten::normal_", "aten::randn_like")),
    "cumulative sum": (lambda x, linear: x.cumsum(1), ("aten::cumsum",)),
    "search": (lambda x, linear: x.topk(WIDTH)[0], ("aten::topk",)),
    "values that are read": (
        lambda x, linear: x * float(sum(value.item() for value in x[0])),
        # Half of that is Python's loop.
        ("aten::item", "aten::_local_scalar_dense", "aten::select", "aten::unbind", "outside of operators"),
    ),
    "a function of numpy": (lambda x, linear: torch.from_numpy(np.sort(x.numpy())), ("outside of operators",)),
    "waiting": (waits, ("outside of operators",)),
}
QUICK = ("cast", "sort", "doubled work")


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in BETWEEN]
)
def test_what_was_put_between_layers_is_named_first(sound: Profile, fault: str) -> None:
    between, operators = BETWEEN[fault]
    cause = first_cause(sound, profile(between))
    named = cause.partition("(with ")[0]
    assert any(name in named for name in operators), cause


@pytest.mark.slow
def test_another_dtype_is_named_first(sound: Profile) -> None:
    cause = first_cause(sound, profile(unchanged, lambda model: model.double(), "float64"))
    assert "now as double, before as float" in cause


@pytest.mark.slow
@pytest.mark.skipif(torch.get_num_threads() < 2, reason="there is one thread")
def test_fewer_threads_are_named_first() -> None:
    def one_thread(x: Any, linear: Any) -> Any:
        torch.set_num_threads(1)
        return x

    two = Device("cpu", threads=2)
    assert first_cause(profile(unchanged, device=two), profile(one_thread, device=two)) == "threads 2 → 1"
