from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.axes import Case
from pytest_modelperf.domain.variant import Candidate
from pytest_modelperf.errors import PeerLost
from pytest_modelperf.measuring.conduct import CaseLost
from pytest_modelperf.measuring.peer import Fate, Lost
from pytest_modelperf.plugin import entrants
from pytest_modelperf.plugin.entrants import Failed, enter, lost
from pytest_modelperf.plugin.remote import RunnerBroken
from pytest_modelperf.plugin.workshop import Workplace

CANDIDATE = Candidate("int8", "", ("int8",), 1.0)
NO_MEMORY = Fate("took 9.0 GiB of memory, where 8.0 GiB are free, and was killed", out_of_memory=True)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def entered(outcome: Exception | str, place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Failed:
    def convert(order: object, limits: object) -> str:
        if isinstance(outcome, str):
            return outcome
        raise outcome

    monkeypatch.setattr(entrants, "_limits", lambda bench, seconds: None)
    bench = SimpleNamespace(convert=convert, runner=SimpleNamespace(last_words=lambda: "its last words"))
    fresh: Any = SimpleNamespace(held=lambda: bench)
    with pytest.raises(Failed) as failed:
        enter(CANDIDATE, fresh, place, place.made, 10.0, beside=True)
    return failed.value


def test_a_process_that_ends_is_a_reason_and_its_last_words_are_in_the_log(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = entered(Lost("the runner", Fate("ended with exit code 7")), place, monkeypatch)
    assert (str(failed), failed.crowded) == ("its process ended with exit code 7", False)
    assert "its last words" in place.log.read_text()


def test_what_took_too_much_memory_may_have_it_alone(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = entered(Lost("the runner", NO_MEMORY), place, monkeypatch)
    assert str(failed).startswith("its process took 9.0 GiB of memory")
    assert failed.crowded


def test_what_had_too_little_time_might_do_with_more(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    hung = Fate("gave no answer for 12 s and was killed", remedy=entrants._LONGER)
    assert entered(Lost("the runner", hung), place, monkeypatch).late
    assert not entered(Lost("the runner", Fate("ended with exit code 7")), place, monkeypatch).late


def test_what_cannot_be_made_has_the_converters_own_reason(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = entered("the operator `fold` is not supported", place, monkeypatch)
    assert (str(failed), failed.crowded) == ("the operator `fold` is not supported", False)


def test_a_process_that_could_not_be_opened_beside_others_may_be_alone(place: Workplace) -> None:
    def held() -> None:
        raise RunnerBroken("the port is taken")

    fresh: Any = SimpleNamespace(held=held)
    with pytest.raises(Failed, match="the port is taken") as failed:
        enter(CANDIDATE, fresh, place, place.made, 10.0, beside=True)
    assert failed.value.crowded


def test_the_case_is_told_that_it_was_lost_at(place: Workplace) -> None:
    error = CaseLost(Lost("the runner", Fate("was killed")), Case("cpu", {"batch": 4}), "timing")
    assert str(lost(error, place)) == "its process was killed while it was measured at batch=4"
    assert not lost(PeerLost("gone"), place).crowded
