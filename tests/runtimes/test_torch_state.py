"""A user's module is as it was after it has been measured."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pytest_modelperf.runtimes.torch_state import kept, weigh

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def state(module: Any) -> Any:
    """All that must be the same afterwards, tensors by identity."""
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return (
        [submodule.training for submodule in module.modules()],
        [(name, id(tensor), tensor.device, tensor.data_ptr()) for name, tensor in tensors],
    )


def test_training_flags_of_each_submodule_are_put_back(net: Any) -> None:
    net.norm.eval()
    before = state(net)
    with kept(net):
        net.eval()
    assert state(net) == before
    assert [net.training, net.norm.training, net.dropout.training] == [True, False, True]


def test_an_overridden_train_is_not_called(net: Any) -> None:
    class Frozen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.net.norm.training = False
            return self

    module = Frozen()
    module.net.norm.training = True
    before = state(module)
    with kept(module):
        module.eval()
    assert state(module) == before


def test_tensors_and_tied_weights_come_back_from_another_device(net: Any) -> None:
    # On "meta" torch makes new parameters and new buffers; on accelerators new buffers.
    net.tied = torch.nn.Linear(3, 4)
    net.tied.weight = net.linear.weight
    net.other = torch.nn.BatchNorm1d(4)
    net.other.running_mean = net.norm.running_mean
    net.linear.weight.grad = torch.ones(4, 3)
    before = state(net)
    with kept(net):
        net.to("meta")
        assert net.linear.weight.device.type == "meta"
    assert state(net) == before
    assert net.tied.weight is net.linear.weight
    assert net.other.running_mean is net.norm.running_mean
    assert net.linear.weight.grad.device.type == "cpu"


def test_buffers_that_the_model_replaced_come_back(net: Any) -> None:
    before = state(net)
    with kept(net):
        net.norm.running_mean = torch.zeros(4)
        del net.linear._parameters["bias"]
    assert sorted(state(net)[1]) == sorted(before[1])


def test_it_is_put_back_when_something_fails(net: Any) -> None:
    before = state(net)

    def fail() -> None:
        with kept(net):
            net.eval().to("meta")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert state(net) == before


def test_scripted_modules_too(net: Any) -> None:
    script = torch.jit.script(net)
    script.norm.eval()
    before = [submodule.training for submodule in script.modules()]
    with kept(script):
        script.eval()
    assert [submodule.training for submodule in script.modules()] == before
    frozen = torch.jit.freeze(torch.jit.script(net.eval()))
    with kept(frozen):
        frozen.eval()


def test_tied_weights_count_once(net: Any) -> None:
    count, size = weigh(net) or (0, 0)
    # Linear 12 + 4, BatchNorm 4 + 4; its buffers are 4 + 4 floats and one int64.
    assert (count, size) == (24, 24 * 4 + 8 * 4 + 8)
    net.tied = torch.nn.Linear(3, 4, bias=False)
    net.tied.weight = net.linear.weight
    assert weigh(net) == (count, size)
    net.shared = torch.nn.Parameter(net.linear.weight.data)
    assert weigh(net) == (count, size)
    net.part = torch.nn.Parameter(torch.empty(8)[4:])
    assert weigh(net) == (count + 4, size + 16)


def test_what_has_no_size_or_no_storage() -> None:
    assert weigh(torch.nn.LazyLinear(3)) is None
    assert weigh(torch.nn.Identity()) == (0, 0)
    sparse = torch.nn.Module()
    sparse.register_buffer("mask", torch.eye(2).to_sparse())
    assert weigh(sparse) == (0, 16)
    lazy = torch.nn.LazyLinear(3)
    with kept(lazy):
        lazy(torch.ones(1, 2))
    assert lazy.weight.shape == (3, 2)


def test_packed_weights_are_not_counted_as_none() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
    assert weigh(layers) == (20, 80)
    quantize: Any = torch.ao.quantization.quantize_dynamic
    assert weigh(quantize(layers, {torch.nn.Linear})) is None
