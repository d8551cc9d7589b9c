"""The comparison of a case with its baseline: one of the words of a Verdict, with the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..domain.baseline import Baseline, CaseRecord, Run
from ..domain.estimate import Estimate
from ..domain.units import percent, significant
from ..domain.verdict import Verdict, Word
from .ratio import LEAST_ROUNDS, Ratio, Side, prior_spread, ratio, run_spread
from .remedy import remedy

# The interval that is shown, and that *same* is judged by: 95%, as everywhere.
SHOWN_LEVEL = 0.05
# The condition that decides whether runs are compared at all: in the pytest process a test shares memory, threads and
# caches with whatever ran before it.
ISOLATION = "isolation"
# The conditions that hold what the test declares, with their names for people: other inputs are other work, and so is
# another runtime, or the same with other options.
DECLARED = {"inputs": "the declared inputs", "runtime": "the runtime asked for"}

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
) -> Verdict:
    """The verdict for one case, by its `Case.key`.

    `now` is its record in this run, None where it was not measured, for the reason `unmeasured`. `tolerance` is the
    accepted slowdown as a fraction, `level` the chance of a false alarm that this case may have, `conditions` are
    this run's. `seconds`, its measuring time for a case, and `elsewhere`, other machines that have a baseline of
    this test, make the reason more helpful. `again` are the records of further attempts at this run, each made in a
    process of its own: all attempts are pooled.
    """
    verdict = Verdict("not measured", case, tolerance=tolerance, level=level)
    if now is None:
        return replace(verdict, reason=unmeasured or "it gave no timed calls in this run")
    seen = _records(case, baseline.runs if baseline is not None else ())
    comparable = [one for one in seen if _obstacle(now, conditions, one) is None]
    if not comparable:
        word, reason = (_obstacle(now, conditions, seen[-1]) if seen else None) or _nothing(elsewhere)
        return replace(verdict, word=word, reason=reason)
    verdict = _told(verdict, now, conditions, comparable[-1])
    if min(now.rounds, max(one.record.rounds for one in comparable)) < LEAST_ROUNDS:
        return replace(verdict, word="uncertain", reason=_FEW_ROUNDS)
    attempts = [now, *(one for one in again if one.rounds >= LEAST_ROUNDS)]
    anchor = _anchor(case, baseline, now, conditions)
    return _judged(verdict, attempts, [one.record for one in comparable], anchor, seconds)


_FEW_ROUNDS = (
    "a single call says nothing of its own error; measure longer (--modelperf-seconds), here and in the accepted runs"
)


def _records(case: str, runs: Sequence[Run]) -> list[_Accepted]:
    """The records of a case in these runs."""
    return [_Accepted(run.cases[case], run.conditions) for run in runs if case in run.cases]


def _obstacle(now: CaseRecord, conditions: Mapping[str, str], then: _Accepted) -> tuple[Word, str] | None:
    """Why the two are not compared, as a word and its reason; None where they are."""
    if now.hardware != then.record.hardware:
        return "other machine", f"this run was made on {now.hardware}, the baseline on {then.record.hardware}"
    for name, what in DECLARED.items():
        asked, before = (side.get(name, "") for side in (conditions, then.conditions))
        if asked != before:
            return "new", f"{what} changed, {before or 'none'} → {asked or 'none'}: not compared; {_ACCEPT}"
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
    return "new", f"there is no baseline of it yet; {_ACCEPT}"


def _told(verdict: Verdict, now: CaseRecord, conditions: Mapping[str, str], newest: _Accepted) -> Verdict:
    """The verdict with what differs from the newest accepted run, beside the time."""
    before = newest.record
    yardsticks = (", ".join(sorted(record.scaled)) for record in (before, now))
    sides = [
        {**given, "yardsticks": names} for given, names in zip((newest.conditions, conditions), yardsticks, strict=True)
    ]
    changed = {
        name: _change(before.counts[name], count)
        for name, count in sorted(now.counts.items())
        if name in before.counts and before.counts[name] != count
    }
    return replace(
        verdict,
        conditions=tuple(_differences(*sides)),
        notes=tuple(f"{name} {change}" for name, change in changed.items()),
        counters=tuple(changed),
    )


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        before, after = then.get(name) or "none", now.get(name) or "none"
        if before != after:
            yield f"{name} {before} → {after}"


def _change(before: float, after: float) -> str:
    numbers = (f"{int(n)}" if n == int(n) else significant(n, 6) for n in (before, after))
    return " → ".join(numbers) + (f" ({percent(after / before)})" if before else "")


def _judged(
    verdict: Verdict,
    now: Sequence[CaseRecord],
    window: Sequence[CaseRecord],
    anchor: CaseRecord | None,
    seconds: float | None,
) -> Verdict:
    """The word for the time: against the window, and where that finds no slowdown, against the anchor.

    An interval at `level` has half of it on the slow side, so that the two looks together give a false alarm with the
    chance `level` at most.
    """
    against, scale = _compared(now, window, window)
    verdict = _worded(verdict, against, scale)
    if len(now) > 1:
        each = (_on_scale(scale, [attempt], window, window, False).estimate(SHOWN_LEVEL) for attempt in now)
        verdict = replace(verdict, attempts=tuple(map(float, each)))
    if anchor is not None and [one.times for one in window] != [anchor.times] and verdict.word in ("same", "uncertain"):
        since, since_scale = _compared(now, [anchor], window, drifting=True)
        drifted = _worded(verdict, since, since_scale)
        if drifted.word == "slower" and verdict.change is not None and drifted.change is not None:
            return replace(drifted, reason=_drift(drifted.change, verdict.change, verdict))
    if verdict.word == "uncertain":
        leaning = against.log_ratio > math.log1p(verdict.tolerance)
        level = verdict.level if leaning else SHOWN_LEVEL
        help_ = remedy(against, tolerance=verdict.tolerance, level=level, seconds=seconds)
        return replace(verdict, reason=help_)
    return verdict


def _compared(
    now: Sequence[CaseRecord], then: Sequence[CaseRecord], among: Sequence[CaseRecord], *, drifting: bool = False
) -> tuple[Ratio, str]:
    """The ratio of now to `then`, with the spread between runs from `among`; and the yardstick it is scaled by, or "".

    Scaled where both sides have the same yardstick and it helps: of all ways the one with the smallest standard
    error, which the spreads tell and not the ratio. A yardstick of the wrong kind, or a disturbed one, makes it larger.
    """
    kept = [record for record in then if record.rounds >= LEAST_ROUNDS]
    common = [name for name in now[0].scaled if any(name in record.scaled for record in kept)]
    scales = ["", *(name for name in common if all(name in record.scaled for record in now))]
    found = {scale: _on_scale(scale, now, then, among, drifting) for scale in scales}
    best = min(scales, key=lambda scale: found[scale].error)
    return found[best], best


def _on_scale(
    scale: str, now: Sequence[CaseRecord], then: Sequence[CaseRecord], among: Sequence[CaseRecord], drifting: bool
) -> Ratio:
    """The ratio of times, or with a yardstick of multiples of it; records without this yardstick are then left out."""

    def kept(records: Sequence[CaseRecord]) -> list[CaseRecord]:
        known = [record for record in records if scale == "" or scale in record.scaled]
        return [record for record in known if record.rounds >= LEAST_ROUNDS]

    def sides(records: Sequence[CaseRecord]) -> list[Side]:
        return [Side.of(record, scale) for record in kept(records)]

    prior = prior_spread([*now, *kept(then)], scale)
    spread = run_spread(sides(among), prior, attempts=sides(now), drifting=drifting)
    return ratio(sides(now), sides(then), spread)


def _worded(verdict: Verdict, found: Ratio, scale: str) -> Verdict:
    shown = found.estimate(SHOWN_LEVEL)
    return replace(
        verdict,
        word=_word(found.estimate(verdict.level), shown, verdict.tolerance),
        change=shown,
        detectable=found.detectable(verdict.tolerance, verdict.level),
        runs=found.runs,
        scale=scale,
    )


def _word(strict: Estimate, shown: Estimate, tolerance: float) -> Word:
    """An alarm needs the case's own level, which is stricter the more cases there are; *same* alarms nobody."""
    if strict.low > 1.0 + tolerance:
        return "slower"
    if strict.high < 1.0 - tolerance:
        return "faster"
    return "same" if shown.low >= 1.0 - tolerance and shown.high <= 1.0 + tolerance else "uncertain"


def _anchor(case: str, baseline: Baseline | None, now: CaseRecord, conditions: Mapping[str, str]) -> CaseRecord | None:
    """The record that the case's window started with, where this run can be compared with it."""
    held = _records(case, baseline.anchors if baseline is not None else ())
    fit = (one.record for one in held if _obstacle(now, conditions, one) is None and one.record.rounds >= LEAST_ROUNDS)
    return next(fit, None)


def _drift(since: Estimate, lately: Estimate, verdict: Verdict) -> str:
    last = "the last accepted run" if verdict.runs == 1 else f"the last {verdict.runs} accepted runs"
    return (
        f"drifted {_interval(since)} since the first accepted run of its window, in small steps: "
        f"against {last} it is {verdict.word}, {_interval(lately)}"
    )


def _interval(change: Estimate) -> str:
    return f"{percent(change)} [{percent(change.low)}, {percent(change.high)}]"
