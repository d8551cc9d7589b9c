"""Beside the time: whether a case needs more memory, is larger, starts slower or answers otherwise than it did."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..domain.baseline import CaseRecord
from ..domain.estimate import Estimate
from ..domain.metrics import COUNTERS, metric
from ..domain.units import KiB, MiB, format_quantity
from ..domain.verdict import Finding, Other, Tolerances
from .outputs import compare_outputs
from .ratio import Ratio, Side, own_factor, ratio
from .spread import PRIOR_FREEDOM, Factor, drawn
from .wording import SHOWN_LEVEL

# Tests that ran in a process before leave some memory behind, and have loaded libraries: readings are compared with
# those of processes that began alike.
START = "memory.start"
# What is stated of the spread between runs, as standard deviations of logs, until a case's own runs tell. Measured over
# 8 and 12 runs in fresh processes on a shared machine of two cores, quiet and busy: peak memory repeated within 0.03-1%
# for nine of ten cases, and within 6% for a ResNet-50 at batch 4 (543 to 643 MiB). First calls spread by 3-48% and
# loads by 22-37% while it was quiet; while it was busy a first call took up to fifty times as long.
MEMORY_SPREAD = 0.03
COLD_START_SPREAD = 0.5


@dataclass(frozen=True)
class _Kind:
    """A kind of figure that a process reads once.

    `tolerance` names the one of Tolerances, `more` and `less` the words; `spread` is what is stated of its spread
    between runs, as a standard deviation of logs, `floor` a change that is nobody's concern, whatever its share. What
    is `fleeting`, the machine's state may spoil.
    """

    tolerance: Literal["memory", "cold_start"]
    more: Other
    less: Other
    spread: float
    floor: float
    fleeting: bool = False


_MEMORY = _Kind("memory", "hungrier", "leaner", MEMORY_SPREAD, floor=16 * MiB)
_COLD_START = _Kind(
    "cold_start", "slower to start", "faster to start", spread=COLD_START_SPREAD, floor=0.1, fleeting=True
)
_READINGS = {
    "memory.peak": _MEMORY,
    "memory.reserved": _MEMORY,
    "cold_start.load": _COLD_START,
    "cold_start.first_call": _COLD_START,
}
# What tells how large a model is, the best first, each with the change that is nobody's concern.
_SIZES = {"size_bytes": 1 * KiB, "parameters": 0.0}
# Counters of answers that are no numbers, and what they count.
_NO_NUMBERS = {"nan_values": "NaN", "inf_values": "infinities"}
# Readings that are told one by one.
_MOST_LISTED = 4


def beside(
    now: Sequence[CaseRecord],
    then: Sequence[CaseRecord],
    tolerances: Tolerances,
    *,
    level: float,
    anchor: CaseRecord | None = None,
) -> tuple[Finding, ...]:
    """What changed beside the time, metric by metric; nothing of those that did not.

    `now` are the records of a case in this run and in further attempts at it, `then` those it is compared with, the
    newest last; one each at least. `anchor` is the first accepted run of the window: what a reading did not do against
    the window it may have done since then, in small steps. `level` is the chance of a false alarm that all readings
    of the case may have together.
    """
    found = [_no_numbers(now, then[-1]), *_answers(now, then[-1]), *_readings(now, then, tolerances, level, anchor)]
    if tolerances.size is not None:
        found.append(_size(now[0], then[-1], tolerances.size))
    return tuple(finding for finding in found if finding is not None)


# Answers


def _answers(now: Sequence[CaseRecord], then: CaseRecord) -> Iterator[Finding]:
    """What has become of the answers: what is wrong is so in every process of this run."""
    first, *again = (compare_outputs(one, then) for one in now)
    alone = any(all(finding.word != "wrong" for finding in found) for found in again)
    for finding in first:
        if finding.word == "wrong" and alone:
            told = f"{finding.evidence}; another process of this run answered otherwise"
            yield replace(finding, word="uncertain", evidence=told)
        else:
            yield finding


def _no_numbers(now: Sequence[CaseRecord], then: CaseRecord) -> Finding | None:
    """Answers that are no numbers, where there were none before. A NaN in one process of several is one."""
    for name, what in _NO_NUMBERS.items():
        after = max(one.counts.get(name, 0.0) for one in now)
        if after > 0.0 and then.counts.get(name) == 0.0:
            told = f"{after:.0f} {what} among the answers, and none before"
            return Finding("wrong", f"{COUNTERS}{name}", 0.0, after, evidence=told)
    return None


# Readings: memory and cold start


def _readings(
    now: Sequence[CaseRecord],
    then: Sequence[CaseRecord],
    tolerances: Tolerances,
    level: float,
    anchor: CaseRecord | None,
) -> Iterator[Finding | None]:
    asked = {path: getattr(tolerances, kind.tolerance) for path, kind in _READINGS.items()}
    known = {
        path: tolerance
        for path, tolerance in asked.items()
        if tolerance is not None and all(any(one.figures.get(path) for one in side) for side in (now, then))
    }
    for path, tolerance in known.items():
        yield _Question(path, _READINGS[path], tolerance, level / len(known)).answer(now, then, anchor)


@dataclass(frozen=True)
class _Question:
    """One reading, to be judged at this tolerance and level."""

    path: str
    kind: _Kind
    tolerance: float
    level: float

    def answer(
        self, now: Sequence[CaseRecord], then: Sequence[CaseRecord], anchor: CaseRecord | None
    ) -> Finding | None:
        """The finding among processes that began alike: as most of this run did that have any to be compared with."""
        begun = max(
            _starts(now, then), key=lambda start: len(self._values(now, start)) * bool(self._values(then, start))
        )
        mine, window = self._values(now, begun), self._values(then, begun)
        if not mine or not window:
            return self._begun_otherwise(now[0], then[-1])
        since = self._values([anchor], begun) if anchor is not None and len(window) > 1 else []
        found = self._found(mine, window, since)
        if found is None or found.word == "uncertain" or len(mine) > 1 or len(self._values(now, None)) == 1:
            return found
        return self._read_once(found, self._values(now, begun, or_less=True), window, since)

    def _read_once(
        self, found: Finding, eased: Sequence[float], window: Sequence[float], since: Sequence[float]
    ) -> Finding:
        """What to make of one reading, where it was read again in processes that began otherwise: it fails no test.

        `eased` are the readings with those of processes that began with less: what is hungrier among them, too, is so.
        """
        more = self._found(eased, window, since) if len(eased) > 1 and not self.kind.fleeting else None
        if more is not None and more.word == found.word == self.kind.more:
            return replace(more, evidence=f"{more.evidence}; where it was read again, the process began with less")
        told = f"{found.evidence}; could not be read again in a process that began alike"
        return replace(found, word="uncertain", evidence=told)

    def _found(self, mine: Sequence[float], window: Sequence[float], since: Sequence[float]) -> Finding | None:
        """The finding against the window, and where that is none, against the anchor."""
        own = own_factor([_sides(window), _sides(mine)], self.kind.spread)
        factor = drawn(own, Factor(1.0, PRIOR_FREEDOM))
        finding = self._compared(mine, window, factor)
        if finding is not None or not since:
            return finding
        drifted = self._compared(mine, since, factor)
        if drifted is None or drifted.word != self.kind.more:
            return None
        steps = f"it came in small steps since the first accepted run of its window: {drifted.evidence}"
        return replace(drifted, evidence=steps)

    def _values(self, records: Sequence[CaseRecord], begun: float | None, *, or_less: bool = False) -> list[float]:
        """The readings of processes that had as much memory before the test as `begun` (None: nobody knows)."""
        least = -math.inf if begun is None or or_less else begun - _MEMORY.floor
        most = math.inf if begun is None else begun + _MEMORY.floor
        alike = [one for one in records if least <= one.figures.get(START, begun or 0.0) <= most]
        return [value for one in alike if (value := one.figures.get(self.path, 0.0)) > 0.0]

    def _compared(self, mine: Sequence[float], window: Sequence[float], factor: Factor) -> Finding | None:
        found = ratio(_sides(mine), _sides(window), self.kind.spread, factor, now_runs=len(mine))
        now, before = (math.exp(math.fsum(map(math.log, side)) / len(side)) for side in (mine, window))
        word = self._word(found) if abs(now - before) >= self.kind.floor else None
        if word is None:
            return None
        evidence = f"read {self._listed(mine)}; before {self._listed(window)}"
        return Finding(word, self.path, before, now, found.estimate(SHOWN_LEVEL), self.tolerance, evidence)

    def _word(self, found: Ratio) -> Other | None:
        strict = found.estimate(self.level)
        if strict.low > 1.0 + self.tolerance:
            return self.kind.more
        # As much less: what halves may have doubled.
        if strict.high < 1.0 / (1.0 + self.tolerance):
            return self.kind.less
        # What the machine's state may have spoiled is to be seen at all: else every other run would have such a line.
        seen = not self.kind.fleeting or found.estimate(SHOWN_LEVEL).low > 1.0
        return "uncertain" if strict > 1.0 + self.tolerance and seen else None

    def _begun_otherwise(self, now: CaseRecord, then: CaseRecord) -> Finding | None:
        """What to say of a reading that cannot be compared: nothing, as long as it is within what is accepted."""
        before, after = then.figures.get(self.path, 0.0), now.figures.get(self.path, 0.0)
        if after <= before * (1.0 + self.tolerance) or after - before < self.kind.floor:
            return None
        mine, theirs = (format_quantity(one.figures.get(START, 0.0), "B") for one in (now, then))
        evidence = (
            f"its process had {mine} when the test began, and {theirs} before: other tests had run in one of them"
        )
        return Finding("not compared", self.path, before, after, None, self.tolerance, evidence)

    def _listed(self, values: Sequence[float]) -> str:
        """Every reading, or from which to which where they are many."""
        unit = metric(self.path).unit
        if len(values) <= _MOST_LISTED:
            return ", ".join(format_quantity(value, unit, 4) for value in values)
        ends = (format_quantity(end, unit, 4) for end in (min(values), max(values)))
        return f"{' to '.join(ends)} in {len(values)} runs"


def _starts(now: Sequence[CaseRecord], then: Sequence[CaseRecord]) -> list[float | None]:
    """How processes may have begun, the likeliest first: the test's own, those of further attempts, the newest."""
    return [one.figures.get(START) for one in (now[0], now[-1], then[-1])]


def _sides(values: Sequence[float]) -> list[Side]:
    return [Side(math.log(value), 0.0) for value in values]


# Size


def _size(now: CaseRecord, then: CaseRecord, tolerance: float) -> Finding | None:
    """The size in bytes, or where nobody tells it the number of parameters: counted, so that it has no interval."""
    name = next((name for name in _SIZES if name in now.counts and name in then.counts), "")
    before, after = then.counts.get(name, 0.0), now.counts.get(name, 0.0)
    within = before / (1.0 + tolerance) <= after <= before * (1.0 + tolerance)
    if within or abs(after - before) < _SIZES[name]:
        return None
    change = Estimate(after / before) if before else None
    word: Other = "larger" if after > before else "smaller"
    return Finding(word, f"{COUNTERS}{name}", before, after, change, tolerance, "counted: it repeats exactly")
