"""A test's results as HTML, for the report of another tool: the table of the terminal and the lines under it."""

from __future__ import annotations

from collections.abc import Collection
from html import escape

from ..domain.report import TestResult
from .lines import lines
from .tables import Form, fitted
from .terminal import circumstances
from .totals import counts, tally

# Cells of a table that has all its columns.
_WIDE = 1000


def section(result: TestResult) -> str:
    """The results of one test: verdicts, figures, and what there is to say of them. All text is escaped."""
    shown = fitted(result, _WIDE) if result.sweep.points else {}
    said = "".join(f"<li>{escape(text)}</li>" for text, _ in lines(result, shown))
    heading = f"<b>{escape(totals([result]))}</b> {escape(circumstances(result))}"
    return f'<div class="modelperf"><p>{heading}</p>{_table(list(shown.values()))}<ul>{said}</ul></div>'


def totals(results: Collection[TestResult]) -> str:
    """How many cases have become what, as text: `"1 slower; 3 same"`."""
    return counts(tally(list(results))).plain


def _table(columns: list[Form]) -> str:
    if not columns:
        return ""
    heads = "".join(f"<th>{escape(' '.join(filter(None, column.heading)))}</th>" for column in columns)
    rows = zip(*(column.cells for column in columns), strict=True)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table style="white-space: pre"><tr>{heads}</tr>{body}</table>'
