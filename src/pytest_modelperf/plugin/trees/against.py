"""`--modelperf-against`: the commit is checked out before anything runs, and gone when all is over."""

from __future__ import annotations

import pytest

from ...domain.codec import from_json, to_json
from ...errors import ModelPerfError
from ..examining.bureau import Bureau
from ..marker import is_marked
from ..twins.twin import outside
from . import environment, interpreter
from .tree import Tree, below
from .worktree import Worktree

# What a worker of xdist is told the other side's tree by.
_KEY = "modelperf_against"


class Against:
    """The other side of a run's comparisons, in the process that all others are started from."""

    def __init__(self, config: pytest.Config, bureau: Bureau) -> None:
        self._config, self._bureau = config, bureau

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        if self._config.getoption("collectonly"):
            return
        settings, invocation = self._bureau.settings, self._config.invocation_params.dir
        try:
            other = interpreter.ask(settings.against_python, invocation) if settings.against_python else None
            worktree = Worktree(
                settings.against, self._config.rootpath, settings.against_pythonpath, settings.against_link, other
            )
            # Later than every plugin's end: by then no runner is left in it.
            self._config.add_cleanup(worktree.remove)
            note = environment.note(worktree.tree) if other is None else ""
        except ModelPerfError as error:
            raise pytest.UsageError(str(error)) from None
        self._bureau.tree = worktree.tree
        self._bureau.notes += [note] if note else []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        node.workerinput[_KEY] = to_json(self._bureau.tree)  # type: ignore[attr-defined]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        tree = self._bureau.tree
        for item in session.items:
            if tree is not None and is_marked(item) and below(str(item.path), tree.here) is None:
                raise pytest.UsageError(outside(item.path, tree))


def of_worker(config: pytest.Config) -> Tree | None:
    """The other side's tree, in a worker of xdist that was told of one."""
    told = config.workerinput.get(_KEY)  # type: ignore[attr-defined]
    return from_json(told, Tree) if told is not None else None
