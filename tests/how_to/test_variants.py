"""The converter of docs/how-to/variants.md, as it stands there, on a real model."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_modelperf import Tensor
from pytest_modelperf.converting.making import Maker
from pytest_modelperf.domain.device import Device
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.runtimes.torch import TorchRuntime

torch: Any = pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "variants.md"
CPU, INPUTS, CASES = Device("cpu"), {"input": Tensor(("batch", 3, 8, 8))}, ({"batch": 1}, {"batch": 2})


def of_the_page() -> Any:
    (code,) = (
        text for text in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S) if "class" in text
    )
    module = ModuleType("conftest")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    return module


def test_the_page_s_converter_is_right_on_a_network_that_convolves(tmp_path: Path) -> None:
    from torch import nn

    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()).eval()
    model[1].running_mean.uniform_(-1, 1)
    model[1].running_var.uniform_(0.5, 2)
    converters = of_the_page().pytest_modelperf_converters()
    maker = Maker(model, INPUTS, CASES, [TorchRuntime()], converters)
    assert [(one.name, one.refused) for one in maker.candidates(CPU)] == [("fused", "")]
    original = LocalBench(lambda: TorchRuntime().open(model, CPU), CPU, INPUTS, [dict(axes) for axes in CASES])
    bench, variant = maker.prove(maker.convert("fused", original, CPU, tmp_path / "made"))
    bench.release()
    assert variant.parity[0].error <= variant.parity[0].limit
    none = Maker(nn.Flatten(), INPUTS, CASES, [TorchRuntime()], converters)
    assert [one.refused for one in none.candidates(CPU)] == ["the model has no batch norm"]
