from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.domain.tensor import Tensor
from pytest_modelperf.errors import UsageError
from pytest_modelperf.measuring.failures import told

INPUTS = {"x": Tensor(("batch", 4)), "ids": [Tensor(("batch",), "int64", high=9)]}
TRIED = "inputs tried: x (2, 4) float32, ids.0 (2,) int64"
MODEL = """
import json

class Model:
    def forward(self, text):
        return self.inner(text)

    def inner(self, text):
        if not text:
            raise ValueError("in layer 3:\\n  nothing to read  ")
        return json.loads(text)
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model in a file of the user's, whose folder the process is in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    names: dict[str, Any] = {}
    exec(compile(MODEL, str(tmp_path / "model.py"), "exec"), names)
    return names["Model"]()


def caught(call: Callable[[], object]) -> Exception:
    with pytest.raises(ValueError, match=r"nothing to read|Expecting") as found:
        call()
    # As measuring sees it: without the frames of this test, which is a user's file as any other.
    inner = found.tb.tb_next
    return found.value.with_traceback(inner.tb_next if inner is not None else None)


def test_the_last_line_the_place_and_the_inputs(model: Any) -> None:
    error = caught(lambda: model.forward(""))
    assert told(error, INPUTS, {"batch": 2}) == f"ValueError: nothing to read (model.py:10 in inner; {TRIED})"


def test_of_an_error_in_a_library_the_users_line_that_led_there(model: Any) -> None:
    error = caught(lambda: model.forward("{"))
    assert isinstance(error, json.JSONDecodeError)
    assert told(error, INPUTS, {"batch": 2}).endswith(f"(model.py:11 in inner; {TRIED})")


def test_what_was_raised_in_no_file_of_the_users_has_no_place() -> None:
    error = caught(lambda: json.loads("{"))
    assert told(error, INPUTS, {"batch": 2}).endswith(f"({TRIED})")
    assert told(ValueError(), (), {}) == "ValueError: without a message"


def test_an_error_of_ours_says_all_itself() -> None:
    assert told(UsageError("write it so"), INPUTS, {"batch": 2}) == "UsageError: write it so"
