"""Conducting: who takes turns when a test is measured, for how long, and what is shown meanwhile."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence, Set

from ...domain.axes import Case
from ...measuring.bench import Bench
from ...measuring.conduct import Conductor, Progress
from ...measuring.orders import Opened
from ...measuring.yardstick import Yardstick
from ..twins.messages import Terms
from .attempts import Attempt
from .bureau import Bureau
from .observing import observer
from .pairs import Pairs


class Conducting:
    """The conductors of one test's measurements, which share an observer of the machine.

    `models` are open in the test's own tree; `unfit` are cases known not to fit into memory, by key, with the reason;
    `last`: nothing is timed in the test's processes after it.
    """

    def __init__(
        self,
        nodeid: str,
        bureau: Bureau,
        terms: Terms,
        pairs: Pairs | None,
        models: Sequence[Opened],
        *,
        unfit: Mapping[str, str],
        last: bool,
    ) -> None:
        self._nodeid, self._bureau, self._terms, self._pairs = nodeid, bureau, terms, pairs
        self._unfit, self._last = unfit, last
        self.observer = observer(models, bureau.meters, bureau.processes)
        self._conductor: Conductor | None = None
        # How many pairs of processes share the measuring time; settled before the first, and how many cases a pair has.
        self.shares, self._cases = 1, 0

    def first(self, benches: Sequence[Bench], others: Sequence[Bench]) -> Conductor:
        """Of the first measurement, which also counts and soaks; `others` are the benches of the other side."""
        self.shares = self._bureau.settings.pairs if others else 1
        mine = {Case(bench.opened.device, axes).key for bench in benches for axes in bench.opened.cases}
        self._cases = len(mine)
        title = f"pair 1 of {self.shares}" if others else ""
        # Of the other side nobody reads energies.
        return self._made([*benches, *others], self._nodeid, mine, title, counts=True, soaked=len(benches))

    def again(self, benches: Sequence[Bench], attempt: Attempt, number: int) -> Conductor:
        """Of an attempt, the `number`th: it is made to tell times alone."""
        title = attempt.name if attempt.confirms else f"{attempt.name} of {self.shares}"
        seed = f"{self._nodeid} {number}"
        return self._made(benches, seed, attempt.cases, title, counts=False, soaked=0)

    def _made(
        self, benches: Sequence[Bench], seed: str, only: Set[str], title: str, *, counts: bool, soaked: int
    ) -> Conductor:
        self._conductor = Conductor(
            benches,
            seconds=self._terms.seconds / self.shares,
            shares=self.shares,
            # An order of its own in every run: what one order favours by chance is not to be found again in the next.
            seed=zlib.crc32(f"{self._bureau.seed} {seed}".encode()),
            # Sides that take turns need no yardstick.
            yardsticks=self._panels(benches) if self._pairs is None else lambda device, threads: (),
            unfit=self._unfit,
            only=only,
            observer=self.observer,
            watch=lambda progress: self._show(progress, title),
            runtime=self._terms.runtime,
            counts=counts,
            last=self._last,
            soaker=self._bureau.soaker,
            soaked=soaked,
        )
        return self._conductor

    def notes(self) -> tuple[str, ...]:
        """What there is to say of yardsticks that the last measurement had to do without."""
        lost = self._conductor.lost_yardsticks if self._conductor is not None else {}
        kinds: dict[str, list[str]] = {}
        for name, why in lost.items():
            kinds.setdefault(why, []).append(name.partition("/")[0])
        told = (f"no yardstick {', '.join(names)}: {why}" for why, names in kinds.items())
        return (*self._bureau.yardsticks.notes(), *told)

    def _panels(self, benches: Sequence[Bench]) -> Callable[[str, int], Sequence[Yardstick]]:
        of_torch = {bench.opened.device for bench in benches if "torch" in bench.opened.versions}
        panel = self._bureau.yardsticks.of
        return lambda device, threads: panel(device, threads=threads, torch=device in of_torch)

    def _show(self, progress: Progress, title: str) -> None:
        case = f"{title}: {progress.case}" if title else progress.case
        left = progress.seconds_left + self._seconds_later()
        self._bureau.progress.show(self._nodeid, case, progress.turn, progress.turns, left)

    def _seconds_later(self) -> float:
        """What the pairs of processes that follow the one under way will measure."""
        measured = self._pairs.measured if self._pairs is not None else 0
        seconds_a_pair = 2 * self._cases * self._terms.seconds / self.shares
        return max(0, self.shares - measured - 1) * seconds_a_pair
