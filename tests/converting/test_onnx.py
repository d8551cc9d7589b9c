"""Exports to ONNX by both exporters, and what onnxruntime and others make of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from converting import architectures as small
from converting import checks

from pytest_modelperf import Tensor
from pytest_modelperf.converting import onnx_files
from pytest_modelperf.converting.onnx_from_torch import TorchToOnnx, TracedOnnx
from pytest_modelperf.converting.protocol import Converted
from pytest_modelperf.converting.registry import builtin as converters
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.spec import RuntimeChoice
from pytest_modelperf.errors import ConversionError

NAMED = {"features": Tensor(("batch", 64)), "doubled": True}
# Two exports by torch.export serve all tests: each takes seconds.
EXPORTS: dict[str, Any] = {"convolutions": (small.convolutions, small.IMAGES), "named": (small.named, NAMED)}


@pytest.fixture(scope="module", params=EXPORTS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    make, inputs = EXPORTS[request.param]
    made = TorchToOnnx().convert(checks.subject(make(), inputs), tmp_path_factory.mktemp("exported"))
    return made, {name: tensor for name, tensor in inputs.items() if isinstance(tensor, Tensor)}


def test_the_export_answers_as_the_module_does(exported: Any) -> None:
    made, inputs = exported
    make, given = EXPORTS["named" if made.settled else "convolutions"]
    expected = checks.answers(make(), type(made)(make()), given, checks.CASES)
    checks.same(checks.answers(made.model, made, inputs, checks.CASES), expected, 1e-4)
    assert made.settled == (("doubled",) if "doubled" in given else ())
    assert made.notes == ()


def test_axes_have_the_names_of_the_test(exported: Any) -> None:
    graph = onnx.load(str(exported[0].model)).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("name", ["onnxruntime-settings", "onnxruntime-fp16", "onnxruntime-int8"])
def test_variants_of_an_onnx_model_answer_the_same(exported: Any, name: str, tmp_path: Path) -> None:
    made, inputs = exported
    checks.variant(name, made.model, inputs, tmp_path)


@pytest.mark.parametrize("name", ["onnxruntime-fp16", "onnxruntime-int8", "onnxruntime-bert"])
def test_weights_of_a_large_model_lie_beside_it_and_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model: Any = small.bert()
    inputs: Any = small.TOKENS
    if name != "onnxruntime-bert":
        model, inputs = (
            TracedOnnx().convert(checks.subject(small.mlp(), small.FEATURES), tmp_path).model,
            small.FEATURES,
        )
    # As if a message could hold a kilobyte.
    monkeypatch.setattr(onnx_files, "LARGEST", 1000)
    made = checks.variant(name, model, inputs, tmp_path / "made")
    assert sorted(path.name for path in made.model.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == [f"1-{name}"]
    assert made.model.stat().st_size < made.model.with_name("model.onnx.data").stat().st_size


def test_whether_a_model_is_large_is_told_without_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def tensor(**held: Any) -> Any:
        return onnx.TensorProto(dims=[300], data_type=onnx.TensorProto.FLOAT, **held)

    raw, listed = tensor(raw_data=bytes(1200)), tensor(float_data=[1.0] * 300)
    constant = onnx.helper.make_node("Constant", [], ["c"], value=raw)
    graphs = [
        onnx.helper.make_graph([], "g", [], [], [raw]),
        onnx.helper.make_graph([], "g", [], [], [listed]),
        onnx.helper.make_graph([constant], "g", [], []),
    ]
    for graph in graphs:
        model: Any = SimpleNamespace(graph=graph)
        for limit, large in ((1100, True), (1300, False)):
            monkeypatch.setattr(onnx_files, "LARGEST", limit)
            assert onnx_files.is_large(model) == large


@pytest.mark.parametrize("name", ["onnxruntime-traced", "onnxruntime-bert"])
def test_a_transformer_that_is_traced_answers_the_same(name: str, tmp_path: Path) -> None:
    made = checks.variant(name, small.bert(), small.TOKENS, tmp_path)
    if name == "onnxruntime-bert":
        assert made.counts["Attention fused"] == 2


def rows(of: list[int], shape: tuple[int, ...], rng: Any) -> Any:
    return np.tile(np.array(of), (shape[0], 1))


def test_a_mask_hides_what_it_hides_in_the_original_wherever_that_is(tmp_path: Path) -> None:
    made = checks.variant("onnxruntime-bert", small.bert(), small.TOKENS, tmp_path)
    for mask in ([1, 0, 1, 1, 0, 1], [0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 0, 0]):
        inputs = {**small.TOKENS, "attention_mask": Tensor(("batch", 6), "int64", values=partial(rows, mask))}
        expected = checks.answers(small.bert(), Converted(None), inputs, checks.CASES)
        checks.same(checks.answers(made.model, made, inputs, checks.CASES), expected, 1e-4)


@pytest.mark.parametrize("inputs", [{"input_ids": small.TOKENS["input_ids"]}, [small.TOKENS["input_ids"]]])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_without_a_mask_is_fused_too(attention: str, inputs: Any, tmp_path: Path) -> None:
    model = small.bert(attention)
    made = checks.variant("onnxruntime-bert", model, inputs, tmp_path)
    assert made.counts["Attention fused"] == 2
    assert [port.name for port in onnx.load(str(made.model)).graph.input] == ["input_ids"]


class Unread(torch.nn.Module):
    def forward(self, x: torch.Tensor, unread: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x - y


UNREAD = {"x": Tensor(("batch", 4)), "unread": Tensor(("batch", 2), "int64", high=9), "y": Tensor(("batch", 4))}


@pytest.mark.parametrize("inputs", [UNREAD, list(UNREAD.values())], ids=["by name", "by position"])
@pytest.mark.parametrize("name", ["onnxruntime-traced", "openvino"])
def test_an_input_that_nothing_reads_is_taken_all_the_same(name: str, inputs: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino" if name == "openvino" else "onnxruntime")
    made = checks.variant(name, Unread(), inputs, tmp_path)
    assert made.notes == (() if name == "openvino" else ("its trace does not read the input 'unread'",))
    if name != "openvino":
        graph = onnx.load(str(made.model)).graph
        assert [port.name for port in graph.input] == list(UNREAD)
        assert [dim.dim_param or dim.dim_value for dim in graph.input[1].type.tensor_type.shape.dim] == ["batch", 2]


class Untyped(torch.nn.Module):
    """A transformer that takes types of tokens, and makes nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = small.bert()
        self.config, self.set_attn_implementation = self.bert.config, self.bert.set_attn_implementation

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        return self.bert(input_ids=input_ids, attention_mask=attention_mask)


