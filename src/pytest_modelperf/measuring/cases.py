"""Cases: those of one session, which are made ready step by step, and called once they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..domain.axes import samples_per_call
from ..domain.metrics import COUNTERS
from ..domain.precision import limiting
from ..domain.results import Warmup
from ..domain.session import ModelFacts, Session
from ..errors import in_one_line
from . import answers, failures, memory
from . import inputs as drawing
from .answers import Answer
from .blocks import time_once, time_waited
from .fitting import CaseMemory
from .orders import Prepare, Prepared
from .pinning import Pins, computing, pins, thread_seconds
from .warmup import warm_up

Call = Callable[[], Any]


class Cases:
    """The cases of a session by their numbers, `axes` the values of each.

    `figures` are those that all of them have alike, by metric path; `weights` is the hash of what they are called with;
    `held` tells what this process holds of the device's memory (None: nobody does).
    """

    def __init__(
        self,
        session: Session,
        inputs: Any,
        axes: Sequence[Mapping[str, int]],
        figures: Mapping[str, float],
        held: Callable[[], int] | None = None,
    ) -> None:
        self._session, self._inputs, self._axes, self._figures = session, inputs, axes, figures
        self.weights = ""
        self._memory = CaseMemory(session, inputs, held)
        # Of those that are ready.
        self._calls: dict[int, Call] = {}
        # Of those that were warmed up here.
        self._pins: dict[int, Pins] = {}
        self._threads: dict[int, int] = {}
        # Of each, the first of its process.
        self._first_seconds: dict[int, float] = {}

    def prepare(self, order: Prepare) -> Prepared:
        """Make a case ready, or take a step to it; what goes wrong is its result."""
        steps = {"whole": self._whole, "admit": self._admitted, "call": self._called, "finish": self._finished}
        try:
            return steps[order.step](order)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is this case's result
            failure = error
        return self.failed(order.case, failure)

    def call(self, case: int) -> Call:
        """The call of a case that is ready."""
        return self._calls[case]

    def pins(self, case: int) -> Pins:
        """The threads that it computes with, on cores of their own."""
        return self._pins.get(case, Pins())

    def inputs(self, case: int) -> Any:
        """The inputs of a case, drawn anew: the same every time."""
        return drawing.draw(self._inputs, self._axes[case])

    def bound(self, case: int, session: Session) -> Call:
        """A call of it on inputs of its own, in this session or in another of the same model."""
        return session.bind(self.inputs(case))

    def was_called(self, case: int, seconds: float) -> None:
        """A call of it took so long: that of the first is told."""
        self._first_seconds.setdefault(case, seconds)

    def failed(self, case: int, error: Exception) -> Prepared:
        """The result of a case that failed: it is not called any more."""
        self._calls.pop(case, None)
        if not self._session.is_out_of_memory(error):
            return Prepared("failed", failures.told(error, self._inputs, self._axes[case]))
        what = in_one_line(error)
        # Tracebacks, of what led to it too, hold the model's intermediate values: without them they can be given back.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        memory.give_back()
        with self._session.running():
            self._session.trim()
        return Prepared("out of memory", what)

    def drop(self) -> None:
        """None is called any more: what they are bound to is given back."""
        self._calls.clear()

    def _whole(self, order: Prepare) -> Prepared:
        for step in (self._admitted, self._called):
            prepared = step(order)
            if prepared.status != "ok":
                return prepared
        with self._session.running():
            warmup, call_seconds = self._warm_up(order, prepared.call_seconds)
        return msgspec.structs.replace(self._finished(order), warmup=warmup, call_seconds=call_seconds)

    def _admitted(self, order: Prepare) -> Prepared:
        """Whether the case is to be tried."""
        memory.give_back()
        self._memory.begin()
        refusal = self._memory.refusal(self._axes[order.case])
        return Prepared("out of memory", refusal) if refusal else Prepared("ok")

    def _called(self, order: Prepare) -> Prepared:
        """The first call, and its time."""
        session = self._session
        with session.running():
            call = self.bound(order.case, session)
            outputs, seconds = called(session, call)
            # Before it is called ten thousand times: what is no answer yet, a coroutine, is refused here.
            session.dtypes(outputs)
        self.was_called(order.case, seconds)
        self._calls[order.case] = call
        return Prepared("ok", call_seconds=seconds)

    def _finished(self, order: Prepare) -> Prepared:
        """All that is to be told of a case that is warm, but for its warm-up and the time of a call."""
        axes = self._axes[order.case]
        first_call = {"cold_start.first_call": self._first_seconds[order.case]}
        asked = drawing.draw(self._inputs, axes)
        # Before a function writes into it.
        digest, differ = drawing.digest(asked), drawing.samples_differ(self._inputs, asked)
        with self._session.running():
            (first,), (second, again) = (
                self._answers(values, axes, calls) for values, calls in ((drawing.copied(asked), 1), (asked, 2))
            )
        notes, counts = answers.remarks(first, second, differ)
        facts = self._session.facts
        return Prepared(
            "ok",
            figures={**self._figures, **first_call, **self._memory.taken(axes)},
            unavailable={**self._memory.unavailable, **not_counted(facts)},
            counts={**counts_of(facts), **counts},
            notes=(*facts.notes, *notes, *answers.written_into(first, second, again)),
            weights=self.weights,
            inputs=digest,
            outputs=answers.kept(first, second),
            threads=self._threads.get(order.case, 0),
        )

    def _answers(self, values: Any, axes: Mapping[str, int], calls: int) -> Iterator[dict[str, Answer]]:
        """What calls on inputs of their own give: the one that is timed may have written into its."""
        call, samples = self._session.bind(values), samples_per_call(self._inputs, axes)
        for _ in range(calls):
            yield self._answer(call, samples)

    def _answer(self, call: Call, samples: int) -> dict[str, Answer]:
        """Told before the next call is made: nothing holds what it gave any more."""
        session, outputs = self._session, call()
        session.wait()
        precision = limiting(session.facts.precision, session.facts.settings)
        return answers.tell(session.arrays(outputs), session.dtypes(outputs), precision, samples)

    def _warm_up(self, order: Prepare, first_seconds: float) -> tuple[Warmup, float]:
        """Call the case until it is steady, and see which threads it computes with."""
        call = self._calls[order.case]

        def sample(calls: int) -> tuple[int, ...]:
            return time_waited(call, self._session.wait, calls)

        before = thread_seconds()
        warm = warm_up(sample, first_seconds, order.seconds)
        after = thread_seconds()
        self._pins[order.case] = pins(before, after)
        self._threads[order.case] = len(computing(before, after))
        return warm


def called(session: Session, call: Call) -> tuple[Any, float]:
    """What a call gives, and the seconds until the device has done its work."""

    def work() -> Any:
        outputs = call()
        session.wait()
        return outputs

    return time_once(work)


def counts_of(facts: ModelFacts) -> dict[str, float]:
    """All counters that the session itself tells, by name."""
    return {name: count for name, count in _told(facts).items() if math.isfinite(count)}


def not_counted(facts: ModelFacts) -> dict[str, str]:
    """Why there is none of the others, by metric path: no file could hold them."""
    endless = {name: count for name, count in _told(facts).items() if not math.isfinite(count)}
    return {f"{COUNTERS}{name}": f"the runtime told {count}: no finite number" for name, count in endless.items()}


def _told(facts: ModelFacts) -> dict[str, float]:
    counted = {"parameters": facts.parameters, "size_bytes": facts.size_bytes}
    return {name: float(count) for name, count in (*counted.items(), *facts.counts.items()) if count is not None}
