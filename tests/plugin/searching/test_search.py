"""The search where processes are lost, memory is short and time is: what becomes of the converters that are left."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.results import Point
from pytest_modelperf.domain.variant import Candidate, Rival, Suggestions, Variant
from pytest_modelperf.errors import PeerLost
from pytest_modelperf.judging.gain import Gain, Look
from pytest_modelperf.measuring.state import NoObserver
from pytest_modelperf.plugin.searching import allowance, entrants, search
from pytest_modelperf.plugin.searching.entrants import Entrant, Failed
from pytest_modelperf.plugin.searching.search import AT_ONCE, CONFIRMED, OPENINGS, Search, Surroundings
from pytest_modelperf.plugin.searching.workshop import Workplace
from pytest_modelperf.plugin.twins.messages import Terms
from pytest_modelperf.plugin.twins.remote import RunnerBroken


def asking_for(*converters: str) -> Terms:
    return Terms(("cpu",), {}, (), 0.1, False, 1.0, converters=converters)


class Named(list[Point]):
    """No points, of a variant of this name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@dataclass(eq=False)
class Tried:
    """An attempt as the script has it."""

    world: World
    candidate: Candidate
    fresh: Any
    place: Workplace
    folder: Path
    beside: bool

    def begin(self, seconds: float, at_once: int) -> object:
        self.world.at_once.append(at_once)
        self.seconds = seconds
        return object()

    def waiting(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def end(self) -> None:
        world, name = self.world, self.candidate.name
        world.now += world.converts
        if name in world.failing:
            raise Failed(world.failing[name])
        if name in world.slow or (name in world.slow_again and self.folder == self.place.again):
            world.now += self.seconds
            raise Failed(f"gave no answer for {self.seconds:g} s", late=True)
        if name in world.crowded and self.beside:
            raise Failed("it took all memory", crowded=True)

    def prove(self, seconds: float, rival: Rival | None) -> Entrant:
        world, candidate = self.world, self.candidate
        world.rivals[candidate.name] = rival
        options = {"threads": 1} if candidate.name in world.changing and self.folder == self.place.again else {}
        variant = Variant(candidate.name, "", "cpu", (), "float32", "", 0.0, 0.0, options=options)
        return Entrant(candidate, variant, world.ready(self.fresh), self.place, world.converts, self.beside)


@dataclass
class World:
    """Processes, conversions and heats as a script has them; a clock that they move on."""

    speedups: dict[str, float]
    # Conversions that fail: always, and beside others alone.
    failing: dict[str, str] = field(default_factory=dict)
    crowded: tuple[str, ...] = ()
    # Those that take longer than they are given: always, and when they are made once more.
    slow: tuple[str, ...] = ()
    slow_again: tuple[str, ...] = ()
    # Those that have other settings when they are made once more.
    changing: tuple[str, ...] = ()
    # Those whose folder cannot be written; and those of which no process can be started beside others, or at all.
    unwritable: tuple[str, ...] = ()
    unstarted: tuple[str, ...] = ()
    # In a heat with these the original's process is lost.
    deadly: tuple[str, ...] = ()
    starts: float = 1.0
    converts: float = 1.0
    now: float = 0.0
    opened: list[tuple[str, ...]] = field(default_factory=list)
    heats: list[tuple[str, ...]] = field(default_factory=list)
    processors: int = 1
    at_once: list[int] = field(default_factory=list)
    rivals: dict[str, Rival | None] = field(default_factory=dict)
    # How far off answers may be, by name; 1 of others.
    permitted: dict[str, float] = field(default_factory=dict)
    # By name that of the one which gains about as much.
    kin: dict[str, str] = field(default_factory=dict)
    waiting: int = 0
    most_waiting: int = 0

    def opens(self, device: str, names: Sequence[str]) -> list[Any]:
        if set(names) & set(self.unstarted):
            raise OSError(24, "Too many open files")
        self.opened.append(tuple(names))
        self.now += self.starts * len(names)
        self.waiting += len(names)
        self.most_waiting = max(self.most_waiting, self.waiting)
        candidates = tuple(
            Candidate(name, "", (name,), 1.0, permitted=self.permitted.get(name, 1.0), kin=self.kin.get(name, ""))
            for name in self.speedups
        )
        return [
            SimpleNamespace(held=lambda: SimpleNamespace(candidates=lambda: candidates), close=self.end) for _ in names
        ]

    def end(self) -> None:
        self.waiting -= 1

    def ready(self, bench: object) -> Any:
        opened = SimpleNamespace(device="cpu", hardware="", cases=({"batch": 1},), free_bytes=None, held_bytes=None)
        return SimpleNamespace(opened=opened, held_bytes=1, warm_up=lambda: None, call_seconds=lambda axes: 6.0)

    def attempt(self, candidate: Candidate, fresh: Any, place: Workplace, folder: Path, *, beside: bool) -> Any:
        return Tried(self, candidate, fresh, place, folder, beside)

    def looks(
        self,
        course: object,
        entrants: Sequence[Entrant],
        original: object,
        seconds: float,
        fail: object,
        number: int = 0,
    ) -> list[tuple[Entrant, Look]]:
        names = tuple(one.candidate.name for one in entrants)
        self.heats.append(names)
        self.now += seconds * len(names)
        if set(names) & set(self.deadly):
            raise PeerLost("the runner of the original was killed")
        return [(one, (Named(one.candidate.name), [])) for one in entrants]

    def gain(self, looks: Sequence[Any], hardware: str) -> Gain:
        times = self.speedups[looks[0][0].name]
        return Gain(Estimate(times, times * 0.98, times * 1.02), {"cpu batch=1": Estimate(times, times, times)})


def searched(
    world: World,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float = 300.0,
    names: Sequence[str] = ("auto",),
) -> Suggestions:
    def place(name: str, device: str) -> Workplace:
        if name in world.unwritable:
            raise OSError(30, "Read-only file system", str(folder / name))
        (folder / name).mkdir(exist_ok=True)
        return Workplace(folder / name)

    clock = SimpleNamespace(monotonic=lambda: world.now)
    for module in (search, allowance):
        monkeypatch.setattr(module, "time", clock)
    given = {"Ready": world.ready, "Attempt": world.attempt, "looks": world.looks, "gain": world.gain}
    monkeypatch.setattr(search, "cpu_count", lambda: world.processors)
    monkeypatch.setattr(entrants, "first", lambda watches: watches[0])
    for name, value in {**given, "paced": lambda entrants, original, fail: entrants}.items():
        monkeypatch.setattr(search, name, value)
    nothing = {"withdraw": lambda place: None, "publish": lambda place, one: "", "command": lambda name: ""}
    workshop: Any = SimpleNamespace(place=place, shown=str, **nothing)
    around = Surroundings(world.opens, workshop, NoObserver, lambda progress: None, "a CPU")
    found = Search("test_a.py::test_speed", asking_for(*names), seconds, around).run(["cpu"])
    assert world.waiting == 0
    return found


def suggested(found: Suggestions) -> dict[str, bool]:
    """By name, whether it was seen in one pair of processes alone."""
    return {one.variant.name: one.once for one in found.suggestions}


def test_several_are_started_side_by_side_and_share_a_heat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"variant-{number}" for number in range(6)]
    world = World(dict.fromkeys(names, 2.0))
    found = searched(world, tmp_path, monkeypatch)
    assert world.opened[:2] == [("asked for its variants", "beside its variants"), tuple(names[:AT_ONCE])]
    assert tuple(names[:AT_ONCE]) in world.heats
    # And the original.
    assert world.most_waiting == AT_ONCE + 1
    assert suggested(found) == dict.fromkeys(names, False)


