"""A model that the test runs in another runtime than the one natural to it is compared with that one, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from converting import checks
from runtimes import network

from pytest_modelperf import Tensor
from pytest_modelperf.converting.making import Maker
from pytest_modelperf.converting.openvino import OpenVinoSetting
from pytest_modelperf.converting.protocol import Subject
from pytest_modelperf.converting.registry import builtin as converters
from pytest_modelperf.converting.registry import chosen
from pytest_modelperf.domain.spec import RuntimeChoice
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.runtimes.registry import builtin as runtimes
from pytest_modelperf.runtimes.registry import find

INPUTS = {"x": Tensor(("batch", 4, network.FEATURES)), "shift": Tensor(("batch", network.FEATURES))}
OPENVINO = RuntimeChoice("openvino")


def given(folder: Path, runtime: RuntimeChoice | None) -> Subject:
    return replace(checks.subject(network.onnx_file(folder), INPUTS), runtime=runtime)


@pytest.mark.parametrize(
    ("runtime", "refused", "tried"),
    [
        (None, "onnxruntime", "onnxruntime-settings"),
        (RuntimeChoice("onnxruntime", {"intra_op_num_threads": 1}), "onnxruntime", "onnxruntime-settings"),
        (OPENVINO, "onnxruntime-settings", "onnxruntime"),
    ],
)
def test_only_what_the_test_runs_already_is_refused(
    runtime: RuntimeChoice | None, refused: str, tried: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    subject = given(tmp_path, runtime)
    assert checks.route(tried, "onnx").refuses(subject) == ""
    assert checks.route(refused, "onnx").refuses(subject) != ""


@pytest.mark.parametrize(
    ("options", "refused"),
    [(None, ["f32"]), ({}, ["f32"]), ({"INFERENCE_PRECISION_HINT": "bf16"}, ["bf16"])],
)
def test_an_openvino_model_is_refused_in_the_precision_of_the_test(
    options: dict[str, object] | None, refused: list[str]
) -> None:
    pytest.importorskip("openvino")
    runtime = None if options is None else RuntimeChoice("openvino", options)
    subject = Subject(Path("model.xml"), "openvino", checks.CPU, INPUTS, checks.CASES, lambda axes: {}, runtime=runtime)
    reasons = {hint: OpenVinoSetting(hint, "", hint).refuses(subject) for hint in ("f32", "bf16")}
    assert [hint for hint, reason in reasons.items() if "as it is" in reason] == refused


def test_plain_onnxruntime_is_a_variant_of_a_model_that_openvino_runs(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = network.onnx_file(tmp_path)
    runtime, model = find(path, runtimes(), OPENVINO)
    original = LocalBench(
        lambda: runtime.open(model, checks.CPU), checks.CPU, INPUTS, [dict(axes) for axes in checks.CASES]
    )
    maker = Maker(path, INPUTS, checks.CASES, runtimes(), chosen(["onnxruntime"], converters()), runtime=OPENVINO)
    (candidate,) = maker.candidates(checks.CPU)
    assert (candidate.name, candidate.refused) == ("onnxruntime", "")
    bench, variant = maker.prove(maker.convert("onnxruntime", original, checks.CPU, tmp_path / "made"))
    assert "onnxruntime" in bench.opened.description.lower().replace(" ", "")
    bench.release()
    assert variant.parity
