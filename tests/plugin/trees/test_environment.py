from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from repositories import Repository

from pytest_modelperf.plugin.trees import environment
from pytest_modelperf.plugin.trees.worktree import Worktree

PROJECT = """\
[project]
version = "{version}"
dependencies = ["torch=={torch}"]
[dependency-groups]
test = ["pytest=={pytest}"]
[tool.poetry.group.dev.dependencies]
numpy = "{numpy}"
[tool.pytest.ini_options]
minversion = "{version}"
"""
ASKED = {"torch": "2.5", "pytest": "8", "numpy": "2"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One commit, and nothing changed since."""
    made = Repository.make(tmp_path / "project")
    made.write("pyproject.toml", PROJECT.format(version=1, **ASKED))
    made.write("requirements.txt", "torch==2.5\n")
    made.write("model.py", "SPEED = 1\n")
    made.commit()
    return made


@pytest.fixture
def worktree(repository: Repository) -> Iterator[Worktree]:
    made = Worktree("main", repository.path)
    yield made
    made.remove()


def test_nothing_is_said_where_both_ask_for_the_same(repository: Repository, worktree: Worktree) -> None:
    repository.write("model.py", "SPEED = 2\n")
    repository.write("pyproject.toml", PROJECT.format(version=2, **ASKED))
    repository.write("requirements.txt", "torch==2.5\n")
    assert environment.note(worktree.tree) == ""


def test_what_it_says(repository: Repository, worktree: Worktree) -> None:
    repository.write("requirements.txt", "torch==2.6\n")
    head = repository.git("rev-parse", "--short", "HEAD")
    assert environment.note(worktree.tree) == (
        f"changed since main ({head}): requirements.txt; both sides ran with what is installed now, so an upgrade was "
        "not compared (--modelperf-against-python, with an environment made at that commit, compares it)"
    )


@pytest.mark.parametrize("asked", ASKED)
def test_a_dependency_of_the_project(repository: Repository, worktree: Worktree, asked: str) -> None:
    repository.write("pyproject.toml", PROJECT.format(version=1, **(ASKED | {asked: "9"})))
    assert ": pyproject.toml; " in environment.note(worktree.tree)


@pytest.mark.parametrize("text", ["dependencies = [", "\udcff"])
def test_a_project_file_that_cannot_be_read_is_named(repository: Repository, worktree: Worktree, text: str) -> None:
    (repository.path / "pyproject.toml").write_text(text, errors="surrogateescape")
    assert ": pyproject.toml; " in environment.note(worktree.tree)


@pytest.mark.parametrize(
    "name",
    [
        "requirements-dev.txt",
        "requirements/gpu.txt",
        "ci/constraints.txt",
        "poetry.lock",
        "services/a/uv.lock",
        "environment.yml",
        "conda/environment-gpu.yaml",
    ],
)
def test_a_file_that_only_one_side_has(repository: Repository, name: str) -> None:
    repository.git("branch", "before")
    repository.write(name, "torch==2.6\n")
    repository.commit()
    for ref, changed in (("before", True), ("HEAD", False)):
        worktree = Worktree(ref, repository.path)
        assert (f": {name}; " in environment.note(worktree.tree)) is changed
        worktree.remove()


def test_a_file_that_is_gone_is_named_and_others_with_it(repository: Repository, worktree: Worktree) -> None:
    (repository.path / "requirements.txt").unlink()
    repository.write("pyproject.toml", "")
    assert ": pyproject.toml, requirements.txt; " in environment.note(worktree.tree)


@pytest.mark.parametrize("name", ["notes.txt", "src/environment.py", "config/settings.yml"])
def test_files_that_settle_nothing(repository: Repository, worktree: Worktree, name: str) -> None:
    repository.write(name, "torch==2.6\n")
    repository.git("add", "--all")
    assert environment.note(worktree.tree) == ""
