"""A heat where one of several is lost, fails, or has no chance; benches are played by scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.variant import Candidate
from pytest_modelperf.errors import PeerLost
from pytest_modelperf.measuring.orders import Block, Opened, Prepare, Prepared, Samples
from pytest_modelperf.measuring.peer import Fate, Lost
from pytest_modelperf.measuring.state import NoObserver
from pytest_modelperf.plugin.searching.entrants import Entrant, Failed
from pytest_modelperf.plugin.searching.heat import HOPELESS, Course, looks, paced
from pytest_modelperf.plugin.searching.ready import Ready
from pytest_modelperf.plugin.searching.workshop import Workplace
from pytest_modelperf.plugin.twins.messages import Terms

TERMS = Terms(("cpu",), {}, (), 0.1, False, 1.0, converters=("auto",))
COURSE = Course("test_a.py::test_speed", TERMS, NoObserver, lambda progress: None)
CASES: tuple[Mapping[str, int], ...] = ({"batch": 1}, {"batch": 4})


class Played:
    """A bench in another process whose calls take so many seconds; after `blocks` of them its process is lost."""

    def __init__(self, seconds: float, *, blocks: int = 1000, status: str = "ok", first: float = 0.0) -> None:
        self.opened = Opened("cpu", "a model", CASES, (1, 4), 0.0)
        self.runner = SimpleNamespace(peer=SimpleNamespace(alive=True), name="the runner")
        self._seconds, self._blocks, self._status, self._first = seconds, blocks, status, first
        self.prepared: list[Prepare] = []

    def prepare(self, order: Prepare) -> Prepared:
        self.prepared.append(order)
        status: Any = self._status if order.case else "ok"
        if order.step == "call" and self._first:
            seconds, self._first = self._first, 0.0
            return Prepared("ok", call_seconds=seconds)
        return Prepared(status, "" if status == "ok" else "too large", call_seconds=self._seconds * (order.case + 1))

    def block(self, order: Block) -> Samples:
        self._blocks -= 1
        if self._blocks < 0:
            self.runner.peer.alive = False
            raise Lost("the runner", Fate("was killed by signal 11 (SIGSEGV)"))
        return Samples((round(self._seconds * (order.case + 1) * 1e9),) * order.calls)

    def resume(self) -> None: ...
    def pause(self) -> None: ...


class Failures(dict[str, Failed]):
    def __call__(self, entrant: Entrant, failed: Failed) -> None:
        self[entrant.candidate.name] = failed


def entrant(name: str, bench: Played, folder: Path, *, beside: bool = True) -> Entrant:
    variant: Any = SimpleNamespace(name=name, device="cpu")
    place = Workplace(folder / name)
    place.folder.mkdir()
    played: Any = bench
    return Entrant(Candidate(name, "", (name,), 1.0), variant, Ready(played), place, 1.0, beside)


def ready(bench: Any) -> Ready:
    return Ready(bench)


def test_each_takes_turns_with_one_original(tmp_path: Path) -> None:
    original, failures = Played(0.02), Failures()
    entrants = [entrant("a", Played(0.01), tmp_path), entrant("b", Played(0.005), tmp_path)]
    found = looks(COURSE, entrants, ready(original), 0.2, failures)
    assert [one.candidate.name for one, _ in found] == ["a", "b"]
    (_, (mine, theirs)), (_, (others, same)) = found
    assert [point.figures["latency.p50"] for point in mine] == [pytest.approx(0.01), pytest.approx(0.02)]
    assert [point.figures["latency.p50"] for point in others] == [pytest.approx(0.005), pytest.approx(0.01)]
    assert theirs is same
    assert not failures


def test_of_one_that_is_lost_its_reason_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    original, failures, other = Played(0.02), Failures(), Played(0.01)
    entrants = [entrant("lost", Played(0.01, blocks=3), tmp_path), entrant("stays", other, tmp_path)]
    found = looks(COURSE, entrants, ready(original), 0.2, failures)
    assert [one.candidate.name for one, _ in found] == ["stays"]
    assert str(
        failures["lost"]
    ) == "its process was killed by signal 11 (SIGSEGV) while it was measured at batch=1" or (
        "while it was measured at batch=4" in str(failures["lost"])
    )
    assert "SIGSEGV" in (tmp_path / "lost/log.txt").read_text()
    # What was warm stays so.
    assert len(other.prepared) == len(original.prepared) == len(CASES)


def test_a_lost_original_ends_the_heat(tmp_path: Path) -> None:
    failures = Failures()
    with pytest.raises(PeerLost):
        looks(COURSE, [entrant("a", Played(0.01), tmp_path)], ready(Played(0.02, blocks=3)), 0.2, failures)
    assert not failures


@pytest.mark.parametrize("beside", [True, False])
def test_what_has_no_room_beside_others_may_have_it_alone(beside: bool, tmp_path: Path) -> None:
    failures = Failures()
    one = entrant("large", Played(0.01, status="out of memory"), tmp_path, beside=beside)
    found = looks(COURSE, [one], ready(Played(0.02)), 0.2, failures)
    assert bool(found) == (not beside)
    assert [failed.crowded for failed in failures.values()] == ([True] if beside else [])


def test_what_is_many_times_slower_is_neither_warmed_up_nor_timed(tmp_path: Path) -> None:
    bench, original, failures = Played(1.1 * HOPELESS * 0.02), ready(Played(0.02)), Failures()
    original.warm_up()
    slow, fair = entrant("slow", bench, tmp_path), entrant("fair", Played(0.9 * HOPELESS * 0.02), tmp_path)
    assert paced([slow, fair], original, failures) == [fair]
    assert str(failures["slow"]) == "not faster: a single call takes 4.4 times as long"
    assert {order.step for order in bench.prepared} == {"admit", "call"}


def test_what_compiles_itself_in_its_first_calls_is_not_taken_for_slow(tmp_path: Path) -> None:
    original, failures = ready(Played(0.02)), Failures()
    original.warm_up()
    one = entrant("compiles", Played(0.01, first=9.0), tmp_path)
    assert paced([one], original, failures) == [one]
    assert not failures
