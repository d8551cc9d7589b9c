from __future__ import annotations

import pytest

from pytest_modelperf.errors import nearest

RUNTIMES = ("callable", "litert", "onnxruntime", "openvino")


@pytest.mark.parametrize(
    ("word", "name"), [("onnxrt", "onnxruntime"), ("onx", "onnxruntime"), ("onnx", "onnxruntime"), ("tflite", "litert")]
)
def test_a_misspelt_or_shortened_word_is_answered_with_one_name(word: str, name: str) -> None:
    assert nearest(word, RUNTIMES) == f"did you mean {name!r}?"


def test_another_word_is_answered_with_all_names() -> None:
    assert nearest("jax", RUNTIMES) == "known are: callable, litert, onnxruntime, openvino"
    assert nearest("pixels", ["x"]) == "known are: x"
