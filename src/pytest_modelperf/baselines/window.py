"""The window: which records a baseline keeps when a run is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import replace

from ..domain.baseline import WINDOW, Baseline, CaseRecord, Run

# A case's history on one kind of hardware: its key, and the hardware.
History = tuple[str, str]


def accepted(
    baseline: Baseline | None, run: Run, restart: Set[str] = frozenset(), *, test: str, machine: str
) -> Baseline:
    """The baseline with `run` accepted into it; None is the baseline of a `test` that has none yet on this `machine`.

    The run is appended, and of each device on its hardware the WINDOW newest runs stay: a run narrowed to one device
    pushes no other device's history out, and a case that a sweep no longer has leaves with the last run that had it,
    its anchor too. A window starts again, without its older records and its anchor, for the cases in `restart` (an
    accepted change of level), and for those whose newest record was made under other conditions.
    """
    before, anchors = (baseline.runs, baseline.anchors) if baseline is not None else ((), ())
    newest = {history: old.conditions for old in before for history in _histories(old)}
    started = {
        history
        for history in _histories(run)
        if history[0] in restart or newest.get(history, run.conditions) != run.conditions
    }
    runs = _latest_outputs(_newest([*_kept(before, lambda history: history not in started), run]))
    standing = {history for old in runs for history in _histories(old)} - started
    held = _kept(anchors, lambda history: history in standing)
    return Baseline(test, machine, tuple(_oldest([*held, *map(_without_outputs, runs)])), tuple(runs))


def _histories(run: Run) -> Iterator[History]:
    return ((case, record.hardware) for case, record in run.cases.items())


def _kept(runs: Iterable[Run], keep: Callable[[History], bool]) -> list[Run]:
    """The runs with the records of these histories, without the runs that have none left."""
    found = []
    for run in runs:
        cases = {case: record for case, record in run.cases.items() if keep((case, record.hardware))}
        found += [replace(run, cases=cases)] if cases else []
    return found


def _newest(runs: Iterable[Run]) -> list[Run]:
    """The WINDOW newest runs of each device on its hardware."""
    seen: Counter[History] = Counter()
    kept: list[Run] = []
    for run in reversed(list(runs)):
        seen.update({_place(history) for history in _histories(run)})
        kept += _kept([run], lambda history: seen[_place(history)] <= WINDOW)
    return kept[::-1]


def _oldest(runs: Iterable[Run]) -> list[Run]:
    """The first record of each history."""
    seen: set[History] = set()
    kept: list[Run] = []
    for run in runs:
        kept += _kept([run], lambda history: history not in seen)
        seen.update(_histories(run))
    return kept


def _place(history: History) -> History:
    """The device that a case ran on, and its hardware."""
    case, hardware = history
    return case.partition(" ")[0], hardware


def _latest_outputs(runs: Iterable[Run]) -> list[Run]:
    """The runs, with outputs in the newest record of each history alone: an answer is compared with the last."""
    seen: set[History] = set()
    kept: list[Run] = []
    for run in reversed(list(runs)):
        kept.append(_without_outputs(run, seen))
        seen.update(_histories(run))
    return kept[::-1]


def _without_outputs(run: Run, histories: Set[History] | None = None) -> Run:
    """The run without the outputs of these histories (None: of all)."""

    def stripped(case: str, record: CaseRecord) -> CaseRecord:
        strip = histories is None or (case, record.hardware) in histories
        return replace(record, outputs={}) if strip and record.outputs else record

    return replace(run, cases={case: stripped(case, record) for case, record in run.cases.items()})
