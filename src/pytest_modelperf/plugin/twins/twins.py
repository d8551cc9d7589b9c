"""The twins of one test: further runners that hold the very model of its own, on other devices, afresh, elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from psutil import Process

from ...measuring.processes import kill_all
from ..examining.pairs import Absent
from ..trees.tree import Tree
from .messages import Missing, Refused
from .remote import RunnerBroken
from .remote_bench import LOST, RemoteBench
from .runners import Runners
from .same_model import Original, note_on_weights, refusal
from .twin import Steps, Twin, here, side_by_side, there

# What is done with the benches of fresh runners: this tree's, and the other's.
Use = Callable[[Sequence[RemoteBench], Sequence[RemoteBench]], None]


# Whatever was done to a process, its end is not waited for longer.
ENDING_SECONDS = 5.0


@dataclass(frozen=True)
class Other:
    """The other side of a test on one device: its twin, and its bench."""

    twin: Twin
    bench: RemoteBench

    def part(self) -> None:
        """Have it leave its test. What goes wrong there now is nobody's concern."""
        try:
            self.bench.release()
            self.twin.dismiss()
        except LOST:
            self.twin.kill()


class Fresh:
    """A fresh process that holds the test's model; or why there is none."""

    def __init__(self, twin: Twin, opened: RemoteBench | Exception) -> None:
        self._twin, self._opened = twin, opened
        if isinstance(opened, Exception):
            twin.kill()

    def held(self) -> RemoteBench:
        """The model. Raises what there is to say where there is none."""
        if isinstance(self._opened, Exception):
            raise self._opened
        return self._opened

    def close(self) -> None:
        """Have it tear down, and end it soon, with all that it has started.

        Several may be closed in threads at once: each speaks to its own process alone, and the Runners that they share
        let go of one at a time.
        """
        started: list[Process] = []
        try:
            if isinstance(self._opened, RemoteBench) and self._opened.runner.peer.alive:
                started = self._opened.hurry(ENDING_SECONDS)
                # What goes wrong there now is nobody's concern.
                with contextlib.suppress(*LOST):
                    self._twin.dismiss()
                    self._twin.end(at_once=True)
        finally:
            self._twin.kill()
            kill_all(started)


def close_all(some: Sequence[Fresh]) -> None:
    """End them side by side."""
    with ThreadPoolExecutor(len(some)) as pool:
        list(pool.map(lambda one: one.close(), some))


class Opens(Protocol):
    """Gives fresh processes on a device, one for each name, started side by side. Raises what ends the run."""

    def __call__(self, device: str, names: Sequence[str]) -> Sequence[Fresh]: ...


