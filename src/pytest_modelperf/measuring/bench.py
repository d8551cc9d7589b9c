"""A bench: one model on one device, its cases ready to be timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from ..domain import counting
from ..domain.axes import samples_per_call
from ..domain.counting import Counted, Room, Wanted
from ..domain.device import Device
from ..domain.profile import Taken
from ..domain.session import FILE, Session
from ..domain.tensor import tensors
from ..errors import MetricUnavailable, ModelError, ModelPerfError, in_one_line
from . import memory, weights
from .blocks import time_calls, time_chunks, time_once, time_pipelined, time_waited
from .cases import Cases, called, counts_of
from .orders import (
    Block,
    Card,
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
        card: Card | None = None,
        held: Callable[[], int] | None = None,
    ) -> None:
        """Open the model, on the clock. Raises what the runtime raises.

        `runtime` is what the test asks for by name and options, a condition of the run; `path` that of a model that is
        a file or a folder; `start_bytes` the memory that the process had before the test began (0: nobody knows);
        `count` counts what calls do; `card` is the hardware of the device, `held` tells what this process holds of its
        memory (None: nobody does).
        """
        self._count = count
        self._profiler = profiler
        self._session, load_seconds = time_once(lambda: _waited_for(open_session()))
        begun = {"memory.start": float(start_bytes)} if start_bytes else {}
        self._cases = Cases(self._session, inputs, cases, {"cold_start.load": load_seconds, **begun}, held)
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
            counts=counts_of(facts),
            path=path,
            precision=facts.precision,
            cards=() if card is None else (card,),
            free_bytes=self._session.free_bytes(),
            held_bytes=_held_on_device(self._session, held),
            unprofiled=profiler.unable(self._session) if profiler is not None else "nothing here makes profiles",
            **self._told(),
        )
        self._cases.weights = self.opened.weights

    def resume(self) -> None:
        """It runs here: there is nothing to resume."""

    def pause(self) -> None:
        """It runs here: there is nothing that could be stopped."""

    def release(self) -> None:
        self._cases.drop()
        self._session.close()
        memory.give_back()

    def ask(self, values: Any, case: int | None = None) -> Asked:
        """What the model answers to these inputs, in arrays of their own. Raises what it raises.

        `case`: they are inputs of this case, and it may be the first call of it.
        """
        session = self._session
        with session.running():
            asked = self._answered(*called(session, session.bind(values)))
        if case is not None:
            self._cases.was_called(case, asked.seconds)
        return asked

    def ask_twice(self, values: Any) -> tuple[Asked, Asked]:
        """What two calls on the same inputs answer: the first may have written into them. Raises what they raise."""
        session = self._session
        with session.running():
            call = session.bind(values)
            first, second = (self._answered(*called(session, call)) for _ in range(2))
        return first, second

    @contextmanager
    def probing(self) -> Iterator[Callable[[int, int, int], tuple[int, ...]]]:
        """Nanoseconds of so many calls of a case, after so many that do not count, before any case is made ready.

        For a choice between benches, never for a figure: nothing is warmed up. Raises what the model raises.
        """
        bound: dict[int, Callable[[], Any]] = {}

        def timed(case: int, calls: int, settling: int) -> tuple[int, ...]:
            with self._session.running():
                if case not in bound:
                    bound[case] = self._cases.bound(case, self._session)
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
        self._cases.weights = self.opened.weights
        return self.opened

    def prepare(self, order: Prepare) -> Prepared:
        return self._cases.prepare(order)

    def block(self, order: Block) -> Samples:
        call, session = self._cases.call(order.case), self._session
        try:
            with session.running(), self._cases.pins(order.case).held():
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
        failure = self._cases.failed(order.case, problem)
        return Samples(error=failure.reason, out_of_memory=failure.status == "out of memory")

    def soak(self, order: Soak) -> Soaked:
        """Call a case in a loop; who reads meters meanwhile is told when how many calls were done."""
        call, session = self._cases.call(order.case), self._session
        try:
            with session.running():
                return Soaked(time_chunks(call, session.wait, order.calls, order.chunk))
        except Exception as error:  # noqa: BLE001 - whatever a model raises is why there is no soak
            problem = error
        del call
        return Soaked(error=self._cases.failed(order.case, problem).reason)

    def count(self, order: Count) -> Tallied:
        """Make two more calls of each case, on inputs of their own, and tell what they do."""
        if self._count is None:
            return Tallied(tuple(Counted() for _ in order.cases))
        session, device = self._session, self._session.free_bytes()
        free = memory.available_bytes() if device is None else min(device, memory.available_bytes())
        room = Room(self.opened.load_seconds, session.facts.size_bytes or 0, free, order.last)
        seconds = zip(order.cases, order.call_seconds, strict=True)
        with session.running():
            found = self._count(
                session, [Wanted(partial(self._cases.bound, case), each) for case, each in seconds], room
            )
        memory.give_back()
        return Tallied(tuple(found))

    def profile(self, order: TakeProfile) -> Profiled:
        """Where the time of a case's calls goes. What is timed here afterwards may be slower."""
        assert self._profiler is not None
        try:
            inputs = self._cases.inputs(order.case)
            taken = self._profiler.take(self._session, inputs, calls=order.calls, warm=order.warm)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            return Profiled(reason=_reason(error))
        return Profiled(taken.profile, taken.trace)

    def _answered(self, outputs: Any, seconds: float) -> Asked:
        arrays = {name: np.array(array) for name, array in self._session.arrays(outputs).items()}
        return Asked(arrays, self._session.dtypes(outputs), seconds)

    def _told(self) -> dict[str, str]:
        """The hash of the weights, off the clock, or why there is none."""
        try:
            told = self._session.weights()
            return {"weights": "" if told is None else weights.fingerprint(told), "weights_untold": ""}
        except ModelError as error:
            return {"weights": "", "weights_untold": str(error)}


def _held_on_device(session: Session, held: Callable[[], int] | None) -> int | None:
    """What an open model holds of its device's own memory."""
    try:
        peak = session.peak()
        return None if peak is None else peak.reserved_bytes or peak.peak_bytes
    except MetricUnavailable:
        # Its framework does not tell.
        with suppress(MetricUnavailable):
            return None if held is None else held()
    return None


def _waited_for(session: Session) -> Session:
    session.wait()
    return session


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ModelPerfError) else in_one_line(error)
