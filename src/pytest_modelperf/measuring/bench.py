"""A bench: one model on one device, its cases ready to be timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import msgspec
import numpy as np

from ..domain import counting
from ..domain.axes import samples_per_call
from ..domain.counting import Counted, Room, Wanted
from ..domain.device import Device
from ..domain.profile import Taken
from ..domain.results import Warmup
from ..domain.session import FILE, ModelFacts, Session
from ..domain.tensor import tensors
from ..errors import ModelError, ModelPerfError, in_one_line
from . import answers, failures, memory, weights
from . import inputs as drawing
from .answers import Answer
from .blocks import time_calls, time_chunks, time_pipelined, time_waited
from .fitting import CaseMemory
from .orders import (
    Block,
    Count,
    Opened,
    Prepare,
    Prepared,
    Profiled,
    Samples,
    Soak,
    Soaked,
    TakeProfile,
    TakeWeights,
    Tallied,
    Unable,
    WriteWeights,
    Written,
)
from .pinning import Pins, pins, thread_seconds
from .warmup import warm_up


class Bench(Protocol):
    """What takes turns: a model on a device, in this process or in another.

    `prepare` and `block` are asked between `resume` and `pause`; both answer errors of the model as values. They
    raise PeerLost when the process that holds the model is gone.
    """

    opened: Opened

    def prepare(self, order: Prepare) -> Prepared: ...
    def block(self, order: Block) -> Samples: ...
    def count(self, order: Count) -> Tallied: ...
    def soak(self, order: Soak) -> Soaked: ...
    def resume(self) -> None: ...
    def pause(self) -> None: ...
    def release(self) -> None: ...


@dataclass(frozen=True)
class Asked:
    """What a call answered, by output: numpy arrays, halves as float32, and what the framework calls their dtypes.

    `seconds` is what it took, warm or not.
    """

    arrays: Mapping[str, Any]
    dtypes: Mapping[str, str]
    seconds: float = 0.0


class Profiler(Protocol):
    """What looks into a session: `take` profiles it, and raises what the model raises."""

    def unable(self, session: Session) -> str:
        """Why it cannot look into this session, "" where it can."""
        ...

    def take(self, session: Session, inputs: Any, *, calls: int, warm: int) -> Taken: ...


class LocalBench:
    """A bench in this process."""

    def __init__(
        self,
        open_session: Callable[[], Session],
        device: Device,
        inputs: Any,
        cases: list[dict[str, int]],
        *,
        runtime: str = "",
        path: str = "",
        start_bytes: int = 0,
        profiler: Profiler | None = None,
        count: counting.Count | None = None,
    ) -> None:
        """Open the model, on the clock. Raises what the runtime raises.

        `runtime` is what the test asks for by name and options, a condition of the run; `path` that of a model that is
        a file or a folder; `start_bytes` the memory that the process had before the test began (0: nobody knows);
        `count` counts what calls do.
        """
        self._count = count
        self._inputs, self._cases, self._profiler = inputs, cases, profiler
        self._begun = {"memory.start": float(start_bytes)} if start_bytes else {}
        self._calls: dict[int, Callable[[], Any]] = {}
        # Of each case that was warmed up here.
        self._pins: dict[int, Pins] = {}
        # Of each case, the first of its process.
        self._first_seconds: dict[int, float] = {}
        start = perf_counter()
        self._session = open_session()
        self._session.wait()
        load_seconds = perf_counter() - start
        self._memory = CaseMemory(self._session, inputs)
        facts = self._session.facts
        self.opened = Opened(
            device=str(device),
            description=facts.description,
            cases=tuple(cases),
            samples_per_call=tuple(samples_per_call(inputs, case) for case in cases),
            load_seconds=load_seconds,
            asynchronous=self._session.asynchronous,
            versions=dict(facts.versions),
            hardware=facts.hardware,
            inputs="; ".join(f"{path} {tensor}" for path, tensor in tensors(inputs)),
            runtime=runtime,
            settings=dict(facts.settings),
            counts=_counts(facts),
            path=path,
            precision=facts.precision,
            unprofiled=profiler.unable(self._session) if profiler is not None else "nothing here makes profiles",
            **self._told(),
        )

    def resume(self) -> None:
        """It runs here: there is nothing to resume."""

    def pause(self) -> None:
        """It runs here: there is nothing that could be stopped."""

    def release(self) -> None:
        self._calls.clear()
        self._session.close()
        memory.give_back()

    def ask(self, values: Any, case: int | None = None) -> Asked:
        """What the model answers to these inputs, in arrays of their own. Raises what it raises.

        `case`: they are inputs of this case, and it may be the first call of it.
        """
        session = self._session
        with session.running():
            call = session.bind(values)
            start = perf_counter()
            outputs = call()
            session.wait()
            seconds = perf_counter() - start
            arrays = {name: np.array(array) for name, array in session.arrays(outputs).items()}
        if case is not None:
            self._first_seconds.setdefault(case, seconds)
        return Asked(arrays, session.dtypes(outputs), seconds)

    @contextmanager
    def probing(self) -> Iterator[Callable[[int, int, int], tuple[int, ...]]]:
        """Nanoseconds of so many calls of a case, after so many that do not count, before any case is made ready.

        For a choice between benches, never for a figure: nothing is warmed up. Raises what the model raises.
        """
        bound: dict[int, Callable[[], Any]] = {}

        def timed(case: int, calls: int, settling: int) -> tuple[int, ...]:
            with self._session.running():
                if case not in bound:
                    bound[case] = self._bound(case, self._session)
                return time_waited(bound[case], self._session.wait, calls, settling)

        yield timed
        bound.clear()

    def write_weights(self, order: WriteWeights) -> Written | Unable:
        """Hand the weights over."""
        try:
            weights.write(self._session.weights() or {}, Path(order.path))
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            return Unable(_reason(error))
        return Written()

    def take_weights(self, order: TakeWeights) -> Opened | Unable:
        """Take over those of another process."""
        try:
            given = weights.read(Path(order.path))
            if not order.whole and any(weight.dtype == FILE for weight in given.values()):
                return Unable("the model is not taken apart into weights, and the rest of it may be another")
            self._session.load_weights(given)
            self._session.wait()
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            return Unable(_reason(error))
        self.opened = msgspec.structs.replace(self.opened, **self._told())
        return self.opened

    def prepare(self, order: Prepare) -> Prepared:
        steps = {"whole": self._whole, "admit": self._admitted, "call": self._called, "finish": self._finished}
        try:
            return steps[order.step](order)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is this case's result
            failure = error
        self._calls.pop(order.case, None)
        return self._failure(failure, self._cases[order.case])

    def block(self, order: Block) -> Samples:
        call, session = self._calls[order.case], self._session
        try:
            with session.running(), self._pins.get(order.case, Pins()).held():
                if session.asynchronous:
                    samples = time_waited(call, session.wait, order.calls, order.settling)
                else:
                    samples = time_calls(call, order.calls, order.settling)
                queued = time_pipelined(call, session.wait, order.calls) if order.pipelined else 0
                session.wait()
            return Samples(samples, queued)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is this case's result
            problem = error
        # What it is bound to is to be given back with the rest.
        del call
        failure = self._lost(order.case, problem)
        return Samples(error=failure.reason, out_of_memory=failure.status == "out of memory")

    def soak(self, order: Soak) -> Soaked:
        """Call a case in a loop; who reads meters meanwhile is told when how many calls were done."""
        call, session = self._calls[order.case], self._session
        try:
            with session.running():
                return Soaked(time_chunks(call, session.wait, order.calls, order.chunk))
        except Exception as error:  # noqa: BLE001 - whatever a model raises is why there is no soak
            problem = error
        del call
        return Soaked(error=self._lost(order.case, problem).reason)

    def _lost(self, case: int, problem: Exception) -> Prepared:
        """A case that failed after it was ready is not called any more."""
        self._calls.pop(case, None)
        return self._failure(problem, self._cases[case])

    def count(self, order: Count) -> Tallied:
        """Make two more calls of each case, on inputs of their own, and tell what they do."""
        if self._count is None:
            return Tallied(tuple(Counted() for _ in order.cases))
        session, device = self._session, self._session.free_bytes()
        free = memory.available_bytes() if device is None else min(device, memory.available_bytes())
        room = Room(self.opened.load_seconds, session.facts.size_bytes or 0, free, order.last)
        seconds = zip(order.cases, order.call_seconds, strict=True)
        with session.running():
            found = self._count(session, [Wanted(partial(self._bound, case), each) for case, each in seconds], room)
        memory.give_back()
        return Tallied(tuple(found))

    def _bound(self, case: int, session: Session) -> Callable[[], Any]:
        return session.bind(drawing.draw(self._inputs, self._cases[case]))

    def profile(self, order: TakeProfile) -> Profiled:
        """Where the time of a case's calls goes. What is timed here afterwards may be slower."""
        assert self._profiler is not None
        try:
            inputs = drawing.draw(self._inputs, self._cases[order.case])
            taken = self._profiler.take(self._session, inputs, calls=order.calls, warm=order.warm)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            return Profiled(reason=_reason(error))
        return Profiled(taken.profile, taken.trace)

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
        refusal = self._memory.refusal(self._cases[order.case])
        return Prepared("out of memory", refusal) if refusal else Prepared("ok")

    def _called(self, order: Prepare) -> Prepared:
        """The first call, and its time."""
        session = self._session
        with session.running():
            call = session.bind(drawing.draw(self._inputs, self._cases[order.case]))
            start = perf_counter()
            call()
            session.wait()
            seconds = perf_counter() - start
        self._first_seconds.setdefault(order.case, seconds)
        self._calls[order.case] = call
        return Prepared("ok", call_seconds=seconds)

    def _finished(self, order: Prepare) -> Prepared:
        """All that is to be told of a case that is warm, but for its warm-up and the time of a call."""
        axes = self._cases[order.case]
        first_call = self._first_seconds[order.case]
        figures = {"cold_start.load": self.opened.load_seconds, "cold_start.first_call": first_call}
        figures |= self._begun | self._memory.taken(axes)
        asked = drawing.draw(self._inputs, axes)
        # Before a function writes into it.
        digest, differ = drawing.digest(asked), drawing.samples_differ(self._inputs, asked)
        with self._session.running():
            first, second = (self._answers(order.case, values) for values in (drawing.copied(asked), asked))
        notes, counts = answers.remarks(first, second, differ)
        facts = self._session.facts
        return Prepared(
            "ok",
            figures=figures,
            unavailable=self._memory.unavailable,
            counts={**_counts(facts), **counts},
            notes=(*facts.notes, *notes),
            weights=self.opened.weights,
            inputs=digest,
            outputs=answers.kept(first, second),
        )

    def _answers(self, case: int, values: Any) -> dict[str, Answer]:
        """What a call on inputs of its own gives: the one that is timed may have written into its own."""
        session = self._session
        outputs = session.bind(values)()
        session.wait()
        samples = self.opened.samples_per_call[case]
        return answers.tell(session.arrays(outputs), session.dtypes(outputs), session.facts.precision, samples)

    def _told(self) -> dict[str, str]:
        """The hash of the weights, off the clock, or why there is none."""
        try:
            told = self._session.weights()
            return {"weights": "" if told is None else weights.fingerprint(told), "weights_untold": ""}
        except ModelError as error:
            return {"weights": "", "weights_untold": str(error)}

    def _warm_up(self, order: Prepare, first_seconds: float) -> tuple[Warmup, float]:
        """Call the case until it is steady, and see which threads it computes with."""
        call = self._calls[order.case]

        def sample(calls: int) -> tuple[int, ...]:
            return time_waited(call, self._session.wait, calls)

        before = thread_seconds()
        warm = warm_up(sample, first_seconds, order.seconds)
        self._pins[order.case] = pins(before, thread_seconds())
        return warm

    def _failure(self, error: Exception, axes: Mapping[str, int]) -> Prepared:
        if not self._session.is_out_of_memory(error):
            return Prepared("failed", failures.told(error, self._inputs, axes))
        what = in_one_line(error)
        # Tracebacks, of what led to it too, hold the model's intermediate values: without them they can be given back.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        memory.give_back()
        with self._session.running():
            self._session.trim()
        return Prepared("out of memory", what)


def _counts(facts: ModelFacts) -> dict[str, float]:
    counted = {"parameters": facts.parameters, "size_bytes": facts.size_bytes}
    return {name: float(count) for name, count in (*counted.items(), *facts.counts.items()) if count is not None}


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ModelPerfError) else in_one_line(error)
