"""Faults planted on purpose (`benchmarks/faults.py`): each failing test names its own first."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf import lock_folder

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

BENCHMARK: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "faults.py"))
# Of a neighbour on the machine: what it disturbs may hide a slowdown.
MOST_MISSED = 2


def section(cause: str) -> str:
    return f"""
____________ test_sort ____________
slower than the baseline: the model +65.4%

Slower than the baseline:
  the model
    change             +65.4% [+45.3%, +88.3%]
    to blame           {cause}
    also               threads 2 → 1
============ modelperf ============
"""


def test_the_first_cause_is_read_from_the_section_of_the_failing_test() -> None:
    cause = "`aten::sort` 0 → 4 calls, +1 ms\n" + " " * 23 + "of +1.2 ms"
    assert BENCHMARK["first_cause"](section(cause), "sort") == "`aten::sort` 0 → 4 calls, +1 ms of +1.2 ms"
    assert BENCHMARK["first_cause"](section(cause), "casts") == "(not found to be slower)"
    assert BENCHMARK["is_named"]("sort", "`aten::sort` 0 → 4 calls, +1 ms of +1.2 ms")
    assert not BENCHMARK["is_named"]("sort", "threads 2 → 1")


@pytest.mark.slow
def test_planted_faults_are_named_first(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setenv(lock_folder.VARIABLE, str(scratch / lock_folder.NAME))
    found = BENCHMARK["first_causes"](tmp_path)
    wrong = {name: cause for name, cause in found.items() if not BENCHMARK["is_named"](name, cause)}
    assert len(found) >= 20
    assert len(wrong) <= MOST_MISSED, wrong
