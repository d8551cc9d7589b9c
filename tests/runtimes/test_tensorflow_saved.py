"""What is read from the bytes of a SavedModel, whose messages are put together here by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from runtimes.saved_models import FLOAT, INT64, QINT8, STRING, field, graph, signature, tensor, write

from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.errors import ModelError, UsageError
from pytest_modelperf.runtimes.tensorflow_saved import SavedModel, read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


X = ("x", tensor("serving_default_x:0", FLOAT, -1, 3))


def inputs(folder: Path, *of: tuple[str, bytes], defaults: tuple[str, ...] = ()) -> tuple[Input, ...]:
    found = read_folder(write(folder, graph({"serving_default": signature(*of, defaults=defaults)}))).signature
    assert found is not None
    return found.inputs


def test_the_signature_that_serves_and_all_names_of_its_inputs(folder: Path) -> None:
    write(folder, graph({"other": signature(), "serving_default": signature(X), "__saved_model_init_op": signature()}))
    known = Input("x", (None, 3), "float32", aliases=("serving_default_x:0", "serving_default_x"))
    assert read_folder(folder) == SavedModel(("serve",), "serving_default", Signature((known,)))


def test_a_graph_of_tensorflow_1_has_the_name_of_its_placeholder(folder: Path) -> None:
    (known,) = inputs(folder, ("images", tensor("images:0", FLOAT, -1, 3)))
    assert known.aliases == ("images:0",)


def test_inputs_are_sorted_and_those_with_a_default_may_be_left_out(folder: Path) -> None:
    found = inputs(folder, ("z", X[1]), ("a", X[1]), defaults=("a",))
    assert [(known.name, known.required) for known in found] == [("a", False), ("z", True)]


def test_shapes_and_dtypes(folder: Path) -> None:
    found = inputs(
        folder,
        ("named", tensor("t:0", INT64, "batch", "seq", 4)),
        ("of any rank", field(1, "t:0") + field(2, FLOAT) + field(3, field(3, 1))),
        ("quantized", tensor("t:0", QINT8)),
        ("sparse", field(2, FLOAT) + field(4, field(1, "values:0"))),
        ("text", tensor("t:0", STRING, -1)),
        ("unknown", b""),
    )
    assert {known.name: (known.shape, known.dtype) for known in found} == {
        "named": (("batch", "seq", 4), "int64"),
        "of any rank": (None, "float32"),
        "quantized": ((), "TensorFlow type 11"),
        "sparse": (None, "sparse tensor"),
        "text": ((None,), "string"),
        "unknown": (None, "unknown"),
    }


def test_the_only_signature_is_the_one_that_is_called(folder: Path) -> None:
    assert read_folder(write(folder, graph({"classify": signature(X)}))).name == "classify"


def test_several_signatures_leave_a_choice(folder: Path) -> None:
    write(folder, graph({"b": signature(X), "a": signature()}))
    with pytest.raises(ModelError, match=r'a, b, and none .*: runtime=\("tensorflow", {"signature": "a"}\)'):
        read_folder(folder)
    assert read_folder(folder, "b").name == "b"
    with pytest.raises(UsageError, match=r"model has no signature 'c'; known are: a, b"):
        read_folder(folder, "c")


def test_a_model_without_signatures(folder: Path) -> None:
    assert read_folder(write(folder, graph({}))) == SavedModel(("serve",))
    with pytest.raises(UsageError, match="has no signature 'a'; it has none"):
        read_folder(folder, "a")


def test_of_several_graphs_the_one_that_serves_and_nothing_else(folder: Path) -> None:
    on_gpus, plain = graph({"gpu": signature(X)}, "serve", "gpu"), graph({"cpu": signature(X)}, "serve")
    found = read_folder(write(folder, graph({}, "train"), on_gpus, plain))
    assert (found.tags, found.name) == (("serve",), "cpu")
    assert read_folder(write(folder, graph({}, "train"), on_gpus)).tags == ("gpu", "serve")
    with pytest.raises(ModelError, match=r"holds 2 graphs, tagged train; eval, and none .*load the one that you mean"):
        read_folder(write(folder, graph({}, "train"), graph({}, "eval")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it holds no graph); it seems to be an empty file. Export it anew"),
        (b"<html>404</html>", "it seems to be an HTML or XML page: a download that failed?"),
        (b"version https://git-lfs.github.com/spec/v1", "it seems to be a Git LFS pointer"),
        (bytes([0x12, 0x80]), "(it is cut short)"),
    ],
)
def test_what_is_no_saved_model_is_told(folder: Path, data: bytes, message: str) -> None:
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(data)
    with pytest.raises(ModelError, match=r"saved_model.pb is no SavedModel, or a damaged one \(") as caught:
        read_folder(folder)
    assert message in str(caught.value)


def test_a_file_that_is_cut_anywhere_is_never_a_crash(folder: Path) -> None:
    write(folder, graph({"serving_default": signature(X)}))
    whole = (folder / "saved_model.pb").read_bytes()
    for length in range(len(whole)):
        (folder / "saved_model.pb").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read_folder(folder)
