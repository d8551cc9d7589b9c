"""TF32: told of a model that is computed with in it. What frameworks allow is real, the GPU is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.precision import FLOAT32
from pytest_modelperf.domain.session import ModelFacts
from pytest_modelperf.runtimes import cuda_driver, tf32, torch_tf32
from pytest_modelperf.runtimes.onnxruntime_options import allows_tf32

torch = pytest.importorskip("torch")

CUDA = Device("cuda")
OLD, NEW = "allow_tf32", "fp32_precision"


@pytest.fixture(autouse=True)
def _ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "capability", lambda index: ((8, 0), (7, 5))[index])
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)


class TestTold:
    def settings(self, device: Device = CUDA, precision: str = "float32") -> dict[str, str]:
        facts = ModelFacts("Net (torch)", precision=precision, settings={"threads": "2"})
        told = {allowed: tf32.told(facts, device, lambda allowed=allowed: allowed) for allowed in (True, False)}  # type: ignore[misc]
        assert all(one.settings["threads"] == "2" for one in told.values())
        return {str(allowed): one.settings.get(FLOAT32, "") for allowed, one in told.items()}

    @pytest.mark.parametrize("precision", ["float32", ""])
    def test_what_float32_is_computed_in_is_a_condition(self, precision: str) -> None:
        assert self.settings(precision=precision) == {"True": "tf32", "False": "float32"}

    @pytest.mark.parametrize(
        ("device", "precision"), [(Device("cpu"), ""), (Device("cuda", 1), ""), (CUDA, "float16"), (CUDA, "float64")]
    )
    def test_not_where_there_is_none(self, device: Device, precision: str) -> None:
        assert self.settings(device, precision) == {"True": "", "False": ""}

    def test_nvidia_s_own_switch_forbids_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
        assert self.settings() == {"True": "", "False": ""}


def switches(monkeypatch: pytest.MonkeyPatch, products: Any, convolutions: Any, recurrent: Any, *, new: bool) -> None:
    """Torch with these switches alone: those of 2.9 and later, or the older ones."""
    if new:
        cudnn: Any = SimpleNamespace(conv=SimpleNamespace(fp32_precision=convolutions))
        cudnn.rnn = SimpleNamespace(fp32_precision=recurrent)
        matmul = SimpleNamespace(fp32_precision=products)
    else:
        cudnn, matmul = SimpleNamespace(allow_tf32=convolutions), SimpleNamespace(allow_tf32=products)
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    monkeypatch.setattr(torch.backends, "cuda", SimpleNamespace(matmul=matmul))


class TestTorch:
    CONV = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten())
    LINEAR = torch.nn.Sequential(torch.nn.Linear(4, 2))
    RECURRENT = torch.nn.Sequential(torch.nn.LSTM(4, 2))

    @pytest.mark.parametrize(
        ("switched", "new", "allowed"),
        [
            # The defaults: convolutions and recurrent layers alone.
            (("none", "tf32", "tf32"), True, [True, False, True]),
            ((False, True, True), False, [True, False, True]),
            (("tf32", "ieee", "ieee"), True, [True, True, True]),
            ((True, False, False), False, [True, True, True]),
            (("ieee", "none", "tf32"), True, [False, False, True]),
            (("none", "none", "none"), True, [False, False, False]),
        ],
    )
    def test_it_hangs_on_what_the_module_is_made_of(
        self, monkeypatch: pytest.MonkeyPatch, switched: tuple[Any, ...], new: bool, allowed: list[bool]
    ) -> None:
        switches(monkeypatch, *switched, new=new)
        assert [torch_tf32.allowed(module) for module in (self.CONV, self.LINEAR, self.RECURRENT)] == allowed

    def test_of_a_module_without_weights_nobody_knows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        switches(monkeypatch, "none", "tf32", "none", new=True)
        assert torch_tf32.allowed(torch.nn.ReLU())
        assert torch_tf32.allowed(torch.jit.freeze(torch.jit.trace(self.LINEAR, torch.ones(1, 4)).eval()))

    def test_the_defaults_of_this_torch(self) -> None:
        assert torch_tf32.allowed(self.CONV)
        assert not torch_tf32.allowed(self.LINEAR)

    def test_an_older_torch_is_told_by_its_own_switches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        switches(monkeypatch, False, False, False, new=False)
        torch_tf32.allow()
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32
        assert not hasattr(torch.backends.cuda.matmul, NEW)

    def test_whatever_a_model_has_set_before_nobody_s_reading_fails(self, tmp_path: Path) -> None:
        """Torch refuses to tell of switches that were set by both kinds and disagree, torch.compile's reading too."""
        script = tmp_path / "switched.py"
        script.write_text(_SWITCHED)
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "allowed\n" * 5), done.stderr


_SWITCHED = """
import warnings
import torch
from torch import backends
from pytest_modelperf.runtimes import torch_tf32

warnings.simplefilter("error")

def newer(value):
    for operations in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        if hasattr(operations, "fp32_precision"):
            operations.fp32_precision = value

for switch in (
    lambda: None,
    lambda: newer("ieee"),
    lambda: newer("tf32"),
    lambda: torch.set_float32_matmul_precision("highest"),
    lambda: setattr(backends, "fp32_precision", "ieee"),
):
    switch()
    torch_tf32.allow()
    assert torch.get_float32_matmul_precision() == "high"
    assert backends.cuda.matmul.allow_tf32 and backends.cudnn.allow_tf32
    if torch_tf32.allowed(torch.nn.Linear(2, 2)) and torch_tf32.allowed(torch.nn.Conv1d(1, 1, 1)):
        print("allowed")
"""


class TestOnnxRuntime:
    @pytest.mark.parametrize(
        ("providers", "allowed"),
        [
            ({"CUDAExecutionProvider": {"use_tf32": "1"}}, True),
            ({"CUDAExecutionProvider": {"use_tf32": "0"}}, False),
            # Before it was told it was as it is by default.
            ({"CUDAExecutionProvider": {}, "CPUExecutionProvider": {}}, True),
            ({"TensorrtExecutionProvider": {}, "CUDAExecutionProvider": {"use_tf32": "0"}}, True),
            ({"CPUExecutionProvider": {}}, False),
        ],
    )
    def test_by_the_options_that_a_session_runs_with(self, providers: Any, allowed: bool) -> None:
        session = SimpleNamespace(get_providers=lambda: list(providers), get_provider_options=lambda: providers)
        assert allows_tf32(session) == allowed
