"""The runners that a coordinator has started: one for each file, and twins of it for devices and confirmations."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ...measuring.type_cache import drawn
from ..trees.tree import Tree
from .relay import warn_of_runner
from .remote import Runner, RunnerBroken


class Runners:
    """Starts runners when they are first asked for, and ends them.

    `end` and `kill_one` may be called in threads at once, each for a runner of its own; all else is one thread's.
    """

    def __init__(
        self, config: pytest.Config, timeout_s: float, seed: int, make: Callable[..., Runner] = Runner
    ) -> None:
        """`seed` settles those of the processes; `make` is called as the class Runner is."""
        self._config, self._timeout_s, self._seed, self._make = config, timeout_s, seed, make
        self._started: dict[tuple[Path, str], Runner] = {}
        # Held while one is taken out of them, not while it ends.
        self._taking = threading.Lock()

    def has(self, path: Path) -> bool:
        """Whether the runner of a file is there."""
        runner = self._started.get((path, ""))
        return runner is not None and not runner.has_died

    def of(self, path: Path, label: str = "", tree: Tree | None = None, attempt: str = "") -> Runner:
        """The runner of a file; with a label, its twin of that name. Raises RunnerBroken when it cannot start.

        What is measured in the same `attempt` is compared, and has one seed.
        """
        runner = self.begin(path, label, tree, attempt)
        try:
            runner.ready()
        except BaseException:
            del self._started[path, label]
            raise
        return runner

    def begin(self, path: Path, label: str = "", tree: Tree | None = None, attempt: str = "") -> Runner:
        """The same, and do not wait until it is ready.

        One that has died since its last test is told of, and replaced: that is no fault of the next test's.
        """
        known = self._started.get((path, label))
        if known is not None and known.has_died:
            del self._started[path, label]
            self._warn(known, known.obituary())
            known.kill()
        if (path, label) not in self._started:
            seed = drawn(self._seed, str(path), attempt)
            self._started[path, label] = self._make(self._config, path, self._timeout_s, label, tree, seed=seed)
        return self._started[path, label]

    def end(self, path: Path, label: str, *, at_once: bool = False) -> None:
        """Let one runner tear down, and end it; `at_once` without freeing its memory object by object."""
        with self._taking:
            runner = self._started.pop((path, label))
        wrong = runner.close(at_once=at_once)
        # What goes wrong in another tree, or where nothing is to be torn down any more, is no fault of the test's.
        if wrong is not None and runner.tree is None and not at_once:
            self._warn(runner, wrong)

    def kill_one(self, path: Path, label: str) -> None:
        """End one runner at once, if it is there."""
        with self._taking:
            runner = self._started.pop((path, label), None)
        if runner is not None:
            runner.kill()

    def close(self) -> None:
        """Let all runners tear down, and end them."""
        while self._started:
            self.end(*next(reversed(self._started)))

    def kill(self) -> None:
        """End all runners at once, without a teardown."""
        while self._started:
            self._started.popitem()[1].kill()

    def last_words(self) -> list[str]:
        """What those that are gone wrote last."""
        words = [runner.last_words() for runner in self._started.values() if not runner.peer.alive]
        return [said for said in words if said]

    def _warn(self, runner: Runner, wrong: RunnerBroken) -> None:
        words = f"\nthe last lines of its output:\n{wrong.details}" if wrong.details else ""
        warn_of_runner(self._config, runner.path, f"{wrong}{words}")
