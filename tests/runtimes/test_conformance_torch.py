"""PyTorch in its three forms, and plain functions, through the conformance suite."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from runtimes import network
from runtimes.conformance import Conformance, Told

from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.runtimes.callable import CallableRuntime
from pytest_modelperf.runtimes.torch import TorchRuntime

torch = pytest.importorskip("torch")

# A module does not say what it takes: the errors are those of its operators.
_OF_OPERATORS: dict[str, Told] = {"dtype": "raises", "rank": "raises", "too many": "raises"}


class _Torch(Conformance):
    runtime = TorchRuntime()
    signature: ClassVar[Signature | None] = None
    output = "0"
    suffixes = (".pt", ".pt2")
    mistakes: ClassVar[Mapping[str, Told]] = _OF_OPERATORS


class TestModule(_Torch):
    def build(self, folder: Path) -> object:
        return network.torch_module().eval()


class TestTorchScript(_Torch):
    cycles = 30
    mistakes: ClassVar[Mapping[str, Told]] = {**_OF_OPERATORS, "unknown": "raises"}

    def build(self, folder: Path) -> object:
        path = folder / "network.pt"
        inputs = [torch.tensor(value.array) for value in network.drawn(2).values()]
        with warnings.catch_warnings():
            # torch.jit is deprecated since 2.10; files that are served are there all the same.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(torch.jit.trace(network.torch_module().eval(), inputs), path)
        return path


class TestExportedProgram(_Torch):
    # torch keeps no names of dynamic sizes.
    signature = Signature(
        (Input("x", (None, None, network.FEATURES), "float32"), Input("shift", (None, network.FEATURES), "float32"))
    )
    # Opening one takes torch 0.1 s.
    cycles = 20

    def build(self, folder: Path) -> object:
        path = folder / "network.pt2"
        inputs = tuple(torch.tensor(value.array) for value in network.drawn(2).values())
        batch, steps = torch.export.Dim("batch"), torch.export.Dim("steps")
        shapes = {"x": {0: batch, 1: steps}, "shift": {0: batch}}
        torch.export.save(torch.export.export(network.torch_module().eval(), inputs, dynamic_shapes=shapes), path)
        return path


class TestCallable(Conformance):
    runtime = CallableRuntime()
    signature = None
    cycles = 30
    tells_weights = False
    sets_threads = False
    mistakes: ClassVar[Mapping[str, Told]] = {**_OF_OPERATORS, "dtype": "unseen", "rank": "unseen"}

    def build(self, folder: Path) -> object:
        return predict


def predict(x: Any, shift: Any) -> dict[str, Any]:
    return {"y": network.reference(x, shift).astype("float32")}
