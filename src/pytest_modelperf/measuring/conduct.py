"""A measurement, conducted: every case made ready, the schedule settled, turns taken, samples handed over."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from ..domain.axes import Case
from ..domain.counting import Counted
from ..domain.results import Status, Timing, Warmup
from ..domain.telemetry import Recording
from ..errors import PeerLost
from .bench import Bench
from .blocks import TICK_NS
from .orders import Count, Prepare, Prepared
from .peer import Lost
from .schedule import BLOCK_SECONDS, schedule
from .soak import Soaker
from .state import NoObserver, Observer
from .turns import Contender, take_turns
from .yardstick import Yardstick


@dataclass(frozen=True)
class Progress:
    """Where a measurement is: what it does with which case, the round (0 before the first), and the seconds left."""

    case: str
    turn: int = 0
    turns: int = 0
    seconds_left: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What was found of one case on the bench of that number.

    `timing` is None when there was nothing to time, `recording` when no meters were to be read. `slow`: one call takes
    longer than all that the case was given.
    """

    bench: int
    case: Case
    samples_per_call: int
    prepared: Prepared
    timing: Timing | None = None
    counted: Counted = field(default_factory=Counted)
    recording: Recording | None = None
    slow: bool = False


class CaseLost(PeerLost):
    """The process that held the model was lost in the middle of a case; `lost` tells how.

    `unfit`: the case does not fit into memory. One that was timed `fits`.
    """

    def __init__(self, lost: Lost, case: Case, doing: str, runtime: str = "", *, fits: bool = False) -> None:
        where = f"{case.label} on {case.device}" + (f" with {runtime}" if runtime else "")
        super().__init__(lost.told(f"while {doing} {where}"))
        self.lost, self.case, self.unfit = lost, case, lost.fate.out_of_memory and not fits


# A case on a bench: the number of the bench, and the case's key.
_Place = tuple[int, str]


