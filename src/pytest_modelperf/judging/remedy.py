"""What would help an uncertain verdict: the source of variance that rules it, and how much of what would settle it."""

from __future__ import annotations

import math
from dataclasses import replace

from ..domain.baseline import WINDOW
from ..domain.units import count_change, significant
from ..domain.verdict import Verdict
from .blame import MOST_COUNTED, by_telling
from .ratio import Ratio
from .wording import OF_THE_ANSWERS, SHOWN_LEVEL, judged_at

# More than this many times the measuring time is no advice: the change lies at the edge of what is accepted.
_MOST_TIMES = 20
# An interval wider than a factor of two either way comes from a machine that does something else, not from few calls.
_HOPELESS = math.log(2.0)
# More pairs of processes than this are no advice: each costs the start of two.
_MOST_PAIRS = 20


def unsure(found: Ratio, verdict: Verdict, *, seconds: float | None = None) -> str:
    """The reason of an uncertain verdict: at which level it is that, what would help, and what is sure nonetheless."""
    told = (judged_at(verdict, found), remedy(found, verdict, seconds=seconds), sure(verdict))
    return "; ".join(filter(None, told))


def sure(verdict: Verdict) -> str:
    """That counters have changed, which repeat where times do not, and what tells the cost of that; "" for neither.

    Where two commits take turns already there is nothing better to name.
    """
    names = by_telling(name for name in verdict.counters if name not in OF_THE_ANSWERS)
    if verdict.against or not names:
        return ""
    told = [count_change(name, *verdict.changed[name]) for name in names[:MOST_COUNTED]]
    more = f" and {len(names) - len(told)} more" if names[len(told) :] else ""
    return (
        f"only the time is uncertain, the model or its code did change: {', '.join(told)}{more}; "
        "--modelperf-against=REF tells what it costs"
    )


def remedy(found: Ratio, verdict: Verdict, *, seconds: float | None = None) -> str:
    """One sentence for a reader. `seconds` is the measuring time of a case in this run, if it is known."""
    tolerance = verdict.tolerance
    # What lies within the tolerance is to be *same*, which alarms nobody.
    inside = -tolerance <= math.expm1(min(found.log_ratio, 100.0)) <= tolerance
    level = SHOWN_LEVEL if inside else verdict.level
    half, wanted = found.half_width(level), _wanted(found, tolerance)
    if half > _HOPELESS:
        return "this machine was too unsteady to tell a change of less than a factor of two; measure on a quieter one"
    told = f"known to ±{_percent(half)} where ±{_percent(wanted)} would tell"
    # What is known no better than the tolerance may lie anywhere.
    if wanted < half / _MOST_TIMES and half <= math.log1p(tolerance):
        edge = _percent(math.log1p(tolerance))
        return f"{told}: the change lies at the edge of the accepted {edge}; set another tolerance"
    sources = {
        _longer: found.now_rounds,
        _longer_baseline: found.then_rounds,
        _more_pairs if verdict.against else _more_runs: found.from_runs,
    }
    ruling = max(sources, key=lambda source: sources[source])
    return f"{told}: {ruling(found, wanted, level, seconds)}"


def too_unsteady(verdict: Verdict) -> bool:
    """Whether the machine was doing something else: the interval is wider than a factor of two either way."""
    change = verdict.change
    return change is not None and (change.low <= 0.0 or math.log(change.high / change.low) / 2.0 > _HOPELESS)


def _wanted(found: Ratio, tolerance: float) -> float:
    """The half-width at which this ratio lies on one side of the tolerance's nearer edge."""
    edges = [math.log1p(tolerance)] + ([math.log1p(-tolerance)] if tolerance < 1.0 else [])
    return min(abs(found.log_ratio - edge) for edge in edges)


def _longer(found: Ratio, wanted: float, level: float, seconds: float | None) -> str:
    share = found.now_rounds / found.error**2
    cause = f"this run's own rounds make {share:.0%} of its variance"
    # Of the variance that is wanted, this run's rounds may take what the other sources leave.
    left = (wanted / found.half_width(level) * found.error) ** 2 - (found.error**2 - found.now_rounds)
    times = math.ceil(found.now_rounds / left) if left > 0.0 else math.inf
    if times > _MOST_TIMES:
        # Of pairs nothing was accepted.
        also = "" if math.isinf(found.now_runs) else ", and accept more runs"
        return f"{cause}; measure longer (--modelperf-seconds), on a quieter machine{also}"
    setting = f"--modelperf-seconds={times * seconds:g}" if seconds else "more --modelperf-seconds"
    return f"{cause}; measure {times} times as long ({setting})"


def _longer_baseline(found: Ratio, wanted: float, level: float, seconds: float | None) -> str:
    share = found.then_rounds / found.error**2
    return (
        f"the rounds of the accepted runs make {share:.0%} of its variance; "
        "accept runs that measured longer (--modelperf-update with more --modelperf-seconds)"
    )


def _more_runs(found: Ratio, wanted: float, level: float, seconds: float | None) -> str:
    return _with_more(found, wanted, level, "runs of this case", WINDOW, "{} accepted runs, not {}")


def _more_pairs(found: Ratio, wanted: float, level: float, seconds: float | None) -> str:
    with_more = "{0} pairs, not {1} (--modelperf-pairs={0})"
    return _with_more(found, wanted, level, "pairs of fresh processes", _MOST_PAIRS, with_more)


def _with_more(found: Ratio, wanted: float, level: float, what: str, most: int, with_more: str) -> str:
    """How far they spread, and how narrow the interval would be with as many as would tell, `most` at the most."""
    spread = f"{what} are taken to spread by {_percent(math.sqrt(found.between_runs))}"
    widths = {runs: _with_runs(found, runs).half_width(level) for runs in range(found.runs + 1, most + 1)}
    if not widths:
        return f"{spread}; a quieter machine would narrow it"
    runs = next((runs for runs, width in widths.items() if width <= wanted), most)
    more = "" if widths[runs] <= wanted else ", and a quieter machine would narrow it further"
    return f"{spread}; with {with_more.format(runs, found.runs)}, it would be ±{_percent(widths[runs])}{more}"


def _with_runs(found: Ratio, runs: int) -> Ratio:
    """The same comparison with more accepted runs that spread as these do."""
    then = found.then_rounds * found.runs / runs
    return replace(found, runs=runs, then_rounds=then, freedom=found.freedom)


def _percent(log: float) -> str:
    return f"{significant(math.expm1(min(log, 100.0)) * 100.0, 2)}%"
