"""The search where processes are lost: what becomes of the converters that are left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.variant import Candidate, Suggestions
from pytest_modelperf.errors import PeerLost
from pytest_modelperf.plugin.messages import Terms
from pytest_modelperf.plugin.remote import RunnerBroken
from pytest_modelperf.plugin.search import OPENINGS, Search, Surroundings
from pytest_modelperf.plugin.workshop import Workplace

TERMS = Terms(("cpu",), {}, (), 0.1, False, 1.0, converters=("auto",))


class Processes:
    """Gives processes that hold an original; those of converters are lost, and take it with them at some names."""

    def __init__(self, *names: str, deadly: tuple[str, ...] = ()) -> None:
        self.names, self.deadly = names, deadly
        self.opened: list[str] = []
        self.original: Any = None

    @contextlib.contextmanager
    def __call__(self, device: str, name: str) -> Iterator[Any]:
        self.opened.append(name)
        if name in self.names:
            self.original.runner.peer.alive = name not in self.deadly
            raise PeerLost(f"the runner of {name} was killed")
        self.original = SimpleNamespace(
            candidates=lambda: tuple(Candidate(one, "", (one,), 1.0) for one in self.names),
            opened=SimpleNamespace(device=device),
            runner=SimpleNamespace(peer=SimpleNamespace(alive=True)),
        )
        yield self.original


def searched(processes: Any, folder: Path) -> Suggestions:
    def place(name: str, device: str) -> Workplace:
        (folder / name).mkdir()
        return Workplace(folder / name)

    workshop: Any = SimpleNamespace(place=place, shown=str, withdraw=lambda place: None)
    nothing: Any = None
    around = Surroundings(processes, workshop, nothing, lambda progress: None, "a CPU")
    return Search("test_a.py::test_speed", TERMS, 60.0, around).run(["cpu"])


def test_a_lost_original_is_opened_once_more_and_everything_is_accounted_for(tmp_path: Path) -> None:
    processes = Processes("a", "b", "c", "d", deadly=("b", "c"))
    found = searched(processes, tmp_path)
    assert processes.opened.count("beside its variants") == OPENINGS == 2
    assert [one.name for one in found.rejected] == ["a", "b", "c", "d"]
    reasons = [one.reason for one in found.rejected]
    assert reasons[1] == "the original's process was lost beside it: the runner of b was killed"
    assert reasons[3] == "the original's process was lost: the runner of c was killed"
    assert "d" not in processes.opened


def test_a_model_that_cannot_be_converted_starts_no_process_for_each_converter(tmp_path: Path) -> None:
    @contextlib.contextmanager
    def opens(device: str, name: str) -> Iterator[Any]:
        def candidates() -> None:
            raise RunnerBroken("the original answers equal inputs differently")

        assert name == "asked for its variants"
        yield SimpleNamespace(candidates=candidates)

    found = searched(opens, tmp_path)
    assert (found.rejected, found.untried) == ((), ())
    assert [note.endswith("answers equal inputs differently") for note in found.notes] == [True]


@pytest.mark.parametrize("names", [(), ("a",)])
def test_an_original_that_nothing_is_to_be_tried_with_is_not_opened(names: tuple[str, ...], tmp_path: Path) -> None:
    processes = Processes(*names)
    searched(processes, tmp_path)
    assert ("beside its variants" in processes.opened) == bool(names)
