"""The port of a reporter, and how `--modelperf-report=FORMAT:PATH` chooses one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..domain.report import Report
from ..errors import UsageError, nearest

OPTION = "--modelperf-report"


class Reporter(Protocol):
    """What writes a finished report in one format. It formats and computes nothing.

    Called once, at the end of a run, in the coordinator's process.
    """

    @property
    def name(self) -> str:
        """The FORMAT of `--modelperf-report=FORMAT:PATH`, a word without a colon."""
        ...

    def write(self, report: Report, path: Path) -> None:
        """The report at `path`, whole or not at all, its folders made. Raises ModelPerfError, which names the path."""
        ...


def parse_report_option(text: str, reporters: Sequence[Reporter]) -> tuple[Reporter, Path]:
    """The reporter and the file that `FORMAT:PATH` names. Only the first colon counts, so `json:C:\\x.json` is fine.

    Raises UsageError without a colon, for an unknown format and for an empty path.
    """
    known = {reporter.name: reporter for reporter in reporters}
    name, colon, path = text.partition(":")
    if text in known or (name in known and not path.strip()):
        raise UsageError(f"{OPTION}={text} names no file; write {OPTION}={name}:PATH")
    if not colon or _is_drive(text):
        raise UsageError(f"{OPTION}={text} names no format; write {OPTION}={_guess(text, known)}:{text or 'PATH'}")
    if name not in known:
        raise UsageError(f"{OPTION}={text}: there is no report format {name!r}; {nearest(name, known)}")
    # No shell expands a tilde behind a colon.
    return known[name], Path(path).expanduser()


def _is_drive(text: str) -> bool:
    return len(text) > 2 and text[0].isalpha() and text[1] == ":" and text[2] in "\\/"


def _guess(path: str, known: dict[str, Reporter]) -> str:
    suffix = path.rpartition(".")[2]
    return suffix if suffix in known else min(known, default="FORMAT")