def test_as_many_are_made_at_once_as_there_are_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dict.fromkeys("abcde", 2.0), processors=3)
    searched(world, tmp_path, monkeypatch)
    # Of four that are started, and of the fifth; then of three and of two once more.
    assert world.at_once == [*[3] * 4, 1, *[3] * 3, 2, 2]


def test_the_rival_is_the_fastest_that_is_no_less_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speedups = {"exact": 1.5, "coarse": 3.0, "b": 2.0, "c": 2.0, "exact too": 1.0, "coarse too": 1.0}
    world = World(speedups, permitted={"exact": 0.1, "exact too": 0.1})
    searched(world, tmp_path, monkeypatch)
    assert (world.rivals["exact too"], world.rivals["coarse too"]) == (Rival("exact", 4.0), Rival("coarse", 2.0))


KIN = {"compiled again": "compiled", "compiled in half": "compiled"}
COMPILED = {"compiled": 1.0, "a": 2.0, **dict.fromkeys(KIN, 2.0)}


def test_what_gains_as_much_as_one_that_is_too_slow_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(COMPILED, kin=KIN)
    found = searched(world, tmp_path, monkeypatch)
    assert {one.name: one.tried for one in found.rejected} == {"compiled": True, **dict.fromkeys(KIN, False)}
    assert "compiled, which gains about as much, was too slow" in found.rejected[-1].reason
    assert not any(name in opened for name in KIN for opened in world.opened)