def test_a_transformer_may_be_given_what_it_does_not_read(tmp_path: Path) -> None:
    inputs = {**small.TOKENS, "token_type_ids": Tensor(("batch", 6), "int64", high=2)}
    made = checks.variant("onnxruntime-bert", Untyped(), inputs, tmp_path, copied=False)
    assert made.counts["Attention fused"] == 2
    assert made.notes == ("its trace does not read the input 'token_type_ids'",)


def test_answers_without_names_and_nested_ones_survive_a_trace(tmp_path: Path) -> None:
    checks.variant("onnxruntime-traced", small.convolutions(), small.IMAGES, tmp_path / "one")
    assert checks.variant("onnxruntime-traced", small.named(), NAMED, tmp_path / "two").settled == ("doubled",)


def test_attention_that_is_not_fused_is_refused_with_what_was(tmp_path: Path) -> None:
    model = small.bert()
    # As if it had a head size that the optimiser does not look for.
    for layer in model.encoder.layer:
        layer.attention.self = Strange(layer.attention.self)
    given = checks.subject(model, small.TOKENS)
    with pytest.raises(ConversionError, match="no attention was fused"):
        checks.route("onnxruntime-bert", "torch").follow(given, tmp_path)


class Strange(torch.nn.Module):
    """Attention of no kind that is known: a mean."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> Any:
        return self.inner.value(hidden).mean(1, keepdim=True).expand_as(hidden), None


@pytest.mark.slow
def test_onnxslim_that_finds_nothing_says_so(exported: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxslim")
    made, inputs = exported
    with pytest.raises(ConversionError, match=r"leaves its \d+ nodes"):
        checks.route("onnxslim", "onnx").follow(checks.subject(made.model, inputs), tmp_path)


def test_inputs_that_nest_are_refused(tmp_path: Path) -> None:
    given = checks.subject(small.named(), {"features": [Tensor(("batch", 64))]})
    with pytest.raises(ConversionError, match="nest"):
        TorchToOnnx().convert(given, tmp_path)


def test_an_onnx_model_as_it_is_is_no_variant_of_itself(exported: Any) -> None:
    made, inputs = exported
    assert "executes as it is" in checks.refusal("onnxruntime", made.model, inputs)
    assert checks.refusal("onnxruntime", small.named(), NAMED) == ""


@pytest.mark.parametrize(("name", "allowed"), [("onnxruntime", False), ("onnxruntime-tf32", True)])
def test_on_a_gpu_the_name_tells_whether_it_is_tf32(exported: Any, name: str, allowed: bool, tmp_path: Path) -> None:
    made, inputs = exported
    (converter,) = [one for one in converters() if one.name == name]
    given = {device: checks.subject(made.model, inputs, device=Device.parse(device)) for device in ("cuda:1", "cpu")}
    choice = converter.convert(given["cuda:1"], tmp_path).runtime
    assert (choice and choice.options, converter.precision) == ({"use_tf32": allowed}, "tf32" if allowed else "float32")
    if allowed:
        assert "works on an NVIDIA GPU" in converter.refuses(given["cpu"])
    else:
        assert converter.convert(given["cpu"], tmp_path).runtime == RuntimeChoice("onnxruntime")
