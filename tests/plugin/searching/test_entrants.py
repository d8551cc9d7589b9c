from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.axes import Case
from pytest_modelperf.domain.variant import Candidate
from pytest_modelperf.errors import PeerLost
from pytest_modelperf.measuring.conduct import CaseLost
from pytest_modelperf.measuring.orders import Unable
from pytest_modelperf.measuring.peer import Fate, Lost
from pytest_modelperf.plugin.searching import entrants
from pytest_modelperf.plugin.searching.entrants import Attempt, Failed, lost, make
from pytest_modelperf.plugin.searching.workshop import Workplace
from pytest_modelperf.plugin.twins.remote import RunnerBroken

CANDIDATE = Candidate("int8", "", ("int8",), 1.0)
NO_MEMORY = Fate("took 9.0 GiB of memory, where 8.0 GiB are free, and was killed", out_of_memory=True)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


class Played:
    """A bench in another process: what comes of its conversion, and of its proof, by the script."""

    def __init__(self, outcome: Exception | str = "", proof: Exception | Unable | str = "") -> None:
        self._outcome, self._proof = outcome, proof
        self.runner = SimpleNamespace(last_words=lambda: "its last words")

    def convert(self, order: object, limits: object) -> object:
        return self

    def converted(self) -> str:
        return said(self._outcome)

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def extend(self, seconds: float) -> None: ...

    def prove(self, order: object, limits: object) -> Unable | str:
        return self._proof if isinstance(self._proof, Unable) else said(self._proof)


def said(outcome: Exception | str) -> str:
    if isinstance(outcome, str):
        return outcome
    raise outcome


def attempt(bench: Any, place: Workplace, candidate: Candidate = CANDIDATE) -> Attempt:
    fresh: Any = SimpleNamespace(held=lambda: bench)
    return Attempt(candidate, fresh, place, place.made, beside=True)


@pytest.fixture(autouse=True)
def _plays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrants, "_limits", lambda bench, seconds, share: None)
    monkeypatch.setattr(entrants, "first", lambda watches: watches[0])


def entered(outcome: Exception | str, place: Workplace) -> Failed:
    one = attempt(Played(outcome), place)
    one.begin(10.0, 2)
    with pytest.raises(Failed) as failed:
        one.end()
    return failed.value


def test_a_process_that_ends_is_a_reason_and_its_last_words_are_in_the_log(place: Workplace) -> None:
    failed = entered(Lost("the runner", Fate("ended with exit code 7")), place)
    assert (str(failed), failed.crowded) == ("its process ended with exit code 7", False)
    assert "its last words" in place.log.read_text()


def test_what_took_too_much_memory_may_have_it_alone(place: Workplace) -> None:
    failed = entered(Lost("the runner", NO_MEMORY), place)
    assert str(failed).startswith("its process took 9.0 GiB of memory")
    assert failed.crowded


def test_what_had_too_little_time_might_do_with_more(place: Workplace) -> None:
    hung = Fate("gave no answer for 12 s and was killed", remedy=entrants._LONGER)
    assert entered(Lost("the runner", hung), place).late
    assert not entered(Lost("the runner", Fate("ended with exit code 7")), place).late


def test_what_cannot_be_made_has_the_converters_own_reason(place: Workplace) -> None:
    failed = entered("the operator `fold` is not supported", place)
    assert (str(failed), failed.crowded) == ("the operator `fold` is not supported", False)


def test_a_process_that_could_not_be_opened_beside_others_may_be_alone(place: Workplace) -> None:
    def held() -> None:
        raise RunnerBroken("the port is taken")

    fresh: Any = SimpleNamespace(held=held)
    with pytest.raises(Failed, match="the port is taken") as failed:
        Attempt(CANDIDATE, fresh, place, place.made, beside=True).begin(10.0, 2)
    assert failed.value.crowded


def test_the_case_is_told_that_it_was_lost_at(place: Workplace) -> None:
    error = CaseLost(Lost("the runner", Fate("was killed")), Case("cpu", {"batch": 4}), "timing")
    assert str(lost(error, place)) == "its process was killed while it was measured at batch=4"
    assert not lost(PeerLost("gone"), place).crowded


@pytest.mark.parametrize("slow", [False, True])
def test_what_is_wrong_has_the_reason_of_its_proof(place: Workplace, slow: bool) -> None:
    one = attempt(Played(proof=Unable("output 'y' is wrong", slow=slow)), place)
    one.begin(10.0, 2)
    one.end()
    with pytest.raises(Failed, match="output 'y' is wrong") as raised:
        one.prove(10.0, None)
    assert raised.value.slow == slow


def begun(candidates: list[Candidate], at_once: int, folder: Path, failing: str = "") -> tuple[list[str], list[str]]:
    """In which order they begin and end, and which are made."""
    events: list[str] = []
    # Those that are at work are stopped while another asks the original.
    stopped: list[str] = []

    class Noted(Played):
        def __init__(self, name: str) -> None:
            super().__init__("it cannot be" if name == failing else "")
            self.name = name

        def pause(self) -> None:
            stopped.append(self.name)

        def resume(self) -> None:
            stopped.remove(self.name)

        def converted(self) -> str:
            assert not stopped
            events.append(f"-{self.name}")
            return super().converted()

    def begin(one: Attempt) -> Any:
        assert len(stopped) == sum(name[0] == "+" for name in events) - sum(name[0] == "-" for name in events)
        events.append(f"+{one.candidate.name}")
        return one.begin(10.0, at_once)

    attempts = [attempt(Noted(one.name), Workplace(folder), one) for one in candidates]
    made = make(attempts, at_once, begin, lambda one, failed: events.append(f"!{one.candidate.name}"))
    return events, [one.candidate.name for one in made]


def plain(name: str, *steps: str, alone: bool = False) -> Candidate:
    return Candidate(name, "", (*steps, name), 1.0, alone=alone)


def test_as_many_are_made_at_once_as_are_told(tmp_path: Path) -> None:
    three = [plain("a"), plain("b"), plain("c")]
    assert begun(three, 2, tmp_path) == (["+a", "+b", "-a", "+c", "-b", "-c"], ["a", "b", "c"])
    assert begun(three, 1, tmp_path)[0] == ["+a", "-a", "+b", "-b", "+c", "-c"]
    assert begun(three, 2, tmp_path, "b") == (["+a", "+b", "-a", "+c", "-b", "!b", "-c"], ["a", "c"])


def test_what_begins_with_the_same_export_waits_for_it(tmp_path: Path) -> None:
    some = [plain("a", "export"), plain("b", "export"), plain("c"), plain("d", "export")]
    assert begun(some, 2, tmp_path)[0] == ["+a", "+c", "-a", "+b", "-c", "+d", "-b", "-d"]
    # Where it failed another tries.
    assert begun(some[:2], 2, tmp_path, "a")[0] == ["+a", "-a", "!a", "+b", "-b"]


def test_what_times_while_it_is_made_is_made_alone(tmp_path: Path) -> None:
    some = [plain("a"), plain("times", alone=True), plain("b")]
    assert begun(some, 2, tmp_path)[0] == ["+a", "+b", "-a", "-b", "+times", "-times"]