@pytest.mark.parametrize(
    ("speedups", "failing"), [({"compiled": 1.5}, {}), ({}, {"compiled": "its process ended with exit code 7"})]
)
def test_what_has_kin_is_tried_after_it_unless_that_is_too_slow(
    speedups: dict[str, float], failing: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({**COMPILED, **speedups}, failing, kin=KIN)
    found = searched(world, tmp_path, monkeypatch)
    assert world.opened[1:3] == [("compiled", "a"), tuple(KIN)]
    assert set(KIN) <= set(suggested(found))


def test_what_the_user_names_is_tried_whatever_became_of_its_kin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = searched(World(COMPILED, kin=KIN), tmp_path, monkeypatch, names=tuple(COMPILED))
    assert set(KIN) <= set(suggested(found))


def test_one_that_fails_is_rejected_and_those_beside_it_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {"crashes": "its process ended with exit code 7", "hangs": "its process gave no answer for 4 s"}
    world = World({"a": 2.0, "crashes": 2.0, "hangs": 2.0, "b": 1.5}, failing)
    found = searched(world, tmp_path, monkeypatch)
    assert {one.name: one.reason for one in found.rejected} == failing
    assert list(suggested(found)) == ["a", "b"]
    assert world.heats[0] == ("a", "b")


def test_what_has_no_memory_beside_others_is_tried_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": 2.0, "large": 3.0, "b": 1.5}, crowded=("large",))
    found = searched(world, tmp_path, monkeypatch)
    assert ("large",) in world.opened
    assert world.heats[0] == ("a", "b")
    assert ("large",) in world.heats
    # Beside others once more it has no memory either: what was seen at first stands.
    assert suggested(found) == {"large": True, "a": False, "b": False}
    assert not found.rejected


def test_little_memory_starts_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": 2.0, "b": 2.0})
    monkeypatch.setattr(search, "available_bytes", lambda: 4)
    searched(world, tmp_path, monkeypatch)
    assert world.opened[1:3] == [("a",), ("b",)]


def test_those_beside_which_the_original_was_lost_are_tried_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({"a": 2.0, "deadly": 2.0, "b": 1.5}, deadly=("deadly",))
    found = searched(world, tmp_path, monkeypatch)
    lost = "the original's process was lost beside it: the runner of the original was killed"
    assert {one.name: one.reason for one in found.rejected} == {"deadly": lost}
    assert suggested(found) == {"a": False, "b": False}
    assert sum("beside its variants" in names for names in world.opened) == OPENINGS


def test_an_original_that_is_lost_again_and_again_is_opened_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(dict.fromkeys("abcdefgh", 2.0), deadly=tuple("abcdefgh"))
    found = searched(world, tmp_path, monkeypatch)
    assert sum("beside its variants" in names for names in world.opened) == OPENINGS
    assert sorted(one.name for one in found.rejected) == list("abcdefgh")
    assert all("the original's process was lost" in one.reason for one in found.rejected)


def test_where_nothing_can_be_written_no_process_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple("abcdef")
    world = World(dict.fromkeys(names, 2.0), unwritable=names)
    found = searched(world, tmp_path, monkeypatch)
    assert len(world.opened) == 1
    reasons = {one.name: one.reason for one in found.rejected}
    assert set(reasons) == set(names)
    assert reasons["a"] == (
        f"nothing can be written to {tmp_path / 'a'}: Read-only file system; try it where there is room, and rights to "
        "write"
    )


def test_one_that_can_be_written_nowhere_leaves_the_others_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = searched(World(dict.fromkeys("abc", 2.0), unwritable=("b",)), tmp_path, monkeypatch)
    assert ([one.name for one in found.rejected], sorted(suggested(found))) == (["b"], ["a", "c"])


def test_none_is_forgotten_where_no_process_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dict.fromkeys("abcdef", 2.0), unstarted=("b",))
    found = searched(world, tmp_path, monkeypatch)
    told = {one.name: one.reason for one in found.rejected}
    assert {*told, *suggested(found), *found.untried} == set("abcdef")
    assert told["b"] == "no more could be started: [Errno 24] Too many open files"


