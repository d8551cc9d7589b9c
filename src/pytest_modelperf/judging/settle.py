"""Settling a test: whether it fails after its body has passed, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..domain.outcome import Kind, Outcome, Reason
from ..domain.results import Sweep
from ..domain.verdict import Breach, Other, Verdict, Word

# Words that say there was nothing to compare with.
_WITHOUT_BASELINE: tuple[Word, ...] = ("new", "other machine", "not measured")
# What each option forgives. An update takes this run for the new level, whatever the old one was; a slowdown that is
# meant is still to be compared with something. Neither forgives a broken budget or a case that failed.
_MEANT: frozenset[Kind] = frozenset(
    {"slower", "wrong", "hungrier", "larger", "slower to start", "slower at times", "uncertain", "counters"}
)
_FORGIVEN: dict[str, frozenset[Kind]] = {
    "--modelperf-update": _MEANT | {"no baseline"},
    "--modelperf-accept": _MEANT,
}
# Words for readings whose level has moved, either way.
_MOVED: tuple[Other, ...] = ("hungrier", "leaner", "slower to start", "faster to start")


@dataclass(frozen=True)
class Policy:
    """What the user asked for: the options and ini settings that decide whether a finding fails a test.

    `update`: this run is accepted into the baselines. `meant`: a slowdown of this test is (`--modelperf-accept`).
    """

    allow_failed: bool = False
    uncertain_fails: bool = False
    counters_fail: bool = False
    outputs_fail: bool = True
    require_baseline: bool = False
    update: bool = False
    meant: bool = False


def settle(sweep: Sweep, verdicts: Mapping[str, Verdict], breaches: Sequence[Breach], policy: Policy) -> Outcome:
    """All reasons for which the test fails, the gravest first. `verdicts` are by `Case.key`.

    `accepted` names the option that kept a finding from failing the test. A test none of whose cases ran is not
    measured, and fails even where cases are allowed to fail.
    """
    found = [reason for reason in _reasons(sweep, verdicts, breaches, policy) if reason.cases]
    if not any(point.ok for point in sweep) and not found:
        found = [Reason("not measured", tuple(point.case.key for point in sweep))]
    option = "--modelperf-update" if policy.update else "--modelperf-accept" if policy.meant else ""
    forgiven = _FORGIVEN.get(option, frozenset())
    kept = tuple(reason for reason in found if reason.kind not in forgiven)
    return Outcome(kept, option if len(kept) < len(found) else "")


def restarted(verdicts: Mapping[str, Verdict]) -> frozenset[str]:
    """The cases whose level has moved: accepting this run starts their window again."""
    return frozenset(_with_words(verdicts, ("slower", "faster")))


def moved(verdicts: Mapping[str, Verdict]) -> dict[str, frozenset[str]]:
    """By case, the readings whose level has moved: when this run is accepted, they are compared with it alone."""
    found = {
        case: frozenset(finding.path for finding in verdict.beside if finding.word in _MOVED)
        for case, verdict in verdicts.items()
    }
    return {case: paths for case, paths in found.items() if paths}


def doubted(verdicts: Mapping[str, Verdict]) -> tuple[str, ...]:
    """The cases that may be slower than is accepted, and nobody can tell. A gain of which that is so alarms nobody."""
    return tuple(case for case in _with_words(verdicts, ("uncertain",)) if verdicts[case].may_be_slower)


def is_suspect(verdict: Verdict) -> bool:
    """Whether a case is to be measured again before its test fails. What is counted repeats exactly."""
    return verdict.word == "slower" or any(one.word == "wrong" and one.path == "outputs" for one in verdict.beside)


def reads_worse(verdict: Verdict) -> bool:
    """Whether a reading is to be read again before the test fails."""
    return any(one.word in ("hungrier", "slower to start") for one in verdict.beside)


def _reasons(
    sweep: Sweep, verdicts: Mapping[str, Verdict], breaches: Sequence[Breach], policy: Policy
) -> Iterable[Reason]:
    ran = {point.case.key: verdicts[point.case.key] for point in sweep if point.ok and point.case.key in verdicts}
    failed = tuple(point.case.key for point in sweep if not point.ok)
    counted = tuple(case for case, verdict in ran.items() if verdict.counters)
    yield Reason("failed", () if policy.allow_failed else failed)
    yield Reason("budget", tuple(dict.fromkeys(breach.case for breach in breaches)))
    yield Reason("wrong", _beside(ran, "wrong") if policy.outputs_fail else ())
    yield Reason("slower", _with_words(ran, ("slower",)))
    yield Reason("hungrier", _beside(ran, "hungrier"))
    yield Reason("larger", _beside(ran, "larger"))
    yield Reason("slower to start", _beside(ran, "slower to start"))
    yield Reason("slower at times", _beside(ran, "slower at times"))
    yield Reason("uncertain", doubted(ran) if policy.uncertain_fails else ())
    yield Reason("counters", counted if policy.counters_fail else ())
    yield Reason("no baseline", _with_words(ran, _WITHOUT_BASELINE) if policy.require_baseline else ())


def _with_words(verdicts: Mapping[str, Verdict], words: tuple[Word, ...]) -> tuple[str, ...]:
    return tuple(case for case, verdict in verdicts.items() if verdict.word in words)


def _beside(verdicts: Mapping[str, Verdict], word: Other) -> tuple[str, ...]:
    return tuple(case for case, verdict in verdicts.items() if any(one.word == word for one in verdict.beside))
