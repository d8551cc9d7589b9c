from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelperf import launch

# A module in a folder of PYTHONPATH, as the package itself may be.
CHILD = """
import json, multiprocessing, secrets, statistics, sys

def double(number):
    return 2 * number

def main(*arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        doubled = pool.map(double, [21])
    told = dict(arguments=arguments, argv=sys.argv[1:], path=sys.path, doubled=doubled, optimize=sys.flags.optimize)
    sys.stdout.write(json.dumps(told))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with files that bear the names of Python's own."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "some_child.py").write_text(CHILD)
    user = tmp_path / "user"
    user.mkdir()
    for name in ("secrets", "statistics", "numpy"):
        (user / f"{name}.py").write_text(f"raise SystemExit('the {name} of the user')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.chdir(user)
    return user


def test_main_is_run_without_the_users_folder_or_the_scripts(folder: Path) -> None:
    told = json.loads(subprocess.check_output(launch.argv("some_child", "1", "two")))
    assert told["arguments"] == told["argv"] == ["1", "two"]
    assert not {"", str(folder), str(launch.SCRIPT.parent)} & set(told["path"])
    assert told["path"][0] == os.environ["PYTHONPATH"]
    assert told["doubled"] == [42]


def test_what_it_does_not_find_is_where_its_parent_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that has put folders on its path itself."""
    modules = os.environ["PYTHONPATH"]
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setattr(sys, "path", [str(folder), modules, *sys.path])
    told = json.loads(subprocess.check_output(launch.argv("some_child", "1")))
    assert told["arguments"] == told["argv"] == ["1"]
    assert told["path"].index(modules) > 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH came with Python 3.11")
def test_where_python_leaves_the_scripts_folder_out_nothing_is_taken_away(folder: Path) -> None:
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    told = json.loads(subprocess.check_output(launch.argv("some_child"), env=environment))
    assert told["path"][0] == os.environ["PYTHONPATH"]


def test_flags_are_handed_on(folder: Path) -> None:
    code = "import subprocess; from pytest_modelperf import launch; subprocess.check_call(launch.argv('some_child'))"
    answer = subprocess.check_output([sys.executable, "-OO", "-c", code])
    assert json.loads(answer)["optimize"] == 2


def test_the_script_lies_alone() -> None:
    assert [path.name for path in launch.SCRIPT.parent.iterdir() if path.name != "__pycache__"] == ["child.py"]