def test_a_model_that_cannot_be_converted_starts_no_process_for_each_converter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({"a": 2.0})

    def opens(device: str, names: Sequence[str]) -> list[Any]:
        def candidates() -> None:
            raise RunnerBroken("the original answers equal inputs differently")

        assert "asked for its variants" in names
        return [SimpleNamespace(held=lambda: SimpleNamespace(candidates=candidates), close=lambda: None) for _ in names]

    monkeypatch.setattr(world, "opens", opens)
    found = searched(world, tmp_path, monkeypatch)
    assert (found.rejected, found.untried) == ((), ())
    assert [note.endswith("answers equal inputs differently") for note in found.notes] == [True]


def test_where_nothing_applies_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({})
    assert searched(world, tmp_path, monkeypatch).suggestions == ()
    assert len(world.opened) == 1


def test_where_time_is_tight_the_best_are_looked_at_once_more_and_others_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"variant-{number:02}" for number in range(30)]
    speedups = {name: 1.2 + number % 7 for number, name in enumerate(names)}
    world = World(speedups, starts=4.0, converts=6.0)
    found = searched(world, tmp_path, monkeypatch)
    assert found.untried
    assert len(found.suggestions) + len(found.untried) == len(names)
    best = [one.once for one in found.suggestions[:CONFIRMED]]
    assert best == [False] * CONFIRMED
    assert any(one.once for one in found.suggestions)
    assert world.now <= 300.0


def test_where_there_is_time_all_suggestions_are_looked_at_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({f"variant-{number}": 2.0 for number in range(9)})
    assert not any(suggested(searched(world, tmp_path, monkeypatch)).values())


def test_what_the_end_of_the_time_cuts_off_is_not_taken_for_one_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({"hangs": 2.0, "a": 2.0, "late": 2.0}, slow=("hangs", "late"), converts=60.0)
    found = searched(world, tmp_path, monkeypatch)
    assert [one.name for one in found.rejected] == ["hangs"]
    assert found.untried == ("late",)
    assert "a" in suggested(found)


@pytest.mark.parametrize("seconds", [60.0, 300.0])
def test_what_the_end_of_the_time_cuts_off_when_it_is_made_once_more_is_suggested_by_its_first_look(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({"a": 3.0, "late": 2.0}, slow_again=("late",), converts=10.0)
    found = searched(world, tmp_path, monkeypatch, seconds)
    assert ("beside its variants again", "a again", "late again") in world.opened
    # Where it had all the time that a conversion may take it hangs.
    assert suggested(found) == ({"a": False, "late": True} if seconds == 60.0 else {"a": False})
    assert [one.name for one in found.rejected] == ([] if seconds == 60.0 else ["late"])


def test_what_has_other_settings_when_it_is_made_once_more_is_suggested_by_its_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World({"a": 3.0, "other": 2.0}, changing=("other",))
    assert suggested(searched(world, tmp_path, monkeypatch)) == {"a": False, "other": True}
