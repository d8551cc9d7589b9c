from __future__ import annotations

import pytest

from pytest_modelperf.errors import in_one_line, last_line, nearest, note

RUNTIMES = ("callable", "litert", "onnxruntime", "openvino")


@pytest.mark.parametrize(
    ("word", "name"), [("onnxrt", "onnxruntime"), ("onx", "onnxruntime"), ("onnx", "onnxruntime"), ("tflite", "litert")]
)
def test_a_misspelt_or_shortened_word_is_answered_with_one_name(word: str, name: str) -> None:
    assert nearest(word, RUNTIMES) == f"did you mean {name!r}?"


def test_another_word_is_answered_with_all_names() -> None:
    assert nearest("jax", RUNTIMES) == "known are: callable, litert, onnxruntime, openvino"
    assert nearest("pixels", ["x"]) == "known are: x"


def test_an_error_in_one_line_is_its_class_and_the_last_line_or_the_one_asked_for() -> None:
    error = ValueError("\nin layer 3:\n  nothing to read  \n")
    assert in_one_line(error) == "ValueError: nothing to read"
    assert in_one_line(error, line=0) == "ValueError: in layer 3:"
    assert last_line(error) == "nothing to read"


def test_what_was_noted_of_an_error_follows_in_its_line() -> None:
    error = ValueError("no such thing")
    note(error, "closing raised, too")
    note(error, "a long\nstory")
    assert in_one_line(error) == "ValueError: no such thing (closing raised, too)"


def test_an_error_that_says_nothing_is_told_by_its_class() -> None:
    assert in_one_line(KeyboardInterrupt()) == "KeyboardInterrupt: without a message"
    assert last_line(MemoryError()) == "MemoryError"
