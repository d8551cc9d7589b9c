"""The terminal summary: what stands under pytest's own heading, for 80 columns and for 160, with colour and without."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from ..domain.report import Report, TestResult
from ..domain.results import Point
from ..domain.verdict import NEVER_ACCEPTED
from . import advice, energy, profiles, suggestions, tables
from .findings import WORSE, become
from .lines import Line, lines
from .side_by_side import CAUTION, SideBySide, side_by_side
from .totals import NOT_MEASURED, OVER_STYLE, STYLES, called, counts, tally, uncompared, unseeing
from .words import KEPT, against, duration, grouped, listed, plain, plural, whole

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

INDENT = 2
# How much further in the rest of a line stands that is wrapped.
HANG = 4

# Seconds of waiting for other processes that are worth a line.
LEAST_WAITED = 1.0

UPDATE = "pytest --modelperf --modelperf-update"

_WORD = re.compile(r"\s*\S+\s*")
# A word that is never broken: several in one, a path, a test's id.
_WHOLE = re.compile(rf"[/\\{KEPT}]|\.py::")


def render(report: Report, width: int, color: bool) -> str:
    """The summary of `report`, with ANSI colours only if `color`.

    No line is longer than `width` cells, but for a path or a command that is: it has a line of its own.
    """
    file = io.StringIO()
    console = _console(file, width, color)
    _say_all(console, _before(report))
    for result in report.results:
        _render_test(console, result, report.interrupted)
    for found in side_by_side(report.results):
        _render_side_by_side(console, found)
    if report.results:
        _say(console, _text("totals: ", "bold").append_text(counts(tally(report.results))))
    _say_all(console, _after(report))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _before(report: Report) -> Iterator[Line]:
    if report.interrupted:
        yield "interrupted: only what was measured until then; no baseline was written", "bold yellow"
    if not report.results:
        yield "nothing was measured: no marked test came as far as its model", ""


def _after(report: Report) -> Iterator[Line]:
    if report.results:
        blind = uncompared(report.results)
        if blind:
            yield blind, "bold yellow"
        unseen = unseeing(report.results)
        if unseen:
            yield unseen, "yellow"
        yield from _new(report)
        yield from suggestions.hint(report)
        yield from _never_measured(report)
        yield f"machine: {plain(report.machine)} ({_host(report)})", ""
    yield from _skipped(report)
    yield from _waited(report)
    yield from ((plain(note), "yellow") for note in report.notes)
    yield from _written(report.written)


def _render_test(console: Console, result: TestResult, interrupted: bool) -> None:
    _say_heading(console, result, interrupted)
    if result.model or result.seconds:
        _say(console, _text(circumstances(result), "dim"), INDENT)
    shown: dict[str, tables.Form] = {}
    if result.sweep.points:
        shown = tables.fitted(result, console.width - INDENT)
        verdicts = list(shown).index("verdict")
        _print_table(console, shown.values(), lambda column, row: _style(result, row) if column == verdicts else "")
    said = (lines(result, shown), energy.lines(result), profiles.lines(result), advice.lines(result))
    _say_all(console, _once(chain(*said)), INDENT)
    _render_suggestions(console, result)
    console.print()


def _once(said: Iterator[Line]) -> Iterator[Line]:
    """Without what an earlier line has told already: why there is no profile is why nothing is to blame, too."""
    told: list[str] = []
    for text, style in said:
        if not any(before.endswith(f": {text}") for before in told):
            yield text, style
        told.append(text)


def _render_suggestions(console: Console, result: TestResult) -> None:
    for heading, columns in suggestions.tables_of(result, console.width - INDENT):
        _say(console, _text(heading, "bold"), INDENT)
        _print_table(console, columns.values())
    _say_all(console, suggestions.lines(result), INDENT)


def _render_side_by_side(console: Console, found: SideBySide) -> None:
    _say(console, _text(f"{plain(found.test)} side by side", "bold").append(f": {found.what}"))
    for columns in found.fitted(console.width - INDENT):
        _print_table(console, columns)
    _say(console, _text(CAUTION, "dim"), INDENT)
    console.print()


def _say_heading(console: Console, result: TestResult, interrupted: bool) -> None:
    # A test that the run was stopped in has neither passed nor failed.
    stopped = interrupted and bool(result.unmeasured and result.sweep.points)
    failed = _text("" if result.passed or stopped else "FAILED ", "bold red")
    verdict = failed.append_text(counts(tally([result])))
    nodeid = _text(whole(plain(result.nodeid)), "bold")
    line = verdict.copy().append(": ").append_text(nodeid)
    if line.cell_len <= console.width:
        _say(console, line)
    else:
        _say(console, verdict.append(":"))
        _say(console, nodeid, INDENT)


def circumstances(result: TestResult) -> str:
    """What was measured, where, and how long it took; "" where nothing is known of it."""
    devices = list(dict.fromkeys(point.device for point in result.sweep))
    where = f"on {devices[0]}" if len(devices) == 1 else ""
    time = f"took {duration(result.seconds)}" if result.seconds else ""
    return ", ".join(part for part in (" ".join(filter(None, (plain(result.model), where))), time) if part)


def _style(result: TestResult, row: int) -> str:
    point = result.sweep.points[row]
    over = any(breach.case == point.case.key for breach in result.breaches)
    worse = any(found in WORSE for found in become(result.verdicts.get(point.case.key)))
    return OVER_STYLE if over or (worse and not result.accepted) else STYLES[called(result, point)]


# The whole run


def _new(report: Report) -> Iterator[Line]:
    words = tally(report.results)
    # An update accepts what passes: a test that fails has said what is to be done first. What is new because the test
    # changed has said so under its table.
    verdicts = (verdict for result in report.results if result.passed for verdict in result.verdicts.values())
    new = sum(verdict.word == "new" and verdict.reason.startswith(NEVER_ACCEPTED) for verdict in verdicts)
    accepted = any("baseline" in what for what in report.written.values())
    if not new or accepted or report.interrupted or any(map(against, report.results)):
        return
    if new == words["new"] and set(words) <= {"new", tables.OVER, *NOT_MEASURED}:
        yield f"no baselines yet; make them: {whole(UPDATE)}", "bold"
    else:
        yield f"{plural(new, 'case')} {'has' if new == 1 else 'have'} no baseline yet; make it: {whole(UPDATE)}", "bold"


def _never_measured(report: Report) -> Iterator[Line]:
    """Figures that have no column because no case of their test has them; a column's gaps are explained under it.

    What never has a column says why it is missing to whoever asks for it.
    """
    rows = []
    for result in report.results:
        measured = {path for point in result.sweep for path in point.figures}
        missing = ((path, why) for point in result.sweep for path, why in _telling(point))
        rows += [(path, why) for path, why in missing if tables.has_column(path) and path not in measured]
    yield from ((f"not measured: {listed(paths)}: {why}", "") for why, paths in grouped(rows).items())


def _telling(point: Point) -> Iterator[tuple[str, str]]:
    """What is missing of a point, but for the energy of a CPU: few machines tell it, and who asks for it hears why."""
    on_cpu = point.device.startswith("cpu")
    return ((path, why) for path, why in point.unavailable.items() if not (on_cpu and path == "energy.per_sample"))


def _skipped(report: Report) -> Iterator[Line]:
    """A test that was skipped has no results: nothing else here tells of it."""
    for why, nodeids in grouped(report.skipped.items()).items():
        yield f"skipped: {listed(list(map(plain, nodeids)))}: {why}", STYLES["not measured"]


def _waited(report: Report) -> Iterator[Line]:
    waited = {device: seconds for device, seconds in report.waited.items() if seconds >= LEAST_WAITED}
    if waited:
        times = listed([f"{duration(seconds)} for {plain(device)}" for device, seconds in waited.items()])
        yield f"waited {times} in all: one process at a time measures on a device", "dim"


def _host(report: Report) -> str:
    host = report.host
    python = f"Python {host.python}" if host.python else ""
    return plain(", ".join(filter(None, (host.cpu_hardware, *host.accelerators, host.system, python))))


def _written(written: Mapping[str, str]) -> Iterator[Line]:
    for what, paths in grouped((path, what) for path, what in written.items()).items():
        if len(paths) == 1:
            yield f"written: {whole(paths[0])} ({what})", ""
        else:
            yield f"written: {len(paths)} files under {whole(_common_folder(paths))} ({what})", ""


def _common_folder(paths: list[str]) -> str:
    try:
        return os.path.commonpath(paths) or "."
    except ValueError:  # absolute and relative ones, or of two drives
        return listed(paths)


# How rich is used


def _console(file: io.StringIO, width: int, color: bool) -> Console:
    from rich.console import Console

    # Everything that rich would else read from the environment is said: the caller has decided on colour and width.
    return Console(
        file=file,
        width=width,
        height=100,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        force_jupyter=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _text(line: str, style: str) -> Text:
    from rich.text import Text

    # Styled as a span: the style of a whole Text would be that of everything appended to it.
    return Text().append(line, style)


def _say_all(console: Console, said: Iterator[Line], indent: int = 0) -> None:
    for line, style in said:
        _say(console, _text(line, style), indent)


def _say(console: Console, text: Text, indent: int = 0) -> None:
    room = console.width - indent
    wrapped = [text] if text.cell_len <= room else text.divide(_breaks(text.plain, max(room - HANG, 1)))
    for number, line in enumerate(wrapped):
        line.plain = line.plain.replace(KEPT, " ")
        line.rstrip()
        console.print(_text(" " * (indent + (HANG if number else 0)), "").append_text(line), soft_wrap=True)


def _breaks(text: str, room: int) -> Iterator[int]:
    """Where to break a text: between words, and in those that are longer than a line; never in a path or a command."""
    from rich.cells import cell_len, chop_cells

    filled = 0
    for word in _WORD.finditer(text):
        if filled and filled + cell_len(word[0].rstrip()) > room:
            yield word.start()
            filled = 0
        pieces = (
            [word[0]] if _WHOLE.search(word[0]) or cell_len(word[0].rstrip()) <= room else chop_cells(word[0], room)
        )
        for number in range(1, len(pieces)):
            yield word.start() + sum(map(len, pieces[:number]))
        filled = cell_len(pieces[-1]) + (filled if len(pieces) == 1 else 0)


def _print_table(
    console: Console, forms: Iterable[tables.Form], style: Callable[[int, int], str] = lambda column, row: ""
) -> None:
    """`style(column, row)` is that of a cell."""
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, tables.GAP, 0, 0), header_style="bold")
    columns = []
    for column, form in enumerate(forms):
        heading, cells = form.padded()
        table.add_column("\n".join(heading), overflow="fold")
        columns.append([_text(cell, style(column, row)) for row, cell in enumerate(cells)])
    for cells in zip(*columns, strict=True):
        table.add_row(*cells)
    console.print(Padding(table, (0, 0, 0, INDENT)))
