from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.plugin.twins import runners as module
from pytest_modelperf.plugin.twins.remote import RunnerBroken
from pytest_modelperf.plugin.twins.runners import Runners

PATH = Path("test_model.py")
LABELS = [f"on cpu, {number}" for number in range(8)]


class FakeRunner:
    """Ends only when as many are ending as there are labels."""

    together = threading.Barrier(len(LABELS))

    path, tree, has_died = PATH, None, False

    def __init__(self, *given: object, seed: int) -> None:
        self.seed = seed
        self.log: list[str] = []

    def obituary(self) -> RunnerBroken:
        return RunnerBroken("it was killed", "ouch")

    def close(self, *, at_once: bool = False) -> None:
        self.log.append("closed at once" if at_once else "closed")
        self.together.wait(60)

    def kill(self) -> None:
        self.log.append("killed")


@pytest.fixture
def made() -> list[FakeRunner]:
    return []


@pytest.fixture
def runners(made: list[FakeRunner]) -> Iterator[Runners]:
    def make(*given: object, **named: Any) -> Any:
        made.append(FakeRunner(*given, **named))
        return made[-1]

    config: Any = None
    runners = Runners(config, 1.0, 3, make)
    for label in LABELS:
        runners.begin(PATH, label)
    yield runners
    runners.kill()


def test_runners_end_side_by_side_in_threads_each_once(runners: Runners, made: list[FakeRunner]) -> None:
    def end(label: str) -> None:
        runners.end(PATH, label, at_once=True)
        runners.kill_one(PATH, label)

    with ThreadPoolExecutor(len(LABELS)) as pool:
        list(pool.map(end, LABELS))
    runners.kill()
    assert [one.log for one in made] == [["closed at once"]] * len(LABELS)


def test_who_is_killed_is_not_there_any_more(runners: Runners, made: list[FakeRunner]) -> None:
    runners.kill_one(PATH, LABELS[0])
    runners.kill_one(PATH, LABELS[0])
    runners.begin(PATH, LABELS[0])
    runners.kill()
    assert [one.log for one in made] == [["killed"]] * (len(LABELS) + 1)


def test_one_that_has_died_is_told_of_and_replaced(
    runners: Runners, made: list[FakeRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(module, "warn_of_runner", lambda config, path, text: told.append(text))
    dead: Any = runners.begin(PATH, "")
    assert runners.has(PATH)
    dead.has_died = True
    assert not runners.has(PATH)
    new: Any = runners.begin(PATH, "")
    assert new is made[-1]
    assert new is not dead
    assert (dead.log, told) == (["killed"], ["it was killed\nthe last lines of its output:\nouch"])


def test_what_is_compared_has_one_seed(runners: Runners, made: list[FakeRunner]) -> None:
    for label, attempt in (("now", "pair 2"), ("then", "pair 2"), ("now, again", "pair 3")):
        runners.begin(PATH, label, attempt=attempt)
    runners.begin(Path("test_other.py"))
    first, *_, now, then, again, other = (one.seed for one in made)
    assert {one.seed for one in made[: len(LABELS)]} == {first}
    assert now == then
    assert len({first, now, again, other}) == 4
