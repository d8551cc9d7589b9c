"""What frameworks log for tools of theirs is no part of a failing test's log.

PyTorch writes an event for each step of a compilation to `torch.__trace`, if anybody listens. From 9.2 on pytest does,
to all loggers that keep their records to themselves: hundreds of empty lines stood in the report, and each event took
its time.
"""

from __future__ import annotations

import logging

import pytest
from _pytest.logging import LogCaptureHandler

from .marker import is_marked

_FOR_TOOLS = ("torch.__trace",)


class Quiet:
    """Has pytest no longer listen to them in marked tests. What others listen with stays, as for `TORCH_TRACE`."""

    # Within each phase, when pytest has begun to listen: wrappers begin before all others.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        _quieten(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        _quieten(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        _quieten(item)


def _quieten(item: pytest.Item) -> None:
    if not is_marked(item):
        return
    for name in _FOR_TOOLS:
        logger = logging.root.manager.loggerDict.get(name)
        # Not made by asking for it: nobody may have imported its framework.
        if isinstance(logger, logging.Logger):
            for handler in [one for one in logger.handlers if isinstance(one, LogCaptureHandler)]:
                logger.removeHandler(handler)
