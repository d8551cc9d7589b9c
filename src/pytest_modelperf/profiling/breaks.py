"""Where torch.compile could not go on: the lines of the user's code at which a graph breaks, as dynamo tells them.

Dynamo tells them once, while it compiles, to loggers that nobody listens to unless TORCH_LOGS asks for it.
"""

from __future__ import annotations

import linecache
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..domain.profile import Place
from .places import told_path

# The modules of dynamo that tell of breaks, each to a logger of its own (torch 2.4 to 2.13).
_LOGGERS = tuple(f"torch._dynamo.{module}.__graph_breaks" for module in ("symbolic_convert", "convert_frame"))
# A break in the middle of a function, and one that leaves the whole of it uncompiled, with the stack below it.
_WHERE = re.compile(r'in user code at (?P<file>.+?):(?P<line>\d+)$|File "(?P<file2>.+?)", line (?P<line2>\d+)', re.M)
MOST_BREAKS = 8


@contextmanager
def watched() -> Iterator[list[Place]]:
    """Gives a list that on the way out holds the places at which graphs broke meanwhile, the most frequent first."""
    found: list[Place] = []
    if "torch._dynamo" not in sys.modules:
        yield found
        return
    listener = _Listener()
    loggers = [(logger, logger.level, logger.propagate) for logger in map(logging.getLogger, _LOGGERS)]
    for logger, _, _ in loggers:
        logger.addHandler(listener)
        logger.setLevel(logging.DEBUG)
        # Nobody has asked for it on the terminal.
        logger.propagate = False
    try:
        yield found
    finally:
        for logger, level, propagate in loggers:
            logger.removeHandler(listener)
            logger.setLevel(level)
            logger.propagate = propagate
        found += [_place(*spot, times) for spot, times in listener.spots.most_common(MOST_BREAKS)]


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.spots: Counter[tuple[str, int]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        told = list(_WHERE.finditer(record.getMessage()))
        if told:
            # Of a stack the innermost, which stands last; a line that says where it is says so first.
            where = told[0] if told[0]["file"] else told[-1]
            self.spots[where["file"] or where["file2"], int(where["line"] or where["line2"])] += 1


def _place(path: str, line: int, times: int) -> Place:
    return Place("break", times, told_path(path), line, linecache.getline(path, line).strip())
