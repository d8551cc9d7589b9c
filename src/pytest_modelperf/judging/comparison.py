"""The comparison of a case with its baseline: one of the words of a Verdict, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..domain.baseline import Baseline, CaseRecord, Run
from ..domain.estimate import change_text
from ..domain.verdict import NEVER_ACCEPTED, TOLERANCES, Tolerances, Verdict, Word
from .beside import beside
from .ratio import LEAST_ROUNDS, Ratio
from .remedy import sure, unsure
from .scale import Experience, compared, on_scale
from .wording import SHOWN_LEVEL, YARDSTICKS, redeclared, told, worded

# The condition that decides whether runs are compared at all: in the pytest process a test shares memory, threads and
# caches with whatever ran before it.
ISOLATION = "isolation"

_ACCEPT = "accept this run with --modelperf-update"

_RUNNER, _PYTEST = "a runner", "the pytest process"
_PLACES = {"yes": _RUNNER, "runner": _RUNNER, "no": _PYTEST, "in the pytest process": _PYTEST}


@dataclass(frozen=True)
class _Accepted:
    """One accepted record of the case, and the conditions of its run."""

    record: CaseRecord
    conditions: Mapping[str, str]


def compare(
    case: str,
    now: CaseRecord | None,
    baseline: Baseline | None,
    *,
    tolerance: float,
    level: float,
    conditions: Mapping[str, str],
    seconds: float | None = None,
    elsewhere: Sequence[str] = (),
    unmeasured: str = "",
    again: Sequence[CaseRecord] = (),
    experience: Experience | None = None,
    tolerances: Tolerances = TOLERANCES,
) -> Verdict:
    """The verdict for one case, by its `Case.key`.

    `now` is its record in this run, None where it was not measured, for the reason `unmeasured`. `tolerance` is the
    accepted slowdown as a fraction, `level` the chance of a false alarm that this case may have, `conditions` are its
    own in this run. `seconds`, its measuring time for a case, and `elsewhere`, other machines that have a baseline of
    this test, make the reason more helpful. `again` are the records of further attempts at this run, each made in a
    process of its own: all attempts are pooled. `experience` is what the machine's other tests tell of its runs,
    `tolerances` are those of what is judged beside the time.
    """
    verdict = Verdict("not measured", case, tolerance=tolerance, level=level)
    if now is None:
        return replace(verdict, reason=unmeasured or "it gave no timed calls in this run")
    seen = _records(case, baseline.runs if baseline is not None else (), conditions)
    comparable = _comparable(seen, now, conditions)
    if not comparable:
        word, reason = (_obstacle(now, conditions, seen[-1]) if seen else None) or _nothing(elsewhere)
        return replace(verdict, word=word, reason=reason)
    window, anchor = [one.record for one in comparable], _anchor(case, baseline, now, conditions)
    found = beside([now, *again], window, tolerances, level=level, anchor=anchor.record if anchor is not None else None)
    verdict = _told(replace(verdict, beside=found), now, conditions, comparable[-1])
    if min(now.rounds, max(one.record.rounds for one in comparable)) < LEAST_ROUNDS:
        return replace(verdict, word="uncertain", reason="; ".join(filter(None, (_FEW_ROUNDS, sure(verdict)))))
    attempts, known = [now, *(one for one in again if one.rounds >= LEAST_ROUNDS)], experience or {}
    lately, ratio = _judged(verdict, attempts, window, window, known)
    # An interval at `level` has half of it on the slow side, so that the two looks together give a false alarm with the
    # chance `level` at most. A window of one run is its own anchor.
    further = anchor is not None and [one.times for one in window] != [anchor.record.times]
    if anchor is not None and further and lately.word in ("same", "uncertain"):
        told_since = _told(verdict, now, conditions, anchor)
        since, _ = _judged(told_since, attempts, [anchor.record], window, known, drifting=True)
        if since.word == "slower":
            return replace(since, drifted=True, reason=_drift(since, lately))
    return replace(lately, reason=unsure(ratio, lately, seconds=seconds)) if lately.word == "uncertain" else lately


def compared_with(run: Run | None, baseline: Baseline | None) -> dict[str, CaseRecord]:
    """By case, the newest accepted record that a case of this run is compared with; none where there is none."""
    if run is None or baseline is None:
        return {}
    found: dict[str, CaseRecord] = {}
    for case, now in run.cases.items():
        conditions = run.conditions_of(case)
        fit = _comparable(_records(case, baseline.runs, conditions), now, conditions)
        if fit:
            found[case] = fit[-1].record
    return found


_FEW_ROUNDS = (
    "a single call says nothing of its own error; measure longer (--modelperf-seconds), here and in the accepted runs"
)


def _records(case: str, runs: Sequence[Run], now: Mapping[str, str]) -> list[_Accepted]:
    """The records of a case in these runs, to be compared with what was made under the conditions `now`."""
    return [_Accepted(run.cases[case], run.conditions_of(case, now)) for run in runs if case in run.cases]


def _comparable(seen: Sequence[_Accepted], now: CaseRecord, conditions: Mapping[str, str]) -> list[_Accepted]:
    return [one for one in seen if _obstacle(now, conditions, one) is None]


def _obstacle(now: CaseRecord, conditions: Mapping[str, str], then: _Accepted) -> tuple[Word, str] | None:
    """Why the two are not compared, as a word and its reason; None where they are."""
    if now.hardware != then.record.hardware:
        return "other machine", f"this run was made on {now.hardware}, the baseline on {then.record.hardware}"
    other_work = redeclared(then.conditions, conditions)
    if other_work:
        return "new", f"{other_work}: not compared; {_ACCEPT}"
    here, there = (_place(side) for side in (conditions, then.conditions))
    if here == there:
        return None
    mend = (
        "run without --pdb, --trace and --modelperf-isolate=no"
        if there == _RUNNER
        else "accept a run that was made in a runner (--modelperf-update)"
    )
    return "not measured", f"measured in {here}, the baseline in {there}: not compared; {mend}"


def _place(conditions: Mapping[str, str]) -> str:
    isolation = conditions.get(ISOLATION, "yes")
    return _PLACES.get(isolation, isolation)


def _nothing(elsewhere: Sequence[str]) -> tuple[Word, str]:
    if elsewhere:
        return "other machine", f"there are baselines of {', '.join(elsewhere)} and none of this machine; {_ACCEPT}"
    return "new", f"{NEVER_ACCEPTED}; {_ACCEPT}"


def _judged(
    verdict: Verdict,
    now: Sequence[CaseRecord],
    then: Sequence[CaseRecord],
    window: Sequence[CaseRecord],
    experience: Experience,
    *,
    drifting: bool = False,
) -> tuple[Verdict, Ratio]:
    """The word for the time against `then`, with what each attempt alone gives, and its ratio."""
    found = compared(now, then, window, experience, drifting=drifting)
    each = [on_scale(found.scale, [one], then, window, experience, drifting=drifting) for one in now if len(now) > 1]
    attempts = tuple(float(one.estimate(SHOWN_LEVEL)) for one in each)
    return replace(worded(verdict, found.ratio), scale=found.scale, gain=found.gain, attempts=attempts), found.ratio


def _told(verdict: Verdict, now: CaseRecord, conditions: Mapping[str, str], then: _Accepted) -> Verdict:
    """The verdict with what differs from an accepted record beside the time."""
    before = _with_yardsticks(then.conditions, then.record, now)
    return told(verdict, then.record, now, before, _with_yardsticks(conditions, now, then.record))


def _with_yardsticks(conditions: Mapping[str, str], record: CaseRecord, other: CaseRecord) -> dict[str, str]:
    """The conditions with those yardsticks that the other side lacks: those of both are no change."""
    return {**conditions, YARDSTICKS: ", ".join(sorted(record.scaled.keys() - other.scaled.keys()))}


def _anchor(case: str, baseline: Baseline | None, now: CaseRecord, conditions: Mapping[str, str]) -> _Accepted | None:
    """The record that the case's window started with, where this run can be compared with it."""
    held = _records(case, baseline.anchors if baseline is not None else (), conditions)
    return next((one for one in _comparable(held, now, conditions) if one.record.rounds >= LEAST_ROUNDS), None)


def _drift(since: Verdict, lately: Verdict) -> str:
    assert since.change is not None
    assert lately.change is not None
    last = "the last accepted run" if lately.runs == 1 else f"the last {lately.runs} accepted runs"
    found = f"{change_text(since.change)} since the first accepted run of its window"
    if lately.change.high >= since.change.low:
        # Whether it came in steps or at once, runs that spread so far do not tell.
        return f"{found}; against {last} it cannot be told, {change_text(lately.change)}"
    return f"drifted {found}, in small steps: against {last} it is {lately.word}, {change_text(lately.change)}"
