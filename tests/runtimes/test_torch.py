"""The runtime of PyTorch with real models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Session
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import DeviceMissing, ModelError, OutOfMemory, UsageError
from pytest_modelperf.runtimes.torch import TorchRuntime

RUNTIME = TorchRuntime()
CPU = Device("cpu")
jit: Any = torch.jit
export: Any = torch.export
FORMS = ("module", "script", "traced", "frozen", "program", "exported module", ".pt", ".pt2", "compiled")

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def form_of(form: str, net: Any, folder: Path) -> Any:
    """The net in one of the forms that the runtime executes. `net` itself is left in training mode."""
    make: dict[str, Callable[[], Any]] = {
        "module": lambda: net,
        "script": lambda: jit.script(net),
        "traced": lambda: jit.trace(net.eval(), torch.ones(2, 3)),
        "frozen": lambda: jit.freeze(jit.script(net.eval())),
        "program": lambda: exported(net),
        "exported module": lambda: exported(net).module(),
        "compiled": lambda: torch.compile(net, backend="eager"),
        ".pt": lambda: saved(jit.save, jit.script(net), folder / "net.pt"),
        ".pt2": lambda: saved(export.save, exported(net), folder / "net.pt2"),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = make[form]()
    net.train()
    return made


def exported(net: Any) -> Any:
    shapes = {"x": {0: torch.export.Dim("batch")}}
    return torch.export.export(net.eval(), (torch.ones(2, 3),), dynamic_shapes=shapes)


def saved(save: Any, model: Any, path: Path) -> Path:
    save(model, path)
    return path


def values(batch: int, dtype: str = "float32") -> Value:
    return Value(np.random.default_rng(batch).standard_normal((batch, 3), np.float32), dtype)


def expected(net: Any, value: Value) -> Any:
    mode = net.training
    with torch.inference_mode():
        answer = net.eval()(torch.tensor(value.array)).numpy()
    net.train(mode)
    return answer


@pytest.fixture
def session(net: Any) -> Iterator[Session]:
    opened = RUNTIME.open(net, CPU)
    with opened.running():
        yield opened
    opened.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_answers_as_the_model_in_eval_mode(form: str, net: Any, tmp_path: Path) -> None:
    model = form_of(form, net, tmp_path)
    assert RUNTIME.recognises(model)
    opened = RUNTIME.open(model, CPU)
    for batch in (1, 2, 5):
        with opened.running():
            by_position = opened.arrays(opened.bind([values(batch)])())
            # What ExportedProgram.module() gives is called as it was exported, and here that was by position.
            by_name = by_position if form == "exported module" else opened.arrays(opened.bind({"x": values(batch)})())
        assert list(by_position) == ["0"]
        np.testing.assert_allclose(by_position["0"], expected(net, values(batch)), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(by_position["0"], by_name["0"])
    opened.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_its_weights(form: str, net: Any, tmp_path: Path) -> None:
    opened = RUNTIME.open(form_of(form, net, tmp_path), CPU)
    told = opened.weights() or {}
    # What is frozen has the norm multiplied into it.
    assert ("float32", (4, 3)) in {(weight.dtype, weight.shape) for weight in told.values()}
    assert all(weight.read().dtype == np.uint8 for weight in told.values())
    opened.close()
    with pytest.raises(ModelError, match="is closed; open another"):
        opened.weights()


def test_weights_drawn_anew_are_taken_over(net: Any) -> None:
    first, second = RUNTIME.open(net, CPU), RUNTIME.open(type(net)(), CPU)
    second.load_weights(first.weights() or {})
    with first.running(), second.running():
        answers = [opened.arrays(opened.bind([values(2)])())["0"] for opened in (first, second)]
    np.testing.assert_array_equal(*answers)


def test_loading_torchscript_warns_of_nothing(net: Any, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = form_of(".pt", net, tmp_path)
    recwarn.clear()
    RUNTIME.open(path, CPU).close()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("form", "description"),
    [
        ("module", "Net (torch)"),
        ("script", "Net (torch, TorchScript)"),
        ("compiled", "Net (torch)"),
        (".pt", "net.pt (torch, TorchScript)"),
        (".pt2", "net.pt2 (torch, torch.export)"),
    ],
)
def test_facts(form: str, description: str, net: Any, tmp_path: Path) -> None:
    model = form_of(form, net, tmp_path)
    facts = RUNTIME.open(model, CPU).facts
    assert facts.description == description
    assert facts.parameters == 24
    assert facts.size_bytes == (model.stat().st_size if isinstance(model, Path) else 136)
    assert facts.versions == {"torch": str(torch.__version__)}
    assert facts.hardware == ""


def test_weights_that_nobody_counts_are_not_zero(net: Any, tmp_path: Path) -> None:
    facts = RUNTIME.open(form_of("frozen", net, tmp_path), CPU).facts
    assert (facts.parameters, facts.size_bytes) == (None, None)
    assert RUNTIME.open(torch.nn.Identity(), CPU).facts.parameters == 0
    assert RUNTIME.open(torch.nn.LazyLinear(3), CPU).facts.parameters is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int8", "int64", "uint8", "bool"])
def test_a_value_comes_in_its_dtype_and_halves_go_out_as_float32(dtype: str) -> None:
    class Echo(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x, str(x.dtype)

    array = np.array([[0.0, 1.0, 1.5]], np.float32)
    opened = RUNTIME.open(Echo(), CPU)
    with opened.running():
        answer = opened.bind([Value(array, dtype)])()
    assert answer[1] == f"torch.{dtype}"
    found = opened.arrays(answer)["0"]
    assert opened.dtypes(answer) == {"0": dtype}
    assert found.dtype == ("float32" if dtype in ("float16", "bfloat16") else dtype)
    np.testing.assert_array_equal(found, array.astype(found.dtype))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_model_of_halves(dtype: str, net: Any) -> None:
    model = torch.nn.Linear(3, 4).to(getattr(torch, dtype))
    opened = RUNTIME.open(model, CPU)
    assert opened.facts.precision == dtype
    with opened.running():
        found = opened.arrays(opened.bind([values(2, dtype)])())["0"]
    whole = values(2).array @ model.weight.detach().float().numpy().T + model.bias.detach().float().numpy()
    np.testing.assert_allclose(found, whole, rtol=2e-2, atol=2e-2)


def test_a_model_that_writes_into_its_input_does_not_change_the_value() -> None:
    class Spoiler(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mul_(0)

    value = values(2)
    before = value.array.copy()
    value.array.flags.writeable = False
    opened = RUNTIME.open(Spoiler(), CPU)
    with opened.running():
        opened.bind([value])()
    np.testing.assert_array_equal(value.array, before)


def test_inputs_nest_and_other_leaves_pass_as_they_are() -> None:
    class Nest(torch.nn.Module):
        def forward(self, pair: Any, *, named: Any, flag: bool) -> Any:
            return pair[0] + pair[1]["a"] if flag else named

    opened = RUNTIME.open(Nest(), CPU)
    with opened.running():
        call = opened.bind({"pair": (values(1), {"a": values(1)}), "named": None, "flag": True})
        np.testing.assert_allclose(opened.arrays(call())["0"], 2 * values(1).array)


def test_threads_and_inference_mode_are_in_force_and_put_back(net: Any) -> None:
    before = torch.get_num_threads()
    opened = RUNTIME.open(net, Device("cpu", threads=before + 1))
    with opened.running():
        assert torch.get_num_threads() == before + 1
        assert torch.is_inference_mode_enabled()
        assert opened.bind([values(1)])().is_inference()
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()
    with pytest.raises(KeyError), opened.running():
        raise KeyError
    assert torch.get_num_threads() == before


def test_threads_may_be_an_option(net: Any) -> None:
    before = torch.get_num_threads()
    with RUNTIME.configured({"threads": before + 1}).open(net, CPU).running():
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(UsageError, match="both set the threads"):
        RUNTIME.configured({"threads": 1}).open(net, Device("cpu", threads=1))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"thread": 1}, "has no option 'thread'; did you mean 'threads'"),
        ({"threads": 0}, "is 0; write a number from 1"),
    ],
)
def test_other_options_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        RUNTIME.configured(options)


def test_without_threads_the_number_is_left_alone(net: Any) -> None:
    opened = RUNTIME.open(net, CPU)
    before = torch.get_num_threads()
    try:
        with opened.running():
            torch.set_num_threads(before + 2)
        assert torch.get_num_threads() == before + 2
    finally:
        torch.set_num_threads(before)


def test_close_puts_the_training_flags_back_and_twice_is_harmless(net: Any) -> None:
    net.norm.eval()
    flags = [module.training for module in net.modules()]
    opened = RUNTIME.open(net, CPU)
    assert not any(module.training for module in net.modules())
    opened.close()
    assert [module.training for module in net.modules()] == flags
    net.eval()
    opened.close()
    assert not net.training
    with pytest.raises(ModelError, match=r"the session of Net \(torch\) is closed; open another"):
        opened.bind([values(1)])


def test_a_second_session_in_the_same_process(net: Any, tmp_path: Path) -> None:
    for _ in range(2):
        opened = RUNTIME.open(net, CPU)
        with opened.running():
            first = opened.arrays(opened.bind([values(2)])())["0"]
        opened.close()
        np.testing.assert_allclose(first, expected(net, values(2)), rtol=1e-6)
    weights = net.linear.weight
    (net(torch.ones(2, 3)).sum()).backward()
    assert weights.grad is not None


def test_a_module_on_another_device_is_moved_and_moved_back(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # "meta" stands for an accelerator: it has no memory, and torch makes new parameters there.
    monkeypatch.setattr("pytest_modelperf.runtimes.torch_devices.accelerators", lambda: {"meta:0": "nothing"})
    monkeypatch.setattr("pytest_modelperf.runtimes.torch._place", lambda device: device.kind)
    monkeypatch.setattr("torch.get_device_module", lambda kind: object())
    weight = net.linear.weight
    opened = RUNTIME.open(net, Device("meta"))
    assert opened.asynchronous
    assert opened.facts.hardware == "nothing"
    with opened.running():
        assert opened.bind([values(2)])().device.type == "meta"
    opened.close()
    assert net.linear.weight is weight
    assert weight.device.type == "cpu"
    assert net.norm.running_mean.device.type == "cpu"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(RuntimeError("no kernel"), ModelError), (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory)],
)
@pytest.mark.parametrize("step", ["torch_state.weigh", "torch_devices.Allocator"])
def test_opening_that_fails_half_way_leaves_the_module_as_it_was(
    net: Any, monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception], step: str
) -> None:
    def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr(f"pytest_modelperf.runtimes.{step}", fail)
    with pytest.raises(expected, match=r"Net (cannot be opened by torch: RuntimeError: no kernel|itself does not fit)"):
        RUNTIME.open(net, CPU)
    assert all(module.training for module in net.modules())


def test_a_module_whose_eval_fails_is_told_and_put_back(net: Any) -> None:
    class Stubborn(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def eval(self) -> Any:
            self.net.eval()
            raise NotImplementedError("no eval here")

    with pytest.raises(ModelError, match=r"Stubborn cannot be opened by torch: NotImplementedError: no eval here"):
        RUNTIME.open(Stubborn(), CPU)
    assert net.training


def test_a_missing_device_is_an_error_before_anything_is_touched(net: Any) -> None:
    with pytest.raises(DeviceMissing, match=r"torch has no device 'xyz:3' here; there are: cpu"):
        RUNTIME.open(net, Device("xyz", 3))
    assert net.training


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_memory_that_does_not_suffice_is_told_from_other_errors(session: Session) -> None:
    class Greedy(torch.nn.Module):
        def forward(self, size: int) -> Any:
            return torch.empty(size)

    script = jit.script(Greedy())
    for model in (Greedy(), script):
        for size in (10**16, 2**62):
            with pytest.raises(RuntimeError) as caught:
                model(size)
            assert session.is_out_of_memory(caught.value)
    assert session.is_out_of_memory(MemoryError())
    assert session.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert session.is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"))
    assert session.is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert not session.is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not session.is_out_of_memory(ValueError("out of memory"))


def test_the_cpu_is_synchronous_and_its_memory_the_process_s(session: Session) -> None:
    session.wait()
    session.trim()
    session.reset_peak()
    assert not session.asynchronous
    assert session.peak() is None
    assert session.free_bytes() is None


def test_modules_and_scripts_say_nothing_of_their_inputs(net: Any, tmp_path: Path) -> None:
    for form in ("module", "script", ".pt"):
        assert RUNTIME.signature(form_of(form, net, tmp_path)) is None


@needs_cuda
class TestCuda:
    """On a real device."""

    DEVICE = Device("cuda")

    @pytest.mark.parametrize("form", ["module", "script", "program", ".pt", ".pt2"])
    def test_answers_and_what_is_put_back(self, form: str, net: Any, tmp_path: Path) -> None:
        model = form_of(form, net, tmp_path)
        weight, whole = net.linear.weight, expected(net, values(5))
        opened = RUNTIME.open(model, self.DEVICE)
        with opened.running():
            answer = opened.bind({"x": values(5)})()
            opened.wait()
            assert answer.device.type == "cuda"
            np.testing.assert_allclose(opened.arrays(answer)["0"], whole, rtol=1e-3, atol=1e-4)
        opened.close()
        assert net.linear.weight is weight
        assert weight.device.type == "cpu"
        assert net.norm.running_mean.device.type == "cpu"

    def test_memory_and_facts(self) -> None:
        opened = RUNTIME.open(torch.nn.Linear(1024, 1024), self.DEVICE)
        with opened.running():
            opened.reset_peak()
            opened.bind([Value(np.ones((1024, 1024), np.float32), "float32")])()
            opened.wait()
        peak, free = opened.peak(), opened.free_bytes()
        assert peak is not None
        assert free is not None
        assert peak.reserved_bytes is not None
        assert peak.reserved_bytes >= peak.peak_bytes >= 3 * 4 * 1024**2
        assert opened.asynchronous
        assert opened.facts.hardware == torch.cuda.get_device_name(0)
        assert {"torch", "cuda", "cudnn"} <= set(opened.facts.versions)
        opened.close()

    def test_too_large_is_out_of_memory(self) -> None:
        opened = RUNTIME.open(torch.nn.Identity(), self.DEVICE)
        with pytest.raises(torch.OutOfMemoryError) as caught:
            torch.empty(2**48, device="cuda")
        assert opened.is_out_of_memory(caught.value)

    def test_it_is_the_default(self) -> None:
        assert RUNTIME.default_device(None) == self.DEVICE


def test_weights_without_numbers_are_refused() -> None:
    with torch.device("meta"):
        model = torch.nn.Linear(4, 4)
    with pytest.raises(
        ModelError, match=r"Linear .*has weights on the device 'meta', .*; build it on the CPU, or write"
    ):
        RUNTIME.open(model, CPU)


def test_a_module_that_yields_is_refused_for_it_computes_nothing() -> None:
    class Parts(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
            yield x

    with pytest.raises(
        ModelError, match=r"Parts.* yields in forward, which computes nothing yet; return what it yields"
    ):
        RUNTIME.open(Parts(), CPU)
