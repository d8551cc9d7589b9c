"""Weights of modules: told alike in every process, and taken over in place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelperf.errors import ModelError
from pytest_modelperf.runtimes.torch_weights import load, precision, tell

jit: Any = torch.jit
quantize_dynamic: Any = torch.ao.quantization.quantize_dynamic

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.ao.quantization:DeprecationWarning"),
]


class Odd(torch.nn.Module):
    """What a module may hold beside layers: all dtypes, what is tied, not persistent, sparse, expanded or empty."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 4, dtype=torch.bfloat16)
        self.tied = torch.nn.Linear(3, 4, bias=False, dtype=torch.bfloat16)
        self.tied.weight = self.first.weight
        self.register_buffer("scale", torch.rand(()))
        self.register_buffer("scratch", torch.rand(2, 3).t(), persistent=False)
        self.register_buffer("mask", torch.eye(2).to_sparse())
        self.register_buffer("positions", torch.arange(4).expand(3, -1))
        self.register_buffer("phase", torch.rand(2, dtype=torch.complex64).conj())
        self.register_buffer("small", torch.rand(3).to(torch.float8_e4m3fn))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("nothing", torch.empty(0))


def content(module: Any) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: (weight.dtype, weight.shape, weight.read().tobytes()) for name, weight in tell(module).items()}


def test_everything_that_a_module_holds_is_told_once() -> None:
    told = content(Odd())
    assert {name: entry[:2] for name, entry in told.items()} == {
        "first.weight": ("bfloat16", (4, 3)),
        "first.bias": ("bfloat16", (4,)),
        "scale": ("float32", ()),
        "scratch": ("float32", (3, 2)),
        "mask": ("float32", (2, 2)),
        "positions": ("int64", (3, 4)),
        "phase": ("complex64", (2,)),
        "small": ("float8_e4m3fn", (3,)),
        "flags": ("bool", (2,)),
        "nothing": ("float32", (0,)),
    }
    assert told["flags"][2] == b"\x01\x00"
    assert told["mask"][2] == np.eye(2, dtype=np.float32).tobytes()


def test_weights_drawn_anew_are_taken_over_in_place() -> None:
    first, second = Odd(), Odd()
    assert content(first) != content(second)
    held, tied = second.first.weight, second.tied.weight
    load(second, tell(first))
    assert content(second) == content(first)
    assert second.first.weight is held
    assert second.tied.weight is tied
    assert torch.equal(tied, first.first.weight)
    assert second.first.weight.requires_grad


def scripted(net: Any) -> Any:
    return jit.script(net)


def exported(net: Any) -> Any:
    return torch.export.export(net.eval(), (torch.ones(2, 3),)).module()


def compiled(net: Any) -> Any:
    return torch.compile(net, backend="eager")


def inference(net: Any) -> Any:
    with torch.inference_mode():
        return type(net)()


@pytest.mark.parametrize("form", [scripted, exported, compiled, inference])
def test_every_form_of_a_module(form: Callable[[Any], Any], net: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = form(net), form(type(net)())
    assert content(first) != content(second)
    load(second, tell(first))
    assert content(second) == content(first)
    with torch.inference_mode():
        answers = [settled(module)(torch.ones(2, 3)) for module in (first, second)]
    assert torch.equal(*answers)


def settled(module: Any) -> Any:
    """An exported module was put into eval mode when it was exported."""
    return module if isinstance(module, torch.fx.GraphModule) else module.eval()


def test_constants_of_an_exported_program_are_weights() -> None:
    class Shifted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift = torch.rand(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.shift

    first, second = exported(Shifted()), exported(Shifted())
    assert list(content(first)) == ["shift"]
    load(second, tell(first))
    assert torch.equal(first(torch.zeros(2, 3)), second(torch.zeros(2, 3)))


def test_a_frozen_script_tells_its_constants_and_cannot_take_any(net: Any, tmp_path: Path) -> None:
    def frozen(module: Any) -> Any:
        return jit.freeze(jit.script(module.eval()))

    first, second = frozen(net), frozen(type(net)())
    assert {entry[1] for entry in content(first).values()} >= {(4, 3), (4,)}
    jit.save(first, str(tmp_path / "frozen.pt"))
    path = str(tmp_path / "frozen.pt")
    assert content(jit.load(path)) == content(jit.load(path))
    load(frozen(net), tell(first))
    with pytest.raises(ModelError, match=r"weight 'constants\.\d+' cannot be written in place; draw it from a fixed"):
        load(second, tell(first))


def test_quantized_layers_are_told_and_cannot_be_written() -> None:
    def quantized(module: Any) -> Any:
        return quantize_dynamic(torch.nn.Sequential(module), dtype=torch.qint8)

    linear = torch.nn.Linear(3, 4)
    first, again, second = quantized(linear), quantized(linear), quantized(torch.nn.Linear(3, 4))
    assert content(first) == content(again) != content(second)
    load(again, tell(first))
    with pytest.raises(ModelError, match="cannot be written in place"):
        load(second, tell(first))


def test_what_cannot_be_told_says_why(net: Any) -> None:
    class Extra(torch.nn.Module):
        def get_extra_state(self) -> Any:
            return object()

    class Careless(torch.nn.Module):
        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            raise ZeroDivisionError("no state today")

    with pytest.raises(ModelError, match="weight 'weight' has no values before the first call; call the model once"):
        tell(torch.nn.LazyLinear(3))
    with pytest.raises(ModelError, match="its state holds '_extra_state', a object, whose content torch does not tell"):
        tell(Extra())
    with pytest.raises(ModelError, match=r"its weights cannot be told \(ZeroDivisionError: no state today\)"):
        tell(Careless())
    with pytest.raises(ModelError, match=r"weight 'linear\.weight' cannot be read"):
        content(net.to("meta"))


def test_another_architecture_is_refused(net: Any) -> None:
    other = type(net)()
    other.linear = torch.nn.Linear(5, 4)
    with pytest.raises(ModelError, match=r"weight 'linear\.weight' is float32 \(4, 3\) where it comes from"):
        load(other, tell(net))


def test_reading_and_writing_warns_of_nothing(net: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = tell(net)
        for weight in told.values():
            weight.read().flags.writeable = False
        load(type(net)(), told)


def test_the_precision_is_that_of_the_coarsest_parameters(net: Any) -> None:
    assert precision(net) == "float32"
    net.linear.half()
    assert precision(net) == "float16"
    net.norm.to(torch.bfloat16)
    assert precision(net) == "bfloat16"
    assert precision(torch.nn.Identity()) == ""
    assert precision(torch.nn.LazyLinear(3)) == "float32"
