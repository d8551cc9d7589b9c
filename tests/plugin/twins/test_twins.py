"""What becomes of fresh processes that are lost, before and after what was done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.errors import PeerLost
from pytest_modelperf.plugin.twins import twins as module
from pytest_modelperf.plugin.twins.messages import Refused
from pytest_modelperf.plugin.twins.remote_bench import RemoteBench
from pytest_modelperf.plugin.twins.twins import Twins

TREE: Any = SimpleNamespace(name="main (3fa2b1c)")


class FakeBench(RemoteBench):
    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release

    def release(self) -> None:
        self._release()


class FakeTwin:
    """A twin, and the bench of it, that keep a log; the process of `dies` is lost in this step."""

    def __init__(self, device: str, tree: Any, log: list[str], dies: str) -> None:
        self.name, self.device, self._log, self._dies = f"{device}{'' if tree is None else '@'}", device, log, dies
        self.bench = FakeBench(lambda: self.step("release"))

    def step(self, step: str) -> None:
        self._log.append(f"{step} {self.name}")
        if self._dies == f"{step} {self.name}":
            raise PeerLost(f"{self.name} ended with exit code 3")

    def dismiss(self) -> None:
        self.step("dismiss")

    def end(self) -> None:
        self.step("end")

    def kill(self) -> None:
        self._log.append(f"kill {self.name}")


Started = Callable[..., tuple[Twins, list[str], list[str]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The twins of a test, what they were told to do, and what is told of them."""

    def start(dies: str = "", refuses: bool = False) -> tuple[Twins, list[str], list[str]]:
        log: list[str] = []
        notes: list[str] = []

        def opened(twin: Any, tree: Any = None) -> object:
            return Refused("it failed before it called modelperf") if refuses else twin.bench

        monkeypatch.setattr(module, "here", opened)
        monkeypatch.setattr(module, "there", opened)
        monkeypatch.setattr(module, "side_by_side", list)
        nobody: Any = None
        twins = Twins(nobody, Path("test_a.py"), "test_a.py::test_speed", "", TREE, notes.append)
        monkeypatch.setattr(
            twins, "_twin", lambda device, name, tree=None, attempt="": FakeTwin(device, tree, log, dies)
        )
        monkeypatch.setattr(twins, "_check_model", lambda bench: None)
        monkeypatch.setattr(twins, "share_weights", lambda bench: None)
        return twins, log, notes

    return start


def use(twins: Twins, log: list[str], devices: Sequence[str] = ("cpu",)) -> str:
    def measured(now: Sequence[RemoteBench], then: Sequence[RemoteBench]) -> None:
        log.append(f"use {len(now)} {len(then)}")

    return twins.use(devices, "pair 2", measured, TREE)


def test_both_sides_tear_down_after_what_is_done_with_them(started: Started) -> None:
    twins, log, notes = started()
    assert use(twins, log) == ""
    ended = [f"{step} {name}" for name in ("cpu", "cpu@") for step in ("release", "dismiss", "end")]
    assert log == ["use 1 1", *ended, "kill cpu", "kill cpu@"]
    assert notes == []


@pytest.mark.parametrize("step", ["release", "dismiss", "end"])
def test_a_process_that_is_lost_at_its_end_takes_nothing_back(started: Started, step: str) -> None:
    """What it measured was kept, and yet the pair was made once more."""
    twins, log, notes = started(dies=f"{step} cpu")
    assert use(twins, log) == ""
    assert notes == ["pair 2: its process was lost at its end: cpu ended with exit code 3"]
    assert "end cpu@" in log, "the other side tears down all the same"
    assert log[-2:] == ["kill cpu", "kill cpu@"]


def test_what_ends_before_it_calls_modelperf_is_not_used(started: Started) -> None:
    twins, log, notes = started(refuses=True)
    assert use(twins, log) == "it failed before it called modelperf"
    assert log == ["kill cpu", "kill cpu@"]
    assert notes == []
