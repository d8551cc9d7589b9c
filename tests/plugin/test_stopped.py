from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reporting import samples

from pytest_modelperf.domain.report import TestResult
from pytest_modelperf.plugin.stopped import FromWorkers, ToController


def left_by(worker: str, told: dict[str, str], *results: TestResult) -> None:
    """What a worker does in the end that was told this, and was stopped in these tests."""
    config: Any = SimpleNamespace(workerinput={**told, "workerid": worker})
    bureau: Any = SimpleNamespace(stopped=list(results))
    ToController(config, bureau).pytest_sessionfinish()


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FromWorkers:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return FromWorkers()


def test_what_workers_leave_reaches_the_controller_and_nothing_stays(controller: FromWorkers, tmp_path: Path) -> None:
    nodes: list[Any] = [SimpleNamespace(workerinput={}), SimpleNamespace(workerinput={})]
    for node in nodes:
        controller.pytest_configure_node(node)
    first, second = samples.batch_sweep(), samples.devices()
    left_by("gw1", nodes[1].workerinput, second)
    left_by("gw0", nodes[0].workerinput, first)
    notes: list[str] = []
    found = controller.results(notes.append)
    assert [result.nodeid for result in found] == [first.nodeid, second.nodeid]
    assert found[0].sweep == first.sweep
    controller.pytest_unconfigure()
    assert list(tmp_path.iterdir()) == []
    assert controller.results(notes.append) == []
    assert notes == []


def test_what_a_worker_could_not_write_to_its_end_hides_nothing(controller: FromWorkers) -> None:
    node: Any = SimpleNamespace(workerinput={})
    controller.pytest_configure_node(node)
    folder = Path(node.workerinput["modelperf_stopped"])
    whole = samples.batch_sweep()
    left_by("gw2", node.workerinput, whole)
    assert [file.name for file in folder.glob("*.*")] == ["gw2-0.json"]
    (folder / "gw0-0.part").write_text('{"nodeid": "a')
    (folder / "gw1-0.json").write_text('{"nodeid": "a')
    notes: list[str] = []
    assert [result.nodeid for result in controller.results(notes.append)] == [whole.nodeid]
    (note,) = notes
    assert note.startswith("what gw1 had measured of a test that it was stopped in cannot be read: ")
    controller.pytest_unconfigure()


def test_a_worker_of_another_host_has_no_such_folder(controller: FromWorkers) -> None:
    left_by("gw0", {"modelperf_stopped": "/on/another/host"}, samples.batch_sweep())
    left_by("gw0", {}, samples.batch_sweep())
    assert controller.results(pytest.fail) == []


def test_without_workers_no_folder_is_made(controller: FromWorkers, tmp_path: Path) -> None:
    assert controller.results(pytest.fail) == []
    controller.pytest_unconfigure()
    assert list(tmp_path.iterdir()) == []
