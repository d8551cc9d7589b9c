"""The window: which records a baseline keeps when a run is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import replace

from ..domain.baseline import WINDOW, Baseline, CaseRecord, Run

# A case's history on one kind of hardware: its key, and the hardware.
History = tuple[str, str]


def accepted(
    baseline: Baseline | None, run: Run, restart: Set[str] = frozenset(), *, test: str, machine: str
) -> Baseline:
    """The baseline with `run` accepted into it; None is the baseline of a `test` that has none yet on this `machine`.

    The run is appended, and of each case on its hardware the WINDOW newest records stay: a run narrowed to one
    device pushes no other device's history out. A window starts again, without its older records and its anchor,
    for the cases in `restart` (an accepted slowdown or speed-up), and for those whose newest record was made under
    other conditions.
    """
    runs = baseline.runs if baseline is not None else ()
    newest = {(case, record.hardware): old.conditions for old in runs for case, record in old.cases.items()}
    started = {
        (case, record.hardware)
        for case, record in run.cases.items()
        if case in restart or newest.get((case, record.hardware), run.conditions) != run.conditions
    }
    kept = (*(_without(old, started) for old in runs), run)
    return Baseline(test, machine, _anchor(baseline, run, started), tuple(_newest(kept)))


def _without(run: Run, histories: Set[History]) -> Run:
    return replace(run, cases={c: record for c, record in run.cases.items() if (c, record.hardware) not in histories})


def _newest(runs: Iterable[Run]) -> list[Run]:
    """The runs with the WINDOW newest records of each history, without those that have none left."""
    seen: Counter[History] = Counter()
    kept: list[Run] = []
    for run in reversed(list(runs)):
        seen.update((case, record.hardware) for case, record in run.cases.items())
        cases = {case: record for case, record in run.cases.items() if seen[case, record.hardware] <= WINDOW}
        kept += [replace(run, cases=cases)] if cases else []
    return kept[::-1]


def _anchor(baseline: Baseline | None, run: Run, started: Set[History]) -> Run:
    """Every case's record that its window started with; a case that ran on several kinds of hardware keeps the
    first's."""
    standing = _without(baseline.anchor, started) if baseline is not None else Run(run.conditions, {})
    fresh: dict[str, CaseRecord] = {case: record for case, record in run.cases.items() if case not in standing.cases}
    return Run(run.conditions if fresh else standing.conditions, {**standing.cases, **fresh})
