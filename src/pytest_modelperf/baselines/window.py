"""The window: which records a baseline keeps when a run is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace

from ..domain.axes import Case
from ..domain.baseline import WINDOW, Baseline, CaseRecord, Run

NOTHING: Mapping[str, Set[str]] = {}

# A case's history on one kind of hardware: its key, and the hardware.
History = tuple[str, str]


def accepted(
    baseline: Baseline | None,
    run: Run,
    restart: Set[str] = frozenset(),
    moved: Mapping[str, Set[str]] = NOTHING,
    *,
    test: str,
    machine: str,
) -> Baseline:
    """The baseline with `run` accepted into it; None is the baseline of a `test` that has none yet on this `machine`.

    The run is appended, and of each device on its hardware the WINDOW newest runs stay: a run narrowed to one device
    pushes no other device's history out, and a case that a sweep no longer has leaves with the last run that had it,
    its anchor too. A window starts again, without its older records and its anchor, for the cases in `restart` (an
    accepted change of level), and for those whose newest record was made under other conditions of their device. For
    the figures in `moved`, by case, this run alone is what later ones are compared with: the records of before lose
    them, and the anchors take those of this run.
    """
    before = _moved(baseline.runs if baseline is not None else (), run, moved, taking=False)
    anchors = _moved(baseline.anchors if baseline is not None else (), run, moved, taking=True)
    newest = {history: old for old in before for history in _histories(old)}
    started = {
        history for history in _histories(run) if history[0] in restart or _differ(newest.get(history), run, history[0])
    }
    runs = _latest_details(_newest([*_kept(before, lambda history: history not in started), run]))
    standing = {history for old in runs for history in _histories(old)} - started
    held = _kept(anchors, lambda history: history in standing)
    return Baseline(test, machine, tuple(_oldest([*held, *map(_without_details, runs)])), tuple(runs))


def _moved(runs: Iterable[Run], now: Run, moved: Mapping[str, Set[str]], *, taking: bool) -> list[Run]:
    """The runs without the figures that have moved; `taking`: with those of `now` in their place."""

    def changed(case: str, record: CaseRecord) -> CaseRecord:
        new, paths = now.cases.get(case), moved.get(case, frozenset())
        if new is None or new.hardware != record.hardware:
            return record
        kept = {path: value for path, value in record.figures.items() if path not in paths}
        taken = {path: value for path, value in new.figures.items() if path in paths and taking}
        return replace(record, figures={**kept, **taken})

    return [_changed(run, changed) for run in runs]


def _changed(run: Run, change: Callable[[str, CaseRecord], CaseRecord]) -> Run:
    return replace(run, cases={case: change(case, record) for case, record in run.cases.items()})


def _differ(old: Run | None, run: Run, case: str) -> bool:
    """Whether the case was measured under other conditions before."""
    now = run.conditions_of(case)
    return old is not None and old.conditions_of(case, now) != now


def _histories(run: Run) -> Iterator[History]:
    return ((case, record.hardware) for case, record in run.cases.items())


def _kept(runs: Iterable[Run], keep: Callable[[History], bool]) -> list[Run]:
    """The runs with the records of these histories, without the runs that have none left."""
    found = []
    for run in runs:
        cases = {case: record for case, record in run.cases.items() if keep((case, record.hardware))}
        found += [replace(run, cases=cases, devices=_devices(run, cases))] if cases else []
    return found


def _devices(run: Run, cases: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """What differs from device to device, of those of these cases."""
    left = {Case.device_of(case) for case in cases}
    return {device: conditions for device, conditions in run.devices.items() if device in left}


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
    return Case.device_of(case), hardware


def _latest_details(runs: Iterable[Run]) -> list[Run]:
    """The runs, with outputs and a profile in the newest record of each history alone: those are compared with."""
    seen: set[History] = set()
    kept: list[Run] = []
    for run in reversed(list(runs)):
        kept.append(_without_details(run, seen))
        seen.update(_histories(run))
    return kept[::-1]


def _without_details(run: Run, histories: Set[History] | None = None) -> Run:
    """The run without the outputs and profiles of these histories (None: of all)."""

    def stripped(case: str, record: CaseRecord) -> CaseRecord:
        strip = histories is None or (case, record.hardware) in histories
        return replace(record, outputs={}, profile=None) if strip else record

    return _changed(run, stripped)
