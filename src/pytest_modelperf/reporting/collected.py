"""What `--collect-only` says of the marked tests: their cases, and the time they will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .words import aligned_rows, duration, listed, plural


@dataclass(frozen=True)
class PlannedTest:
    """A marked test that was collected. `cases` is None where only the model itself can tell (its signature).

    `devices` are those asked for, none where the runtime will choose; `seconds_estimate` is the measuring time of all
    cases, None where it is not known; `soak_seconds` what reading meters takes beside it, and `convert_seconds` what
    converters take, at the most.
    """

    nodeid: str
    cases: int | None
    devices: tuple[str, ...] = ()
    seconds_estimate: float | None = None
    soak_seconds: float = 0.0
    convert_seconds: float = 0.0


def render_plan(rows: Sequence[PlannedTest], pairs: int = 0) -> str:
    """A line for each test and one for all of them; empty without tests. `pairs` of processes measure two sides."""
    if not rows:
        return ""
    table = [(_cases(row), _time(row.seconds_estimate), f"{row.nodeid}{_where(row)}") for row in rows]
    return "\n".join([*aligned_rows(table, left={2}), _sum(rows, pairs)])


def _sum(rows: Sequence[PlannedTest], pairs: int) -> str:
    known = [row for row in rows if row.cases is not None]
    parts = [plural(len(rows), "marked test")]
    if known:
        parts.append(plural(sum(row.cases or 0 for row in known), "case"))
    seconds = sum(row.seconds_estimate or 0.0 for row in rows)
    if seconds:
        apart = f"both sides together, the start of {pairs} pairs of processes a test" if pairs else "start-up"
        parts.append(f"about {duration(seconds)} of measuring, {apart} apart")
    soaks = sum(row.soak_seconds for row in rows)
    if soaks:
        parts.append(f"and up to {duration(soaks)} of reading meters (--modelperf-soak)")
    converting = [row.convert_seconds for row in rows if row.convert_seconds]
    if converting:
        of = "a test" if len(converting) == len(rows) else f"each of {plural(len(converting), 'test')}"
        parts.append(f"converters: up to {max(converting):g} s {of} (--modelperf-convert-seconds)")
    unknown = len(rows) - len(known)
    rest = f"; {plural(unknown, 'test')} will know {'its' if unknown == 1 else 'their'} cases from the model"
    return ", ".join(parts) + (rest if unknown else "")


def _cases(row: PlannedTest) -> str:
    return "? cases" if row.cases is None else plural(row.cases, "case")


def _time(seconds: float | None) -> str:
    return "?" if seconds is None else duration(seconds)


def _where(row: PlannedTest) -> str:
    return f" on {listed(row.devices)}" if row.devices else ""
