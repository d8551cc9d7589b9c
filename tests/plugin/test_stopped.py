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
    assert [result.nodeid for result in controller.results()] == [first.nodeid, second.nodeid]
    assert controller.results()[0].sweep == first.sweep
    controller.pytest_unconfigure()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_of_another_host_has_no_such_folder(controller: FromWorkers) -> None:
    left_by("gw0", {"modelperf_stopped": "/on/another/host"}, samples.batch_sweep())
    left_by("gw0", {}, samples.batch_sweep())
    assert controller.results() == []


def test_without_workers_no_folder_is_made(controller: FromWorkers, tmp_path: Path) -> None:
    assert controller.results() == []
    controller.pytest_unconfigure()
    assert list(tmp_path.iterdir()) == []
