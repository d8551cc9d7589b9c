from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.baseline import CaseRecord, Location
from pytest_modelperf.domain.blame import Use, Uses
from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.profile import Operator, Profile
from pytest_modelperf.domain.results import Point
from pytest_modelperf.domain.verdict import Verdict
from pytest_modelperf.measuring.orders import Opened, Profiled, TakeProfile
from pytest_modelperf.plugin.examining.profiles import FEWEST_CALLS, MOST_CALLS, MOST_WARM, Profiles

NODEID = "tests/test_vision.py::test_resnet50"
PROFILE = Profile("torch 2", 3, 0.02, (Operator("aten::mm", 2, 0.01, 0.5), Operator("aten::sort", 1, 0.01, 0.5)))


def settings(folder: Path, *, profile: tuple[str, ...] | None = None, update: bool = False) -> Any:
    return SimpleNamespace(profile=profile, update=update, aside=folder / ".modelperf")


def point(seconds: float = 0.02, **axes: int) -> Point:
    return Point(axes, "cpu", figures={"latency.p50": Estimate(seconds, unit="s")})


@dataclass
class FakeBench:
    """Answers every order the same."""

    cases: tuple[dict[str, int], ...]
    said: Profiled
    orders: list[TakeProfile] = field(default_factory=list)

    @property
    def opened(self) -> Opened:
        return Opened("cpu", "net", self.cases, (1,) * len(self.cases), 0.1)

    def profile(self, order: TakeProfile) -> Profiled:
        self.orders.append(order)
        return self.said


def wanted(profiles: Profiles, points: Sequence[Point], *slower: str, passed: bool = True) -> tuple[str, ...]:
    return profiles.want(points, set(slower), {}, passed=passed)


def test_all_cases_are_looked_into_where_it_is_asked_or_a_baseline_is_written(tmp_path: Path) -> None:
    points = [point(batch=1), point(batch=2)]
    assert wanted(Profiles(NODEID, settings(tmp_path)), points) == ()
    assert wanted(Profiles(NODEID, settings(tmp_path)), points, "cpu batch=2") == ("cpu",)
    assert wanted(Profiles(NODEID, settings(tmp_path)), points, "cpu batch=2", passed=False) == ()
    assert wanted(Profiles(NODEID, settings(tmp_path, update=True)), points) == ("cpu",)
    assert wanted(Profiles(NODEID, settings(tmp_path, update=True)), points, passed=False) == ()
    assert wanted(Profiles(NODEID, settings(tmp_path, profile=())), points, passed=False) == ("cpu",)


def test_only_the_cases_that_are_wanted_are_taken(tmp_path: Path) -> None:
    profiles = Profiles(NODEID, settings(tmp_path))
    wanted(profiles, [point(batch=1), point(batch=2)], "cpu batch=2")
    bench = FakeBench(({"batch": 1}, {"batch": 2}), Profiled(PROFILE))
    profiles.take(bench)
    assert [order.case for order in bench.orders] == [1]
    assert profiles.now == {"cpu batch=2": PROFILE}


@pytest.mark.parametrize(
    ("seconds", "calls", "warm"), [(1e-6, MOST_CALLS, MOST_WARM), (0.1, 5, 5), (0.4, FEWEST_CALLS, 1), (5.0, 1, 1)]
)
def test_a_slow_model_is_called_less_often(tmp_path: Path, seconds: float, calls: int, warm: int) -> None:
    profiles = Profiles(NODEID, settings(tmp_path, profile=()))
    wanted(profiles, [point(seconds)])
    bench = FakeBench(({},), Profiled(PROFILE))
    profiles.take(bench)
    assert bench.orders == [TakeProfile(0, calls, warm)]


def test_timelines_are_kept_where_git_does_not_see_them(tmp_path: Path) -> None:
    profiles = Profiles(NODEID, settings(tmp_path, profile=()))
    wanted(profiles, [point(batch=8)])
    for side in ("", "main (3fa2b1c)"):
        profiles.take(FakeBench(({"batch": 8},), Profiled(PROFILE, b"[]")), side)
    folder = tmp_path / ".modelperf/profiles/tests/test_vision/test_resnet50"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cpu_batch=8.json.gz",
        "cpu_batch=8_at_main_3fa2b1c_.json.gz",
    ]
    assert gzip.decompress((folder / "cpu_batch=8.json.gz").read_bytes()) == b"[]"
    assert profiles.now["cpu batch=8"].trace == str(folder / "cpu_batch=8.json.gz")
    assert (tmp_path / ".modelperf/.gitignore").read_text() == "*\n"
    assert profiles.shown(profiles.now) == profiles.now


