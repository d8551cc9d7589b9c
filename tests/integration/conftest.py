"""What every integration test shares: a folder for a project, and that nothing is left behind by its runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.folders import ROUNDS, SPEED, Folder
from integration.projects import Project

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What really measures may be tipped by a neighbour of a shared machine: a test has failed when it fails twice."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """For its second try what the tests of its file share is made anew: they would read the same disturbed run."""
    if getattr(item, "execution_count", 1) == 1 or not isinstance(item, pytest.Function):
        return
    for fixtures in item._fixtureinfo.name2fixturedefs.values():
        for fixture in fixtures:
            if fixture.scope == "module":
                # It hands the request on to a hook alone.
                fixture.finish(item._request)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """Instead of the system's temporary folder: locks are then not shared with other runs on this machine."""
    path = Path(tempfile.mkdtemp(prefix="mp-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def new_folder(tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> Callable[[], Folder]:
    """Makes folders with a pytest.ini that says nothing, for fixtures of any scope."""

    def make() -> Folder:
        folder = Folder(tmp_path_factory.mktemp("project"), scratch)
        folder.ini()
        return folder

    return make


@pytest.fixture(scope="session")
def copy_of(new_folder: Callable[[], Folder]) -> Callable[[Folder], Folder]:
    """Copies a project with all that its runs have left: what one run has made, each test may have changed."""

    def copied(folder: Folder) -> Folder:
        copy = new_folder()
        shutil.copytree(folder.path, copy.path, dirs_exist_ok=True)
        return copy

    return copied


@pytest.fixture
def folder(new_folder: Callable[[], Folder]) -> Folder:
    """An empty folder for a project."""
    return new_folder()


@pytest.fixture(scope="session")
def _accepted(new_folder: Callable[[], Folder]) -> Folder:
    folder = new_folder()
    folder.write("test_a.py", SPEED)
    folder.run("--modelperf-update", ROUNDS).assert_outcomes(passed=1)
    return folder


@pytest.fixture
def accepted(_accepted: Folder, copy_of: Callable[[Folder], Folder]) -> Folder:
    """A project with the test SPEED in `test_a.py`, and its baseline of one run."""
    return copy_of(_accepted)


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> Callable[[], Project]:
    """Makes empty projects, for fixtures of any scope."""
    return lambda: Project(tmp_path_factory.mktemp("project"), scratch)


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Iterator[Project]:
    """An empty project; whatever its runs have started is gone at the end."""
    made = new_project()
    yield made
    assert made.left_behind() == []
