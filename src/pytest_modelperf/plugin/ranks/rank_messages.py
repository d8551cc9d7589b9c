"""What rank 0's coordinator and those of the other ranks say to each other."""

from __future__ import annotations

from collections.abc import Mapping

from ...measuring.orders import Message
from ..twins.messages import FromRunner, ToRunner


class Hello(Message, frozen=True):
    """Rank → rank 0, first of all: who it is, and the marked tests that it is going to run."""

    rank: int
    pid: int
    tests: tuple[str, ...]


class At(Message, frozen=True):
    """Rank → rank 0: it has come to this test, and does what it is told until this is over."""

    test: str


class Launch(Message, frozen=True):
    """Rank 0 → rank: start a runner for the test's file, known by a number from now on.

    `variables` are added to its environment: each set of runners is a world of its own. `seed` is that of all.
    """

    runner: int
    label: str
    variables: Mapping[str, str]
    seed: int


class Tell(Message, frozen=True):
    """Rank 0 → rank: say this to the runner."""

    runner: int
    message: ToRunner


class Said(Message, frozen=True):
    """Rank → rank 0: the runner has said this."""

    runner: int
    message: FromRunner


class Gone(Message, frozen=True):
    """Rank → rank 0: the runner was lost; `name`, `what`, `out_of_memory` and `remedy` tell how, `words` are its last.

    `broken`: it could not work, and `words` tell more.
    """

    runner: int
    name: str
    what: str
    out_of_memory: bool = False
    remedy: str = ""
    words: str = ""
    broken: bool = False


class Halt(Message, frozen=True):
    """Rank 0 → rank: stop the runner until it is woken. Answered by Done."""

    runner: int


class Wake(Message, frozen=True):
    """Rank 0 → rank: let the runner go on."""

    runner: int


class Hung(Message, frozen=True):
    """Rank 0 → rank: the runner has been silent for so many seconds; kill it. Answered by Gone."""

    runner: int
    seconds: float


class Kill(Message, frozen=True):
    """Rank 0 → rank: end the runner at once."""

    runner: int


class Close(Message, frozen=True):
    """Rank 0 → rank: let the runner tear down, and end it. Answered by Done."""

    runner: int


class Done(Message, frozen=True):
    """Rank → rank 0: the runner is stopped, or closed."""

    runner: int


class Fail(Message, frozen=True):
    """Rank 0 → rank: the test is lost, for this reason, after so many phases of it."""

    what: str
    details: str
    phases: int


class Over(Message, frozen=True):
    """Rank 0 → rank: the test is over."""


class Bye(Message, frozen=True):
    """One → the other: its run ends, for this reason, with this exit status."""

    reason: str
    status: int


FromRank = Hello | At | Said | Gone | Done | Bye
ToRank = Launch | Tell | Halt | Wake | Hung | Kill | Close | Fail | Over | Bye