class Twins:
    """Starts and ends the twins of one test of the file at `path`, whose `original` is open before any of them."""

    def __init__(
        self, runners: Runners, path: Path, test: str, then: str, tree: Tree | None, note: Callable[[str], None]
    ) -> None:
        """`then` is the next test of the runner, "" for none; `tree` the other side, None where there is none.

        `note` is told what a reader should know of the sweep.
        """
        self._runners, self._path, self._test, self._then = runners, path, test, then
        self._tree, self._note = tree, note
        self._further: list[Twin] = []
        # The model of the test's own runner, once that has opened it.
        self.original: Original | None = None

    @property
    def are_waiting(self) -> bool:
        """Whether any on a further device is in the call of its fixture."""
        return bool(self._further)

    def further(self, device: str) -> RemoteBench | Missing | Refused:
        """The test's model on a further device."""
        twin = self._twin(device)
        (bench,) = side_by_side([here(twin)])
        if not isinstance(bench, RemoteBench):
            return bench
        reason = self._refusal(bench)
        if reason:
            bench.release()
            twin.dismiss()
            return Refused(reason)
        self._further.append(twin)
        return bench

    def dismiss(self) -> None:
        """Have those on further devices leave their tests."""
        for twin in self._further:
            twin.dismiss()

    def others(self, devices: Sequence[str], tree: Tree) -> dict[str, Other | Absent]:
        """By device, the other side of the test, or why there is none."""
        twins = [self._twin(device, "", tree) for device in devices]
        opened = side_by_side([there(twin, tree) for twin in twins])
        return {
            twin.device: one if isinstance(one, Absent) else Other(twin, one)
            for twin, one in zip(twins, opened, strict=True)
        }

    def share_weights(self, bench: RemoteBench) -> None:
        """Have the other side compute with this side's weights, where it can."""
        assert self.original is not None
        assert self._tree is not None
        self._note(note_on_weights(self.original, bench, self._tree.name))

    def fresh(self, device: str, names: Sequence[str]) -> list[Fresh]:
        """Fresh processes on a device, started side by side. Raises what ends the run."""
        twins = [self._twin(device, name) for name in names]
        try:
            opened = side_by_side([_at_best(here(twin)) for twin in twins])
            return [Fresh(twin, self._same(one)) for twin, one in zip(twins, opened, strict=True)]
        except BaseException:
            for twin in twins:
                twin.kill()
            raise

    def _same(self, opened: RemoteBench | Missing | Refused | Exception) -> RemoteBench | Exception:
        """What holds the test's own model, or why it does not."""
        if not isinstance(opened, RemoteBench):
            return opened if isinstance(opened, Exception) else RunnerBroken(opened.reason)
        try:
            self._check_model(opened)
        except LOST as error:
            return error
        return opened

    def use(self, devices: Sequence[str], name: str, use: Use, tree: Tree | None) -> str:
        """Do something with fresh processes for these devices, and in the other tree where there is one.

        Gives why it could not be done, "" where it was. What was done stands, whatever becomes of a process afterwards.
        """
        mine = [self._twin(device, name, attempt=name) for device in devices]
        theirs = [self._twin(device, name, tree, name) for device in devices] if tree is not None else []
        try:
            benches = self._opened(mine, theirs)
            use(benches[: len(mine)], benches[len(mine) :])
        except LOST as error:
            return str(error)
        else:
            for twin, bench in zip((*mine, *theirs), benches, strict=True):
                self._tear_down(twin, bench, name)
        finally:
            for twin in (*mine, *theirs):
                twin.kill()
        return ""

    def close(self) -> None:
        """Remove what was written down of the original for them."""
        if self.original is not None:
            self.original.close()

    def _opened(self, mine: Sequence[Twin], theirs: Sequence[Twin]) -> list[RemoteBench]:
        """The benches of these twins, in this order. Raises what is LOST, also where one has no bench."""
        opened = side_by_side(
            [
                *(here(twin) for twin in mine),
                *(there(twin, self._tree) for twin in theirs if self._tree is not None),
            ]
        )
        benches = [_there_is(one) for one in opened]
        for bench in benches[: len(mine)]:
            self._check_model(bench)
        for bench in benches[len(mine) :]:
            self.share_weights(bench)
        return benches

    def _tear_down(self, twin: Twin, bench: RemoteBench, name: str) -> None:
        """Have it close its model, leave its test and end. Libraries crash there: a note, for what was done stands."""
        try:
            bench.release()
            twin.dismiss()
            twin.end()
        except LOST as error:
            self._note(f"{name}: its process was lost at its end: {error}")

    def _check_model(self, bench: RemoteBench) -> None:
        """Raises RunnerBroken where a process of this tree does not hold the model of the test's own."""
        reason = self._refusal(bench)
        if reason:
            raise RunnerBroken(reason)

    def _refusal(self, bench: RemoteBench) -> str:
        assert self.original is not None
        return refusal(self.original, bench)

    def _twin(self, device: str, name: str = "", tree: Tree | None = None, attempt: str = "") -> Twin:
        where = f"at {tree.name} on {device}" if tree is not None else f"on {device}"
        label = ", ".join(filter(None, [where, name]))
        return Twin(self._runners, self._path, self._test, self._then, device, label, tree, attempt)


def _there_is(opened: RemoteBench | Missing | Refused | Absent) -> RemoteBench:
    if not isinstance(opened, RemoteBench):
        raise RunnerBroken(opened.reason)
    return opened


def _at_best(steps: Steps[RemoteBench | Missing | Refused]) -> Steps[RemoteBench | Missing | Refused | Exception]:
    """The same, with what goes wrong as a value: those started beside it go on."""
    try:
        return (yield from steps)
    except LOST as error:
        return error
