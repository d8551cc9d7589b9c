"""Which cases of a test are looked into, and what becomes of what is seen: profiles, and files with timelines."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Protocol

import pytest

from ...baselines.paths import baseline_path
from ...domain.axes import Case
from ...domain.baseline import CaseRecord
from ...domain.blame import Blame, Uses
from ...domain.profile import Profile
from ...domain.results import Point
from ...domain.verdict import Verdict
from ...judging.blame import blame, explaining, of_counters, uses
from ...measuring.orders import Opened, Profiled, TakeProfile
from ...profiling.protocol import Source
from ...profiling.registry import Sources, chosen
from .. import aside
from ..settings import Settings
from ..stash import SETTINGS

# The time that is looked at of a case: a share of 1% of a call of 5 ms is then known from a hundred such stretches.
PROFILE_SECONDS = 0.5
FEWEST_CALLS, MOST_CALLS = 3, 20
# Calls before those that count: lazy set-up, caches and thread pools of a fresh process.
MOST_WARM = 10
_IN_STEPS = (
    "it came since the first accepted run of its window, and only of the last one a profile is kept: "
    "--modelperf-against=REF, a commit of that time, tells the operators"
)
_IN_PLACE = "what is timed in the pytest process after it would be slower; leave out --modelperf-isolate=no"


class ProfiledBench(Protocol):
    """A bench in a process of its own, in which nothing is timed afterwards."""

    @property
    def opened(self) -> Opened: ...
    def profile(self, order: TakeProfile) -> Profiled: ...


class Profiles:
    """What is seen of the cases of one test: `now`, and in the other tree `then`, by `Case.key`.

    `untaken` are the reasons of those that were asked for and could not be.
    """

    def __init__(self, nodeid: str, settings: Settings, *, isolated: bool = True) -> None:
        self._nodeid, self._settings, self._isolated = nodeid, settings, isolated
        self._seconds: dict[str, float] = {}
        self.now: dict[str, Profile] = {}
        self.then: dict[str, Profile] = {}
        self.untaken: dict[str, str] = {}

    def want(
        self, points: Iterable[Point], slower: Set[str], unable: Mapping[str, str], *, passed: bool
    ) -> tuple[str, ...]:
        """Settle which cases are looked into, of those that ran; gives their devices.

        All of them where the user asks for it or a baseline is to be written, else those that are `slower`; nothing is
        accepted of a test whose body has not `passed`, nor compared. `unable` are the devices where nothing can look
        in, each with the reason.
        """
        every = self._settings.profile is not None or (self._settings.update and passed)
        found = [point for point in points if point.ok and (every or (passed and point.case.key in slower))]
        self.untaken = {one.case.key: unable[one.device] for one in found if one.device in unable}
        able = [point for point in found if point.device not in unable and "latency.p50" in point.figures]
        self._seconds = {point.case.key: float(point.figures["latency.p50"]) for point in able}
        return tuple(dict.fromkeys(point.device for point in able))

    def take(self, bench: ProfiledBench, side: str = "") -> None:
        """Have its process look into the cases that are wanted; `side` names the other tree, "" for the user's."""
        for index, axes in enumerate(bench.opened.cases):
            key = Case(bench.opened.device, axes).key
            if key in self._seconds:
                said = bench.profile(_order(index, self._seconds[key]))
                if said.profile is None:
                    self.untaken[key] = said.reason
                else:
                    kept = dataclasses.replace(said.profile, trace=self._keep(said.trace, key, side))
                    (self.then if side else self.now)[key] = kept

    def give_up(self, reason: str) -> None:
        """Those that are not taken will not be."""
        self.untaken |= {key: reason for key in self._seconds if key not in self.now}

    def blamed(
        self, verdicts: Mapping[str, Verdict], points: Iterable[Point], accepted: Mapping[str, CaseRecord]
    ) -> dict[str, Verdict]:
        """The verdicts, those of slower cases with what explains them; `accepted` are the records of before."""
        then = {case: record.profile for case, record in accepted.items()}
        then |= {case: uses(profile) for case, profile in self.then.items()}
        medians = {point.case.key: point.figures.get("latency.p50", 0.0) for point in points}
        return {
            case: dataclasses.replace(verdict, blame=self._blame(verdict, then.get(case), medians[case]))
            if verdict.word == "slower"
            else verdict
            for case, verdict in verdicts.items()
        }

    def _blame(self, verdict: Verdict, then: Uses | None, after_s: float) -> Blame:
        before_s = after_s / verdict.change if verdict.change else after_s
        judged = {name: sides for name, sides in verdict.changed.items() if name in verdict.counters}
        counters = {name: judged[name] for name in explaining(judged, verdict.change or 1.0)}
        now = self.now.get(verdict.case)
        if verdict.drifted:
            return Blame(after_s - before_s, of_counters(counters), _IN_STEPS)
        if now is not None and then is not None:
            return blame(then, uses(now), before_s, after_s, counters, now.places)
        if now is not None:
            rest = "it was not profiled before: the next --modelperf-update does"
        else:
            rest = f"not profiled: {self.untaken.get(verdict.case, '' if self._isolated else _IN_PLACE)}"
        return Blame(after_s - before_s, of_counters(counters), rest)

    def notes(self) -> list[str]:
        """What there is to say of profiles that the user asked for and does not get."""
        if self._settings.profile is None:
            return []
        reasons = self.untaken if self._isolated else {"": _IN_PLACE}
        return [f"not profiled: {reason}" for reason in dict.fromkeys(reasons.values())]

    def shown(self, profiles: Mapping[str, Profile]) -> Mapping[str, Profile]:
        """Those that somebody wants to look at: none that was made for a baseline alone."""
        return {} if self._unasked else profiles

    @property
    def _unasked(self) -> bool:
        return self._settings.update and self._settings.profile is None

    def _keep(self, trace: bytes, case: str, side: str) -> str:
        """Write a timeline into a file of its own; gives its path, "" where there is none or it cannot be written."""
        if not trace or self._unasked:
            return ""
        folder = baseline_path(self._settings.aside, "profiles", self._nodeid).with_suffix("")
        name = aside.file_name(f"{case} at {side}" if side else case)
        path = folder / f"{name}.json.gz"
        try:
            aside.make(self._settings.aside, folder)
            # Without the time of writing: equal timelines are equal files.
            path.write_bytes(gzip.compress(trace, compresslevel=6, mtime=0))
        except OSError as error:
            self.untaken[case] = f"its timeline could not be written: {error}"
            return ""
        return str(path)


def sources(config: pytest.Config) -> Sources:
    """The sources that the options ask for, of all that there are. Raises UsageError for one that there is not."""
    given: Sequence[Source] = [one for some in config.hook.pytest_modelperf_profilers() for one in some]
    return Sources(chosen(config.stash[SETTINGS].profile or (), given))


def _order(case: int, call_seconds: float) -> TakeProfile:
    fitting = round(PROFILE_SECONDS / max(call_seconds, 1e-9))
    calls = max(FEWEST_CALLS, min(MOST_CALLS, fitting)) if fitting else 1
    return TakeProfile(case, calls, max(1, min(MOST_WARM, fitting)))
