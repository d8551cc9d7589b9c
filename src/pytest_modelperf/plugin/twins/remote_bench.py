"""A bench in a runner, as the coordinator sees it: orders that are asked of its process, and their answers."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from psutil import Process

from ...domain.variant import Candidate, Variant
from ...errors import PeerLost
from ...measuring.limits import Limits, Watch
from ...measuring.orders import (
    Block,
    Count,
    Message,
    Opened,
    Prepare,
    Prepared,
    Profiled,
    Release,
    Released,
    Samples,
    Soak,
    Soaked,
    TakeProfile,
    TakeWeights,
    Tallied,
    Unable,
)
from ...measuring.peer import Lost, Peer
from ...measuring.processes import descendants
from ...measuring.ranks import prepare_in_step
from .messages import (
    Answered,
    Candidates,
    Convert,
    FromRunner,
    ListCandidates,
    Made,
    Missing,
    Open,
    OpenInstead,
    Prove,
    Refused,
    Unproven,
)
from .remote import Runner, RunnerBroken

Answer = TypeVar("Answer", bound=Message)


class ModelLost(PeerLost):
    """A runner that was lost while it opened the model of its test."""

    def __init__(self, lost: Lost, device: str, runtime: str) -> None:
        super().__init__(lost.told(f"while opening the model on {device} with {runtime}"))


class BodyLeft(Exception):
    """The body of a test was left while its model was measured: a time limit, or an exception that no model raises."""

    def __init__(self, runner: Runner, reason: str) -> None:
        super().__init__(reason)
        self.runner = runner


# What is raised where a process is lost, cannot be started, or does not answer as it should.
LOST = (PeerLost, RunnerBroken, BodyLeft, OSError)


class RemoteBench:
    """The bench that a runner holds. It is stopped whenever it has no turn."""

    def __init__(self, runner: Runner, opened: Opened) -> None:
        self.runner, self._peer, self.opened = runner, runner.peer, opened
        # Those of a process that a converter works in.
        self._limits: Limits | None = None
        self._watch: Watch | None = None

    @classmethod
    def open(cls, runner: Runner, device: str, runtime: str) -> RemoteBench | Missing | Refused:
        """Have the runner open its test's model, which `runtime` executes, on the device. Raises ModelLost."""
        runner.peer.resume()
        try:
            answer = runner.peer.ask(Open(device))
        except Lost as lost:
            raise ModelLost(lost, device, runtime) from lost
        if isinstance(answer, Missing | Refused):
            return answer
        assert isinstance(answer, Opened)
        runner.peer.pause()
        return cls(runner, answer)

    def change(self, order: TakeWeights | OpenInstead) -> str:
        """Have it take over weights, or open another file; why it could not, "" where it did.

        Raises BodyLeft.
        """
        self.resume()
        answer = self._asked(order, Opened, Unable)
        self.pause()
        if isinstance(answer, Unable):
            return answer.reason
        assert isinstance(answer, Opened)
        self.opened = answer
        return ""

    def candidates(self) -> tuple[Candidate, ...]:
        """The variants that could be made of its model. Raises RunnerBroken where that cannot be told."""
        self.resume()
        answer = self._asked(ListCandidates(), Candidates, Unable)
        self.pause()
        if isinstance(answer, Unable):
            raise RunnerBroken(answer.reason)
        assert isinstance(answer, Candidates)
        return answer.candidates

    def convert(self, order: Convert, limits: Limits) -> Watch | str:
        """Have it begin to make a variant, within limits; `converted` is to be asked when the watch tells.

        Gives why it could not. Raises Lost when its process died or took more than its limits, and BodyLeft.
        """
        self.resume()
        self._watch = self._sent(order, limits)
        answer = self._answered("Convert", self._heard(self._watch), Answered, Unable)
        if isinstance(answer, Unable):
            self.pause()
            return answer.reason
        return self._watch

    def converted(self) -> str:
        """Why what it was told to make could not be made, "" where it is made.

        Raises Lost when its process died or took more than its limits, and BodyLeft.
        """
        assert self._watch is not None
        answer = self._answered("Convert", self._heard(self._watch), Unproven, Unable)
        self.pause()
        return answer.reason if isinstance(answer, Unable) else ""

    def prove(self, order: Prove, limits: Limits) -> Variant | Unable:
        """Have it prove the variant that it has made, which is its model from now on; why it is none.

        Raises Lost when its process died or took more than its `limits`, which hold from now on, and BodyLeft.
        """
        self.resume()
        self._limits = limits
        answer = self._asked(msgspec.structs.replace(order, seconds=limits.seconds), Made, Unable)
        self.pause()
        if isinstance(answer, Unable):
            return answer
        assert isinstance(answer, Made)
        self.opened = answer.opened
        return answer.variant

    def hurry(self, seconds: float) -> list[Process]:
        """Wait for no answer longer than this from now on; gives the processes that it has started."""
        assert isinstance(self._peer, Peer)
        self._peer.timeout_s = seconds
        return descendants(self._peer.pid)

    def prepare(self, order: Prepare) -> Prepared:
        if self.runner.in_step:
            return prepare_in_step(lambda step: self._asked(step, Prepared), self.block, order)
        return self._asked(order, Prepared)

    def block(self, order: Block) -> Samples:
        return self._asked(order, Samples)

    def count(self, order: Count) -> Tallied:
        return self._asked(order, Tallied)

    def soak(self, order: Soak) -> Soaked:
        return self._asked(order, Soaked)

    def profile(self, order: TakeProfile) -> Profiled:
        """Have it look into a case: the last that its process does. Raises BodyLeft."""
        self.resume()
        profiled = self._asked(order, Profiled)
        self.pause()
        return profiled

    def resume(self) -> None:
        self._peer.resume()

    def pause(self) -> None:
        self._peer.pause()

    def release(self) -> None:
        self._peer.resume()
        self._asked(Release(), Released)

    def _asked(self, order: Message, *kinds: type[Answer]) -> Answer:
        """The answer to an order. Raises BodyLeft when the test has ended instead."""
        said = self._peer.ask(order) if self._limits is None else self._heard(self._sent(order, self._limits))
        return self._answered(type(order).__name__, said, *kinds)

    def _answered(self, order: str, answer: FromRunner, *kinds: type[Answer]) -> Answer:
        if isinstance(answer, Refused):
            raise BodyLeft(self.runner, answer.reason)
        if not isinstance(answer, kinds):
            raise RunnerBroken(f"{self.runner.name} answered {order} with {type(answer).__name__}")
        return answer

    def _sent(self, order: Message, limits: Limits) -> Watch:
        assert isinstance(self._peer, Peer)
        self._peer.send(order)
        return Watch(self._peer, limits)

    def _heard(self, watch: Watch) -> FromRunner:
        watch.wait()
        answer: FromRunner = self._peer.receive()
        return answer
