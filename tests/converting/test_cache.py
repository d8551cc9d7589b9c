"""What a converter wrote is taken from the cache while nothing that it hangs on has changed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from converting import architectures as small
from converting import checks
from converting.test_routes import Fake
from filelock import FileLock
from runtimes import network

from pytest_modelperf import Tensor
from pytest_modelperf.converting.cache import FROM_CACHE, Cache, key
from pytest_modelperf.converting.content import code, content
from pytest_modelperf.converting.openvino import OpenVinoSetting
from pytest_modelperf.converting.protocol import Converted, Subject
from pytest_modelperf.domain.spec import RuntimeChoice


class Writer(Fake):
    """A converter that writes a file of a kilobyte, and counts how often it is asked."""

    asked: list[str] = []  # noqa: RUF012 - all of them together

    def convert(self, subject: Subject, folder: Path) -> Converted:
        self.asked.append(self.name)
        path = folder / "model.onnx"
        path.write_bytes(self.name.encode() * 1000)
        choice = RuntimeChoice("onnxruntime", {"intra_op_num_threads": 2})
        return Converted(path, choice, {"batch": 1}, ("flag",), {"nodes": 2.0}, ("a note",))


@pytest.fixture
def given() -> Subject:
    return checks.subject(torch.nn.Linear(4, 4), [Tensor(("batch", 4))])


@pytest.fixture(autouse=True)
def _none_asked() -> None:
    Writer.asked.clear()


def made(cache: Cache, name: str, given: Subject, own: Path) -> Converted:
    own.mkdir(parents=True)
    step = Writer(name, "torch", "onnx")
    return cache.follow(key(content(given), step), step, given, own)


def test_the_second_time_nothing_is_converted(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    first = made(cache, "a", given, tmp_path / "1")
    again = made(cache, "a", given, tmp_path / "2")
    assert Writer.asked == ["a"]
    assert again.model == tmp_path / "2" / "model.onnx"
    assert again.model.read_bytes() == first.model.read_bytes()
    assert replace(again, model=None, notes=again.notes[:-1], saved_seconds=0.0) == replace(first, model=None)
    assert again.saved_seconds > first.saved_seconds == 0.0
    assert again.notes[-1] == "a: from the cache"


def test_a_route_takes_its_bridge_from_the_cache(tmp_path: Path) -> None:
    cache, inputs = Cache(tmp_path / "cache"), [Tensor(("batch", 64))]
    way = checks.route("torchscript", "torch")
    for place in ("1", "2"):
        given = checks.subject(torch.nn.Linear(64, 2), inputs)
        found = way.follow(given, tmp_path / place, cache, content(given))
        assert found.notes == ()
    given = checks.subject(torch.nn.Linear(64, 2), inputs)
    way.follow(given, tmp_path / "3", cache, content(given))
    notes = way.follow(given, tmp_path / "4", cache, content(given)).notes
    assert notes == ("torchscript: from the cache",)


def test_weights_beside_a_model_can_be_read_again(given: Subject, tmp_path: Path) -> None:
    class External(Writer):
        def convert(self, subject: Subject, folder: Path) -> Converted:
            made = network.onnx_model()
            onnx.save_model(made, folder / "model.onnx", save_as_external_data=True, location="d", size_threshold=0)
            return Converted(folder / "model.onnx")

    step = External("external", "torch", "onnx")
    for place in ("1", "2"):
        (tmp_path / place).mkdir()
        found = Cache(tmp_path / "cache").follow("key", step, given, tmp_path / place)
        # onnx reads none from a file that other names are linked to.
        assert onnx.load(str(found.model)).graph.initializer[0].raw_data
    assert found.notes == ("external: from the cache",)


@pytest.mark.parametrize("name", ["onnxruntime-int8", "onnxruntime-fp16"])
def test_what_a_bridge_exported_can_be_converted_from_the_cache(name: str, tmp_path: Path) -> None:
    model, cache = small.mlp(), Cache(tmp_path / "cache")
    cold = checks.variant(name, model, small.FEATURES, tmp_path / "cold", cache=cache)
    warm = checks.variant(name, model, small.FEATURES, tmp_path / "warm", cache=cache)
    assert not any(FROM_CACHE in note for note in cold.notes)
    assert f"{name}: {FROM_CACHE}" in warm.notes


def test_live_variants_are_not_kept(given: Subject, tmp_path: Path) -> None:
    checks.route("bf16", "torch").follow(given, tmp_path / "made", Cache(tmp_path / "cache"), "known")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda given: replace(given, inputs=[Tensor((4, "batch"))]),
        lambda given: replace(given, cases=[{"batch": 2}]),
        lambda given: replace(given, model=torch.nn.Sequential(given.model)),
        lambda given: replace(given, model=torch.nn.Linear(4, 4)),
    ],
)
def test_what_it_hangs_on_makes_another_key(given: Subject, change: Callable[[Subject], Subject]) -> None:
    assert content(given) == content(replace(given)) != ""
    assert content(change(given)) != content(given)


def test_what_a_layer_is_told_counts(given: Subject) -> None:
    model: Any = torch.nn.Softmax(dim=0)
    before = content(replace(given, model=model))
    model.dim = 1
    assert content(replace(given, model=model)) != before


def test_functions_that_a_layer_holds_count_by_their_code() -> None:
    def holding(held: Any) -> str:
        torch.manual_seed(0)
        model = small.mlp()
        model.held = held
        return content(checks.subject(model, small.FEATURES))

    def scaling(factor: int) -> Callable[[int], int]:
        return lambda x: x * factor

    assert holding([scaling(1)]) == holding([scaling(1)])
    scaled = [holding([scaling(1)]), holding([scaling(2)])]
    assert len({*scaled, holding(torch.relu), holding(torch.tanh), holding({"a": 1}), holding({"a": 2})}) == 6
    assert holding(torch.nn.functional.gelu) != holding(torch.nn.functional.silu)


def test_samples_count_by_their_values() -> None:
    samples = np.zeros((5000, 64), np.float32)
    before = content(checks.subject(small.mlp(), [Tensor(("batch", 64), values=samples)]))
    assert before == content(checks.subject(small.mlp(), [Tensor(("batch", 64), values=samples.copy())])) != ""
    # What calls at the smallest case do not hold, and what print leaves out.
    for place in (2, 3):
        other = samples.copy()
        other[place] = 1.0
        assert content(checks.subject(small.mlp(), [Tensor(("batch", 64), values=other)])) != before


def test_options_of_a_converter_make_another_key() -> None:
    keys = {key("model", OpenVinoSetting("a", "b", "f32", options)) for options in ({}, {"x": 1}, {"x": 2})}
    assert len(keys) == 3


def test_settings_are_kept_and_read_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert cache.find_settings("one") is None
    cache.keep_settings("one", {"threads": 1})
    cache.keep_settings("one", {"threads": 2, "arena": False})
    assert cache.find_settings("one") == {"threads": 2, "arena": False}
    (tmp_path / "cache" / "one" / "converted.json").write_text("{")
    assert cache.find_settings("one") is None


def test_settings_are_kept_beside_conversions(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit_bytes=2000)
    cache.keep_settings("one", {"threads": 1})
    made(cache, "a", given, tmp_path / "own")
    assert cache.find_settings("one") == {"threads": 1}


def told(held: Any) -> str:
    """The content of a model that holds it as a plain attribute."""
    model = small.mlp()
    model.held = held
    return content(checks.subject(model, small.FEATURES))


@pytest.mark.parametrize(
    "make",
    [
        lambda value: torch.eye(3).to_sparse() * value,
        lambda value: (torch.eye(3) * (1 + value)).to_sparse_csr(),
        lambda value: (torch.eye(3) * (1 + value)).to_sparse_csc(),
        lambda value: torch.quantize_per_tensor(torch.full((3,), float(value)), 0.1, 0, torch.qint8),
        lambda value: torch.nested.nested_tensor([torch.ones(2), torch.full((3,), float(value))], layout=torch.jagged),
        lambda value: torch.tensor([1 + value * 1j]),
        # A float64 holds no odd number there.
        lambda value: torch.tensor([2**53 + value]),
        lambda value: torch.ones(2, dtype=(torch.float32, torch.float64)[value]),
        # Dense it would take 400 TB.
        lambda value: torch.sparse_coo_tensor(torch.tensor([[0], [0]]), [1.0 + value], (10**7, 10**7)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*([Ss]parse|nested|quantized tensor):UserWarning")
def test_a_tensor_of_any_kind_that_a_layer_holds_counts_by_its_values(make: Callable[[int], Any]) -> None:
    assert told(make(0)) == told(make(0)) != ""
    assert told(make(1)) != told(make(0))


def test_what_cannot_be_told_has_no_key() -> None:
    class Layer(torch.nn.Module):
        def extra_repr(self) -> str:
            raise RuntimeError("not now")

    assert content(checks.subject(small.named(), [object()])) == ""
    assert told(torch.empty(2, device="meta")) == ""
    assert content(checks.subject(torch.nn.Sequential(Layer()), small.FEATURES)) == ""


def test_another_version_makes_another_key(given: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Writer("a", "torch", "onnx")
    before = key("model", step)
    monkeypatch.setattr("pytest_modelperf.converting.cache.versions", lambda: {"torch": "9"})
    assert key("model", step) != before


def test_what_was_used_longest_ago_goes_first(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit_bytes=2500)
    for number, name in enumerate("ab"):
        made(cache, name, given, tmp_path / name)
        entry = cache.folder / key(content(given), Writer(name, "torch", "onnx")) / "converted.json"
        os.utime(entry, (number, number))
    made(cache, "a", given, tmp_path / "again")
    made(cache, "c", given, tmp_path / "c")
    Writer.asked.clear()
    for name in "acb":
        made(cache, name, given, tmp_path / f"{name} at last")
    assert Writer.asked == ["b"]
    assert (tmp_path / "b" / "model.onnx").read_bytes() == b"b" * 1000


def test_a_damaged_entry_is_made_anew(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    made(cache, "a", given, tmp_path / "1")
    (cache.folder / key(content(given), Writer("a", "torch", "onnx")) / "converted.json").write_text("{")
    assert made(cache, "a", given, tmp_path / "2").model.exists()
    assert Writer.asked == ["a", "a"]


def test_an_entry_that_is_not_whole_is_made_anew_and_kept(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    made(cache, "a", given, tmp_path / "1")
    (cache.folder / key(content(given), Writer("a", "torch", "onnx")) / "converted.json").unlink()
    made(cache, "a", given, tmp_path / "2")
    assert made(cache, "a", given, tmp_path / "3").notes[-1] == "a: from the cache"
    assert Writer.asked == ["a", "a"]


def test_what_killed_processes_left_is_removed(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    for name in (".passing-old", ".passing-now", "without its description"):
        (cache.folder / name / "files").mkdir(parents=True)
    os.utime(cache.folder / ".passing-old", (0, 0))
    made(cache, "a", given, tmp_path / "1")
    assert sorted(path.name for path in cache.folder.iterdir() if path.is_dir()) == [
        ".passing-now",
        key(content(given), Writer("a", "torch", "onnx")),
    ]


def test_a_cache_that_renews_makes_anew_and_keeps_that(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    for number, each in enumerate((cache, replace(cache, renews=True), cache)):
        made(each, "a", given, tmp_path / str(number))
    assert Writer.asked == ["a", "a"]


def test_many_at_once_leave_one_whole_entry(given: Subject, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: made(cache, "a", given, tmp_path / str(number)), range(8)))
    assert all(one.model.read_bytes() == b"a" * 1000 for one in found)
    assert [path.name for path in cache.folder.iterdir() if path.is_dir()] == [
        key(content(given), Writer("a", "torch", "onnx"))
    ]


def test_a_folder_that_cannot_be_written_is_a_note(given: Subject, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    found = made(Cache(tmp_path / "cache"), "a", given, tmp_path / "1")
    assert found.model.exists()
    assert "a: not kept in" in found.notes[-1]


def test_a_converter_without_a_file_has_no_key() -> None:
    made_up: Any = type("MadeUp", (), {"name": "made-up", "__module__": "nowhere"})()
    assert key("model", made_up) == ""


def test_the_lock_is_free_while_files_are_copied(
    given: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    made(cache, "a", given, tmp_path / "1")
    copytree = shutil.copytree

    def copy(*args: Any, **kwargs: Any) -> Any:
        with FileLock(tmp_path / "cache" / ".lock", timeout=0):
            return copytree(*args, **kwargs)

    monkeypatch.setattr(shutil, "copytree", copy)
    assert FROM_CACHE in made(cache, "a", given, tmp_path / "2").notes[-1]


def test_an_entry_that_is_replaced_while_it_is_copied_is_made_anew(
    given: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    made(cache, "a", given, tmp_path / "1")
    (entry,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    copytree = shutil.copytree

    def copy(*args: Any, **kwargs: Any) -> Any:
        copied = copytree(*args, **kwargs)
        if Path(args[0]).is_relative_to(entry):
            entry.rename(entry.with_name("former"))
            copytree(entry.with_name("former"), entry)
        return copied

    monkeypatch.setattr(shutil, "copytree", copy)
    (own := tmp_path / "2").mkdir()
    assert cache.find(entry.name, own) is None
    assert not list(own.iterdir())


def test_what_a_converter_imports_from_beside_it_counts(tmp_path: Path) -> None:
    texts = {
        "mine.py": "from .helper import help\n\n\nclass Mine:\n    def convert(self):\n        from own import third\n",
        "helper.py": "import fourth\nhelp = 1\n",
        "third.py": "third = 1\n",
        "fourth.py": "import mine\n",
        "other.py": "other = 1\n",
    }

    def told(changed: str) -> str:
        folder = tmp_path / changed / "own"
        folder.mkdir(parents=True)
        for name, text in texts.items():
            (folder / name).write_text(text + ("# changed\n" if name == changed else ""))
        module = ModuleType(f"mine_{changed}")
        module.__file__ = str(folder / "mine.py")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, module.__name__, module)
            return code(type("Mine", (), {"__module__": module.__name__}))

    plain = told("none")
    assert [name for name in texts if told(name) != plain] == ["mine.py", "helper.py", "third.py", "fourth.py"]
