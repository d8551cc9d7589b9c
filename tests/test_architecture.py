"""The arrows of docs/architecture.md hold: pyproject.toml states them as contracts, import-linter checks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ARROWS = "Imports point down; packages side by side do not know each other"
PYTEST = "pytest lives in plugin alone"
FRAMEWORKS = "Frameworks live in runtimes, profiling and converting alone"
UNDECLARED = "What only the tests install is not used"


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    command = str(Path(sysconfig.get_path("scripts"), "lint-imports"))
    return subprocess.run(
        [command, "--no-cache", "--no-logo", "--config", str(project / "pyproject.toml")],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_import_follows_the_arrows() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [f"{contract} KEPT" in result.stdout for contract in (ARROWS, PYTEST, FRAMEWORKS, UNDECLARED)] == [True] * 4


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("domain/wrong.py", "from ..judging import *", ARROWS),
        ("judging/wrong.py", "from ..measuring import *", ARROWS),
        ("runtimes/wrong.py", "from ..plugin import *", ARROWS),
        ("errors.py", "from .domain import units", ARROWS),
        ("reporting/wrong.py", "import pytest", PYTEST),
        ("measuring/wrong.py", "def call():\n    import torch", FRAMEWORKS),
        ("plugin/wrong.py", "import onnxruntime", FRAMEWORKS),
        ("judging/wrong.py", "import scipy.stats", UNDECLARED),
    ],
)
def test_an_import_against_them_is_found(tmp_path: Path, module: str, line: str, broken: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "src/pytest_modelperf" / module).open("a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{broken} BROKEN" in result.stdout
