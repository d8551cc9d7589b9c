"""Installed and not used, the plugin imports next to nothing."""

from __future__ import annotations

import pytest
from integration.folders import Folder, output

# What costs, and has no business in a run that measures nothing.
HEAVY = (
    *("numpy", "torch", "onnx", "onnxruntime", "rich", "msgspec", "psutil", "filelock"),
    *(f"pytest_modelperf.{part}" for part in ("measuring", "judging", "baselines", "reporting", "runtimes")),
    *(f"pytest_modelperf.plugin.{part}" for part in ("setup", "settings", "coordinator", "runner")),
)
LISTS_MODULES = """
import sys

def pytest_unconfigure():
    open("modules.txt", "w").write("\\n".join(sys.modules))
"""
ORDINARY = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_plain(n): ...

class TestGroup:
    def test_method(self): ...
"""
# As a user's file begins; a model's framework is imported by the fixture that builds it.
MARKED = """
import pytest
from pytest_modelperf import GiB, Tensor, ms

@pytest.mark.modelperf(
    inputs={"x": Tensor(("batch", 4))}, sweep={"batch": "1..8"}, budget={"memory.peak": 2 * GiB}, devices="cpu"
)
def test_speed(modelperf): ...
"""


def imported(folder: Folder) -> list[str]:
    """Which of the heavy modules the last run had imported at its end."""
    modules = (folder.path / "modules.txt").read_text().splitlines()
    assert "pytest_modelperf.plugin" in modules, "the plugin was not there at all"
    return [name for name in modules if name.startswith(tuple(f"{heavy}." for heavy in HEAVY)) or name in HEAVY]


@pytest.fixture
def watched(folder: Folder) -> Folder:
    """A project that writes down what its runs have imported."""
    folder.write("conftest.py", LISTS_MODULES)
    return folder


def test_an_empty_folder(watched: Folder) -> None:
    result = watched.run_disabled("--collect-only")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert imported(watched) == []
    modules = (watched.path / "modules.txt").read_text().splitlines()
    assert [name for name in modules if name.startswith("pytest_modelperf.domain")] == []


def test_ordinary_tests(watched: Folder) -> None:
    (watched.path / "test_a.py").write_text(ORDINARY)
    watched.run_disabled().assert_outcomes(passed=3)
    assert imported(watched) == []
    modules = (watched.path / "modules.txt").read_text().splitlines()
    assert [name for name in modules if name.startswith("pytest_modelperf.domain")] == []


def test_marked_tests_that_are_skipped(watched: Folder) -> None:
    (watched.path / "test_a.py").write_text(MARKED)
    watched.run_disabled().assert_outcomes(skipped=1)
    assert imported(watched) == []
    watched.run_disabled("--collect-only")
    assert imported(watched) == []


def test_an_enabled_run_is_what_imports(watched: Folder) -> None:
    """So that the tests above can fail."""
    (watched.path / "test_a.py").write_text(MARKED)
    watched.run("--collect-only")
    assert {"numpy", "msgspec", "pytest_modelperf.measuring"} <= set(imported(watched))
    assert "torch" not in imported(watched)


def test_installed_it_is_loaded_by_its_entry_point(folder: Folder) -> None:
    (folder.path / "test_a.py").write_text(MARKED)
    result = folder.run_disabled("-rs", autoload=True)
    result.assert_outcomes(skipped=1)
    assert "modelperf-" in output(result).partition("plugins: ")[2]
    assert "a performance test: run it with --modelperf" in output(result)


def test_disabled_it_leaves_nothing_behind(folder: Folder) -> None:
    (folder.path / "test_a.py").write_text(ORDINARY)
    result = folder.run_disabled("-p", "no:modelperf", autoload=True)
    result.assert_outcomes(passed=3)
    assert "modelperf-" not in output(result).partition("plugins: ")[2]