class Conductor:
    """Conducts the measurement of one test on one or more benches, all cases of all benches in turn.

    The same case may be on several benches (two commits, two fresh processes): it gets as many rounds on each, in the
    same turns. `seconds` is the measuring time for one case on one bench, one of so many `shares` of what it is given
    in all. `yardsticks` gives the panel of yardsticks for a device and the number of threads that compute there (0:
    nobody can tell). `unfit` names cases that are known not to fit into memory, by `Case.key`, with the reason; `only`
    the cases to measure (None: all). `seed` makes the order of turns repeatable. `observer` looks at the machine, and
    `watch` is told how far it is, only while nothing is timed. `runtime` is the name of what executes the model.
    `counts`: what calls do is counted when all is timed; `last`: nothing is timed in these processes after that.
    `soaker` reads meters before that, while cases of the first `soaked` benches are called in a loop (None: nobody);
    the others are the other side of a comparison, which has been compared where a process of its is lost while counted.
    """

    def __init__(
        self,
        benches: Sequence[Bench],
        *,
        seconds: float,
        seed: int,
        yardsticks: Callable[[str, int], Sequence[Yardstick]] = lambda device, threads: (),
        unfit: Mapping[str, str] | None = None,
        only: Set[str] | None = None,
        observer: Observer | None = None,
        watch: Callable[[Progress], None] = lambda progress: None,
        runtime: str = "",
        counts: bool = True,
        last: bool = False,
        soaker: Soaker | None = None,
        soaked: int = 0,
        shares: int = 1,
    ) -> None:
        self._benches, self._seconds, self._watch, self._runtime = benches, seconds, watch, runtime
        self._counts, self._last = counts, last
        self._soaker, self._soaked, self._shares = soaker, soaked, shares
        self._rng = random.Random(seed)
        self._yardsticks, self._unfit, self._only = yardsticks, dict(unfit or {}), only
        self._observer = observer or NoObserver()
        self._prepared: dict[_Place, Prepared] = {}
        self._contenders: dict[_Place, Contender] = {}
        self._rulers: dict[str, dict[Yardstick, Contender]] = {}
        self._counted: dict[_Place, Counted] = {}
        self._recorded: dict[_Place, Recording] = {}

    def run(self) -> tuple[Measured, ...]:
        """Measure. Raises CaseLost when a process that holds a model is gone."""
        for number, bench in enumerate(self._benches):
            self._prepare(number, bench)
        for number, bench in enumerate(self._benches):
            self._enter(number, bench)
        self._enter_yardsticks()
        self._observer.begin()
        try:
            take_turns(list(self._everyone()), self._rng, self._after_round, self._observer.after_block)
        except Lost as lost:
            raise self._blame(lost) from lost
        finally:
            self._observer.end()
        # Before anything is counted: what counts may leave a process slower than it was.
        for number, bench in enumerate(self._benches[: self._soaked]):
            self._soak(number, bench)
        for number, bench in enumerate(self._benches if self._counts else ()):
            self._count(number, bench)
        return self.results()

    @property
    def lost_yardsticks(self) -> dict[str, str]:
        """Yardsticks that fell out, by name, with the reasons: what was measured beside them counts without them."""
        everyone = {one: ruler for panel in self._rulers.values() for one, ruler in panel.items()}
        return {one.name: ruler.failure.error for one, ruler in everyone.items() if ruler.failure is not None}

    def results(self) -> tuple[Measured, ...]:
        """What has been measured so far, in the order of the cases, bench by bench."""
        return tuple(
            self._measured(number, case, bench.opened.samples_per_call[index])
            for number, bench in enumerate(self._benches)
            for index, case in enumerate(_cases(bench))
            if (number, case.key) in self._prepared
        )

    def _prepare(self, number: int, bench: Bench) -> None:
        """Make the cases ready, the smallest first: what does not fit spares the larger ones."""
        for index, case in sorted(enumerate(_cases(bench)), key=lambda numbered: _size(numbered[1])):
            if self._only is not None and case.key not in self._only:
                continue
            self._watch(Progress(f"warming up {case.key}"))
            self._prepared[number, case.key] = self._spared(number, case) or self._warmed(bench, index, case)

    def _spared(self, number: int, case: Case) -> Prepared | None:
        if case.key in self._unfit:
            return Prepared("out of memory", self._unfit[case.key])
        # The smallest first: the larger of two that did not fit may not have been tried itself.
        for smaller in sorted(_cases(self._benches[number]), key=_size):
            prepared = self._prepared.get((number, smaller.key))
            if prepared is not None and prepared.status == "out of memory" and case.covers(smaller):
                return Prepared("out of memory", f"not tried: {smaller.label} did not fit")
        return None

    def _warmed(self, bench: Bench, index: int, case: Case) -> Prepared:
        bench.resume()
        try:
            return bench.prepare(Prepare(index, self._seconds))
        except Lost as lost:
            raise CaseLost(lost, case, "warming up", self._runtime) from lost
        finally:
            bench.pause()

    def _enter(self, number: int, bench: Bench) -> None:
        pipelined = bench.opened.asynchronous
        for index, case in enumerate(_cases(bench)):
            ready = self._prepared.get((number, case.key))
            if ready is not None and ready.status == "ok":
                seconds = self._call_seconds(case)
                plan = schedule(seconds, self._seconds, pipelined=pipelined, shares=self._shares)
                entered = Contender(bench, index, plan, pipelined and not plan.slow, group=case.key)
                self._contenders[number, case.key] = entered

    def _count(self, number: int, bench: Bench) -> None:
        """Have what calls do counted, of the cases that were timed."""
        timed = self._timed(number, bench)
        if not timed:
            return
        self._watch(Progress("counting operators"))
        bench.resume()
        try:
            tallied = bench.count(Count(tuple(timed), tuple(timed.values()), self._last))
        except Lost as lost:
            if 0 < self._soaked <= number:
                # The other side of a comparison: its times are all there, and what calls do is told of this side alone.
                return
            doing = "counting" if len(timed) == 1 else "counting the cases from"
            raise CaseLost(lost, _cases(bench)[min(timed)], doing, self._runtime, fits=True) from lost
        finally:
            bench.pause()
        for index, counted in zip(timed, tallied.cases, strict=True):
            self._counted[number, _cases(bench)[index].key] = counted

    def _soak(self, number: int, bench: Bench) -> None:
        """Have the meters read of the cases that were timed."""
        if self._soaker is None:
            return
        for index, call_seconds in self._timed(number, bench).items():
            case = _cases(bench)[index]
            self._watch(Progress(f"reading meters of {case.key}"))
            try:
                self._recorded[number, case.key] = self._soaker.soak(bench, index, call_seconds)
            except Lost as lost:
                raise CaseLost(lost, case, "reading meters of", self._runtime) from lost

    def _timed(self, number: int, bench: Bench) -> dict[int, float]:
        """The cases of a bench that were timed, by their numbers, with the seconds that a call takes."""
        return {
            index: self._prepared[number, case.key].call_seconds
            for index, case in enumerate(_cases(bench))
            if (contender := self._contenders.get((number, case.key))) is not None and contender.failure is None
        }

    def _call_seconds(self, case: Case) -> float:
        """Of the slowest bench that has the case: two sides of a comparison are to have equal rounds."""
        ready = [self._prepared.get((number, case.key)) for number in range(len(self._benches))]
        return max(prepared.call_seconds for prepared in ready if prepared is not None)

    def _enter_yardsticks(self) -> None:
        turns = max((contender.schedule.rounds for contender in self._contenders.values()), default=0)
        # In the order of the benches: a set's differs between processes, and the seed would not settle the turns.
        devices = dict.fromkeys(bench.opened.device for bench in self._benches) if turns else ()
        panels = {device: self._yardsticks(device, self._threads(device)) for device in devices}
        everyone = dict.fromkeys(yardstick for panel in panels.values() for yardstick in panel)
        share = self._yardstick_seconds() * turns / max(1, len(everyone))
        rulers = {
            yardstick: Contender(yardstick, yardstick.index, yardstick.schedule(turns, share)) for yardstick in everyone
        }
        self._rulers = {
            device: {yardstick: rulers[yardstick] for yardstick in panel} for device, panel in panels.items()
        }

    def _threads(self, device: str) -> int:
        """The most that any case on this device was seen to compute with."""
        cases = (self._prepared[place] for place in self._contenders if self._device(place) == device)
        return max((prepared.threads for prepared in cases), default=0)

    def _device(self, place: _Place) -> str:
        return self._benches[place[0]].opened.device

    def _yardstick_seconds(self) -> float:
        """How long all yardsticks may take together in a turn: a third of the time, half of what the cases are given.

        A fast model does not fill its time, which the schedule counts as if it did.
        """
        return (
            sum(
                max(
                    contender.schedule.block_seconds(self._prepared[place].call_seconds, contender.pipelined),
                    BLOCK_SECONDS,
                )
                for place, contender in self._contenders.items()
            )
            / 2
        )

    def _everyone(self) -> dict[Contender, float]:
        """All who take turns, with the seconds that they need in all."""
        cases = {
            contender: contender.schedule.seconds(self._prepared[place].call_seconds, contender.pipelined)
            for place, contender in self._contenders.items()
        }
        rulers = {
            ruler: ruler.schedule.seconds(yardstick.call_seconds)
            for panel in self._rulers.values()
            for yardstick, ruler in panel.items()
        }
        return {**cases, **rulers}

    def _after_round(self, turn: int, turns: int) -> None:
        left = sum(self._everyone().values()) * (1 - turn / turns)
        self._watch(Progress(f"{len(self._contenders)} cases in turn", turn, turns, left))

    def _measured(self, number: int, case: Case, samples_per_call: int) -> Measured:
        prepared, contender = self._prepared[number, case.key], self._contenders.get((number, case.key))
        if prepared.status != "ok":
            return Measured(number, case, samples_per_call, prepared)
        if contender is not None and contender.failure is not None:
            status: Status = "out of memory" if contender.failure.out_of_memory else "failed"
            return Measured(number, case, samples_per_call, Prepared(status, contender.failure.error))
        if contender is None or not contender.blocks:
            return Measured(number, case, samples_per_call, Prepared("failed", "interrupted before its first round"))
        timing, place = self._timing(case, contender, prepared.warmup), (number, case.key)
        counted = self._counted.get(place, Counted())
        recorded, slow = self._recorded.get(place), contender.schedule.slow
        return Measured(number, case, samples_per_call, prepared, timing, counted, recorded, slow)

    def _timing(self, case: Case, contender: Contender, warmup: Warmup) -> Timing:
        turns = sorted(contender.blocks)
        panel = self._rulers.get(case.device, {})
        rulers = {yardstick: ruler for yardstick, ruler in panel.items() if ruler.failure is None}
        return Timing(
            rounds_ns=tuple(contender.blocks[turn].samples_ns for turn in turns),
            pipelined=tuple(
                (contender.schedule.calls, contender.blocks[turn].pipelined_ns) for turn in turns if contender.pipelined
            ),
            turns=tuple(turns),
            yardsticks={
                yardstick.name: tuple(ruler.blocks[turn].samples_ns if turn in ruler.blocks else () for turn in turns)
                for yardstick, ruler in rulers.items()
            },
            disturbed=self._disturbed(contender, turns),
            disturbed_yardsticks={yardstick.name: self._disturbed(ruler, turns) for yardstick, ruler in rulers.items()},
            settling_calls=contender.schedule.settling,
            warmup=warmup,
            tick_ns=TICK_NS,
        )

    def _disturbed(self, contender: Contender, turns: Sequence[int]) -> tuple[int, ...]:
        disturbed = self._observer.disturbed(contender)
        return tuple(number for number, turn in enumerate(turns) if turn in disturbed)

    def _blame(self, lost: Lost) -> PeerLost:
        """The case that was being timed when a process was lost: the one whose bench no longer answers."""
        for number, bench in enumerate(self._benches):
            for case in _cases(bench):
                contender = self._contenders.get((number, case.key))
                if contender is not None and contender.playing:
                    return CaseLost(lost, case, "timing", self._runtime)
        return lost


def _size(case: Case) -> int:
    return math.prod(case.axes.values())


def _cases(bench: Bench) -> tuple[Case, ...]:
    return tuple(Case(bench.opened.device, axes) for axes in bench.opened.cases)
