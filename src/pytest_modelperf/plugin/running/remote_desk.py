"""The desk in a runner: passes everything on to the coordinator, and does with the test's model what it orders."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ...domain.device import Device
from ...domain.results import Sweep
from ...errors import ConversionError, DeviceMissing, NotMeasured, TooSlow, in_words
from ...measuring.bench import LocalBench
from ...measuring.channel import Channel
from ...measuring.memory import CONVERTING_SCORE, spare, volunteer
from ...measuring.orders import (
    Block,
    Count,
    Prepare,
    Release,
    Released,
    Soak,
    TakeProfile,
    TakeWeights,
    Unable,
    WriteWeights,
    Written,
)
from ...measuring.tracers import tracer
from ..trees.imports import Imports
from ..twins.messages import (
    Answered,
    BodyDone,
    Candidates,
    Convert,
    Dismiss,
    Judged,
    ListCandidates,
    Made,
    Missing,
    Open,
    OpenInstead,
    Prove,
    Refused,
    Skip,
    Swept,
    Terms,
    ToRunner,
    Unmeasurable,
    Unproven,
)
from .desk import Opener
from .logged import written_to
from .time_limit import TimeLimit

if TYPE_CHECKING:
    from ...converting.making import Making


class TwinDone(pytest.skip.Exception):  # type: ignore[misc, name-defined]
    """A twin has taken its turns: the body of its test is left here, its teardown runs."""


class RemoteDesk:
    """The desk in a runner: passes everything on to the coordinator and does what it orders."""

    def __init__(self, channel: Channel[ToRunner], imports: Imports | None = None) -> None:
        """`imports` are checked wherever a model may have imported more."""
        self._channel, self._imports = channel, imports
        # A twin that converts waits for its turn as long as others do: no limit of its test is meant for that.
        self.time_limit = TimeLimit()
        # How the model of the test is opened, and where it was, as long as the test may be asked for it.
        self._opener: Opener | None = None
        self._device: Device | None = None
        # What a converter has made of it, until that is proven.
        self._unproven: Making | None = None

    def begin(self, nodeid: str) -> None:
        """The coordinator knows: it said which test to run."""

    def measure(self, terms: Terms, opener: Opener) -> Sweep:
        __tracebackhide__ = True
        traced = tracer()
        if traced is not None:
            raise NotMeasured(str(traced))
        self._channel.send(terms)
        self._opener = opener
        bench: LocalBench | None = None
        while True:
            order = self._next_order(bench)
            if isinstance(order, Open):
                bench = self._opened(opener, order)
            elif isinstance(order, OpenInstead):
                bench = self._opened_instead(opener, order, bench)
            elif isinstance(order, ListCandidates):
                self._channel.send(self._candidates(opener, bench))
            elif isinstance(order, Convert):
                self._convert(opener, order, bench)
                bench = None
            elif isinstance(order, Prove):
                bench = self._proven(opener, order)
            elif isinstance(order, Swept):
                return order.sweep
            elif isinstance(order, Skip):
                pytest.skip(order.reason)
            elif isinstance(order, Unmeasurable):
                raise NotMeasured(order.reason)
            else:
                assert isinstance(order, Dismiss)
                raise TwinDone("a twin's part is done")

    def judge(self, passed: bool) -> Judged:
        with self.time_limit.held():
            self._channel.send(BodyDone(passed))
            # Orders come first that were on their way to a body which a time limit has ended.
            while True:
                order = self._channel.receive()
                if isinstance(order, WriteWeights):
                    self._channel.send(self._written_anew(order))
                elif isinstance(order, Judged):
                    self._opener = None
                    return order

    def _next_order(self, bench: LocalBench | None) -> ToRunner:
        """The next order that is not the bench's; those are carried out."""
        __tracebackhide__ = True
        try:
            while True:
                order = self._channel.receive()
                do = _OF_THE_BENCH.get(type(order))
                if do is None:
                    return order
                assert bench is not None
                answer = do(bench, order)
                if isinstance(order, Prepare):
                    self._check_imports()
                self._channel.send(answer)
        except BaseException as error:
            # A time limit's signal, or what no model should raise (pytest.skip, SystemExit): the coordinator waits.
            with contextlib.suppress(OSError):
                self._channel.send(Refused(in_words(error)))
            raise

    def _opened(self, opener: Opener, order: Open) -> LocalBench | None:
        try:
            self._device = Device.parse(order.device)
            bench = opener.open(self._device)
            self._check_imports()
        except DeviceMissing as missing:
            self._channel.send(Missing(str(missing)))
            return None
        except BaseException as error:
            self._channel.send(Refused(in_words(error)))
            raise
        self._channel.send(bench.opened)
        return bench

    def _opened_instead(self, opener: Opener, order: OpenInstead, bench: LocalBench | None) -> LocalBench | None:
        if bench is not None:
            bench.release()
        try:
            bench = opener.open(Device.parse(order.device), order.path)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            self._channel.send(Unable(in_words(error)))
            return None
        self._channel.send(bench.opened)
        return bench

    def _candidates(self, opener: Opener, bench: LocalBench | None) -> Candidates | Unable:
        self.time_limit.end()
        assert bench is not None
        assert self._device is not None
        maker = opener.maker(bench.opened.path)
        try:
            maker.check(bench)
            return Candidates(maker.candidates(self._device))
        except ConversionError as error:
            return Unable(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the reason
            return Unable(in_words(error))

    def _convert(self, opener: Opener, order: Convert, bench: LocalBench | None) -> None:
        """Make a variant, in place of the original, which is closed."""
        self.time_limit.end()
        assert bench is not None
        assert self._device is not None
        volunteer(CONVERTING_SCORE)
        with self._telling(order.log):
            self._unproven = opener.maker(bench.opened.path).convert(
                order.name, bench, self._device, Path(order.folder), lambda: self._channel.send(Answered())
            )
            spare()
            self._channel.send(Unproven())

    def _proven(self, opener: Opener, order: Prove) -> LocalBench | None:
        """The bench of the variant that was made; None where it is none."""
        assert self._unproven is not None
        made, self._unproven = self._unproven, None
        with self._telling(order.log):
            bench, variant = opener.maker(made.path).prove(made, order.seconds, order.rival)
            self._channel.send(Made(bench.opened, variant))
            return bench
        return None

    @contextlib.contextmanager
    def _telling(self, log: str) -> Iterator[None]:
        """What is written goes into the log, and what is raised is told the coordinator, as the reason why not."""
        with written_to(Path(log)):
            try:
                yield
            except ConversionError as error:
                # Into the log, with all frames: a converter of the user's may be at fault, or one of ours.
                traceback.print_exception(error)
                self._channel.send(Unable(str(error), slow=isinstance(error, TooSlow)))
            except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
                traceback.print_exception(error)
                self._channel.send(Unable(in_words(error)))

    def _written_anew(self, order: WriteWeights) -> Written | Unable:
        """Open the model once more, whose body has ended: a twin needs its weights."""
        assert self._opener is not None
        assert self._device is not None
        try:
            bench = self._opener.open(self._device)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the reason
            return Unable(in_words(error))
        written = bench.write_weights(order)
        bench.release()
        return written

    def _check_imports(self) -> None:
        if self._imports is not None:
            self._imports.check(sys.modules)


def _released(bench: LocalBench, order: Release) -> Released:
    bench.release()
    return Released()


# What the bench itself does when it is ordered to.
_OF_THE_BENCH: Mapping[type, Callable[[LocalBench, Any], object]] = {
    Prepare: LocalBench.prepare,
    Block: LocalBench.block,
    Count: LocalBench.count,
    Soak: LocalBench.soak,
    TakeProfile: LocalBench.profile,
    WriteWeights: LocalBench.write_weights,
    TakeWeights: LocalBench.take_weights,
    Release: _released,
}