def test_what_is_made_for_a_baseline_alone_is_neither_shown_nor_kept(tmp_path: Path) -> None:
    profiles = Profiles(NODEID, settings(tmp_path, update=True))
    wanted(profiles, [point()])
    profiles.take(FakeBench(({},), Profiled(PROFILE, b"[]")))
    assert profiles.shown(profiles.now) == {}
    assert list(tmp_path.iterdir()) == []


def test_what_was_asked_for_and_could_not_be_is_said(tmp_path: Path) -> None:
    profiles = Profiles(NODEID, settings(tmp_path, profile=()))
    assert profiles.want([point(batch=1), point(batch=2)], set(), {"cpu": "torch: not there"}, passed=True) == ()
    assert profiles.notes() == ["not profiled: torch: not there"]
    profiles = Profiles(NODEID, settings(tmp_path, profile=()), isolated=False)
    assert profiles.notes()[0].startswith("not profiled: what is timed in the pytest process")
    profiles = Profiles(NODEID, settings(tmp_path, profile=()))
    wanted(profiles, [point()])
    profiles.give_up("the runner died")
    assert profiles.notes() == ["not profiled: the runner died"]


def accepted(profile: Uses | None) -> dict[str, CaseRecord]:
    return {"cpu": CaseRecord("EPYC x2", 40, Location(-4.5, 0.02), profile=profile)}


def test_a_slower_case_is_blamed_on_what_differs_from_its_newest_record(tmp_path: Path) -> None:
    profiles = Profiles(NODEID, settings(tmp_path))
    wanted(profiles, [point()], "cpu")
    profiles.take(FakeBench(({},), Profiled(PROFILE)))
    slower = Verdict(
        "slower",
        "cpu",
        Estimate(2.0, 1.9, 2.1),
        counters=("allocations", "parameters"),
        changed={"allocations": (100.0, 101.0), "parameters": (1.0, 2.0)},
    )
    then = Uses("torch 2", {"aten::mm": Use(2, 0.99)})
    found = profiles.blamed({"cpu": slower}, [point()], accepted(then))["cpu"].blame
    assert found is not None
    assert found.seconds == pytest.approx(0.01)
    assert [cause.what for cause in found.causes] == ["parameters 1 → 2 (+100.0%)", "`aten::sort` 0 → 1 call"]
    found = profiles.blamed({"cpu": slower}, [point()], accepted(None))["cpu"].blame
    assert found is not None
    assert found.rest == "it was not profiled before: the next --modelperf-update does"
    same = Verdict("same", "cpu", Estimate(1.0))
    assert profiles.blamed({"cpu": same}, [point()], accepted(then)) == {"cpu": same}


def test_a_drift_is_not_blamed_on_what_differs_from_the_last_run(tmp_path: Path) -> None:
    """Its seven calls more came with seven merges, and the last profile tells of one."""
    profiles = Profiles(NODEID, settings(tmp_path))
    wanted(profiles, [point()], "cpu")
    profiles.take(FakeBench(({},), Profiled(PROFILE)))
    changed = {"operators": (20.0, 28.0)}
    drifted = Verdict("slower", "cpu", Estimate(1.08), counters=("operators",), changed=changed, drifted=True)
    found = profiles.blamed({"cpu": drifted}, [point()], accepted(Uses("torch 2", {"aten::mm": Use(2, 0.99)})))
    blame = found["cpu"].blame
    assert blame is not None
    assert [cause.what for cause in blame.causes] == ["operators 20 → 28 (+40.0%)"]
    assert blame.rest.startswith("it came since the first accepted run of its window")


def test_a_slower_case_is_blamed_on_what_differs_from_the_other_side(tmp_path: Path) -> None:
    profiles = Profiles(NODEID, settings(tmp_path))
    wanted(profiles, [point()], "cpu")
    profiles.take(FakeBench(({},), Profiled(PROFILE)))
    before = Profile("torch 2", 3, 0.01, PROFILE.operators[:1])
    profiles.take(FakeBench(({},), Profiled(before)), "main (3fa2b1c)")
    slower = Verdict("slower", "cpu", Estimate(2.0, 1.9, 2.1), against="main (3fa2b1c)")
    found = profiles.blamed({"cpu": slower}, [point()], {})["cpu"].blame
    assert found is not None
    assert [cause.what for cause in found.causes][:1] == ["`aten::sort` 0 → 1 call"]


def test_a_slower_case_that_nobody_could_look_into_says_why(tmp_path: Path) -> None:
    profiles = Profiles(NODEID, settings(tmp_path))
    profiles.want([point()], {"cpu"}, {"cpu": "torch: it is not imported"}, passed=True)
    found = profiles.blamed({"cpu": Verdict("slower", "cpu", Estimate(2.0))}, [point()], {})["cpu"].blame
    assert found is not None
    assert (found.causes, found.rest) == ((), "not profiled: torch: it is not imported")
