"""Pairs: a test measured on both sides, in one pair of fresh processes after another, and the verdicts from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...domain.axes import Case
from ...domain.host import Host
from ...domain.results import Point
from ...domain.verdict import TOLERANCES, Tolerances, Verdict, Word
from ...errors import NotMeasured
from ...judging.paired import Apart, Pair, apart, compare_pairs, expected_factor, pair
from ...judging.spread import Factor
from ...judging.wording import redeclared
from ...measuring.orders import Opened
from ..trees.tree import Tree
from .points import conditions

# Of the cases of a large sweep so many tell how far pairs lie apart as well as all would.
_ENOUGH = 32


@dataclass(frozen=True)
class Absent:
    """Why something is not measured on the other side: the word of its verdict, and the reason."""

    word: Word
    reason: str


class Pairs:
    """What both sides of one test gave: this tree's, and that of `tree`, in `number` pairs of processes."""

    def __init__(self, tree: Tree, host: Host, isolation: str, number: int) -> None:
        self.tree, self._host, self._isolation, self.number = tree, host, isolation, number
        self.measured = 0
        self._pairs: dict[str, list[Pair]] = {}
        # Of the pairs so far, by case.
        self._apart: dict[str, Apart | None] = {}
        # By device, and by case.
        self._absent: dict[str, Absent] = {}
        self._then: dict[str, Opened] = {}

    def lack(self, device: str, absent: Absent) -> None:
        """The other side is not measured on this device."""
        self._absent[device] = absent

    def same_work(self, now: Opened, then: Opened) -> bool:
        """Whether the two, on one device, are asked for the same; remembers what the other side is."""
        self._then[now.device] = then
        return not redeclared(self._conditions(then), conditions(now, self._isolation))

    def add(self, now: Sequence[Point], then: Sequence[Point]) -> None:
        """What one pair of processes gave."""
        self.measured += 1
        others = {point.case.key: point for point in then}
        for point in now:
            other = others.get(point.case.key)
            if other is not None and point.ok:
                self._add(point, other)

    @property
    def cases(self) -> set[str]:
        """The cases that both sides were measured for."""
        return set(self._pairs)

    @property
    def are_to_come(self) -> bool:
        """Whether there are cases with two sides, and fewer pairs of processes than share their measuring time."""
        return bool(self._pairs) and self.measured < self.number

    def verdict(
        self,
        point: Point,
        opened: Opened,
        *,
        tolerance: float,
        level: float,
        seconds: float,
        tolerances: Tolerances = TOLERANCES,
    ) -> Verdict:
        """The verdict of one case; `opened` is this side of it."""
        key, absent = point.case.key, self._absence(point)
        if absent is not None:
            reason = absent.reason
            return Verdict(absent.word, key, tolerance=tolerance, level=level, reason=reason, against=self.tree.name)
        now, then = conditions(opened, self._isolation), self._then.get(point.device)
        return compare_pairs(
            key,
            self._pairs.get(key, []),
            factor=self._expected(point),
            against=self.tree.name,
            tolerance=tolerance,
            level=level,
            conditions=now,
            conditions_then=now if then is None else self._conditions(then),
            seconds=seconds,
            unmeasured=point.reason,
            tolerances=tolerances,
        )

    def _add(self, point: Point, other: Point) -> None:
        key, at = point.case.key, f"at {self.tree.name}"
        if not other.ok:
            self._absent.setdefault(key, Absent("not measured", f"{at} it {_STATES[other.status]}: {other.reason}"))
            return
        try:
            found = pair(point, other, self._then[point.device].hardware or self._host.cpu_hardware)
        except NotMeasured as error:
            self._absent.setdefault(key, Absent("not measured", str(error)))
        else:
            self._pairs.setdefault(key, []).append(found)
            self._apart.pop(key, None)

    def _expected(self, point: Point) -> Factor:
        """How far the pairs of this case are expected to lie apart, by the others on its device."""
        alike = [key for key in self._pairs if key != point.case.key and Case.device_of(key) == point.device]
        for key in alike[:_ENOUGH]:
            if key not in self._apart:
                self._apart[key] = apart(self._pairs[key])
        return expected_factor([one for key in alike[:_ENOUGH] if (one := self._apart[key]) is not None])

    def _absence(self, point: Point) -> Absent | None:
        """Why this case, which ran here, has nothing to be compared with."""
        key, then = point.case.key, self._then.get(point.device)
        if not point.ok or key in self._pairs:
            return None
        if point.device in self._absent:
            return self._absent[point.device]
        if then is not None and dict(point.axes) not in map(dict, then.cases):
            return Absent("new", f"the test does not measure this case at {self.tree.name}")
        return self._absent.get(key)

    def _conditions(self, then: Opened) -> dict[str, str]:
        found = conditions(then, self._isolation)
        other = self.tree.interpreter
        return found if other is None else {**found, "python": other.version}


_STATES = {"failed": "failed", "out of memory": "ran out of memory"}
