"""What the coordinator and a runner say to each other, beside the orders of measuring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...domain.budget import Budget
from ...domain.results import Sweep
from ...domain.variant import GOALS, Candidate, Rival, Variant
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
    WriteWeights,
    Written,
)
from ..trees.tree import Tree


class Start(Message, frozen=True):
    """Coordinator → runner, first of all: the arguments of the pytest to be, and what it collects.

    `workerinput` is set as on an xdist worker, so that plugins that report stay silent in the runner. `seed` settles
    from which numbers types are counted. `tree` is the one that the runner is in, where that is not the user's.
    """

    arguments: tuple[str, ...]
    path: str
    options: Mapping[str, Any]
    workerinput: Mapping[str, Any]
    sys_path: tuple[str, ...]
    seed: int
    tree: Tree | None = None


class Collected(Message, frozen=True):
    """Runner → coordinator: ready for tests, by their names in the file. `problems` are texts of collection errors."""

    tests: tuple[str, ...]
    problems: tuple[str, ...] = ()


class RunTest(Message, frozen=True):
    """Coordinator → runner: run this test; `then` is the next one here ("" for none), which teardown looks at.

    A twin is told the `device` that it will be measured on.
    """

    test: str
    then: str
    twin: bool = False
    device: str = ""


class Finish(Message, frozen=True):
    """Coordinator → runner: tear down and end; `at_once` when that is done, as the system ends a process."""

    at_once: bool = False


class Terms(Message, frozen=True):
    """What a test asks of its sweep, the fixture's overrides included.

    `devices` are to be tried in this order; `runtime` is the name of the one that executes the model. `converters` are
    the names of those to try, AUTO for all; `goal` is what their variants are sorted by; `convertible`: there are some
    that take such a model. `bus_ids` tells where the CUDA devices among these sit, as the runner sees them. Without
    the `required` devices the test fails; `by_default`: the runtime has chosen the device, and nobody has named one.
    """

    devices: tuple[str, ...]
    narrowed: Mapping[str, str]
    budget: tuple[Budget, ...]
    tolerance: float
    allow_failed: bool
    seconds: float
    runtime: str = ""
    converters: tuple[str, ...] = ()
    goal: str = GOALS[0]
    convertible: bool = False
    bus_ids: Mapping[str, str] = {}
    required: tuple[str, ...] = ()
    by_default: bool = False


class Open(Message, frozen=True):
    """Coordinator → runner: open the model on this device."""

    device: str


class OpenInstead(Message, frozen=True):
    """Coordinator → twin: close the model, and open the one in this file or folder on this device.

    Answered by Opened or Unable.
    """

    device: str
    path: str


class ListCandidates(Message, frozen=True):
    """Coordinator → twin: which variants could be made of the model that is open? Answered by Candidates or Unable.

    No limit on the time of the test runs in this process any more: others need theirs first.
    """


class Candidates(Message, frozen=True):
    """Twin → coordinator: the variants that could be made."""

    candidates: tuple[Candidate, ...]


class Convert(Message, frozen=True):
    """Coordinator → twin: close the model, and make the variant of this name.

    Answered by Answered, when the model has told its answers, and by Unproven; or by Unable instead of either.

    Files go into `folder`, which is not there yet, and what is written meanwhile into the file `log`.
    """

    name: str
    folder: str
    log: str


class Answered(Message, frozen=True):
    """Twin → coordinator: the model has told what its variant is held to; what follows may be done beside others."""


class Unproven(Message, frozen=True):
    """Twin → coordinator: the variant is made."""


class Prove(Message, frozen=True):
    """Coordinator → twin: open the variant that was made, compare answers, and choose settings of its runtime.

    Answered by Made or Unable. What is written meanwhile goes into the file `log`. After `seconds` its process is
    killed. `rival` is the fastest that is known of those that are no less exact.
    """

    log: str
    rival: Rival | None = None
    seconds: float = 0.0


class Made(Message, frozen=True):
    """Twin → coordinator: the variant is open, and answers as the original does."""

    opened: Opened
    variant: Variant


class Missing(Message, frozen=True):
    """Runner → coordinator: the device is not there."""

    reason: str


class Refused(Message, frozen=True):
    """Runner → coordinator: an exception has ended the call of the fixture, the test has it.

    The model or the declaration cannot be, or the test was left in the middle (a time limit, `pytest.fail` in a model).
    """

    reason: str


class Swept(Message, frozen=True):
    """Coordinator → runner: here is the sweep; the body of the test goes on."""

    sweep: Sweep


class Skip(Message, frozen=True):
    """Coordinator → runner: no device is there; skip the test with this reason."""

    reason: str


class Unmeasurable(Message, frozen=True):
    """Coordinator → runner: the test cannot be measured, and fails with this reason."""

    reason: str


class Dismiss(Message, frozen=True):
    """Coordinator → twin: its part is done; leave the body of the test."""


class BodyDone(Message, frozen=True):
    """Runner → coordinator: the body of the test has ended; `passed` without an exception."""

    passed: bool


class Judged(Message, frozen=True):
    """Coordinator → runner: what the test is to say, "" for nothing.

    `failure` fails it, `warning` is issued; `result` is the TestResult as JSON.
    """

    failure: str
    result: str
    properties: Mapping[str, float | str]
    warning: str = ""


class Reported(Message, frozen=True):
    """Runner → coordinator: a report of a phase of the test, as pytest serialises it."""

    data: Mapping[str, Any]


class Warned(Message, frozen=True):
    """Runner → coordinator: a warning that pytest recorded."""

    text: str
    module: str
    category: str
    filename: str
    line: int
    when: str
    nodeid: str
    location: tuple[str, int, str] | None


class TestDone(Message, frozen=True):
    """Runner → coordinator: the test, its teardown included, is over; what it set on the session, to end the run."""

    __test__ = False

    shouldstop: str = ""
    shouldfail: str = ""


class Stopped(Message, frozen=True):
    """Runner → coordinator: the test ends the whole run, by `pytest.exit` or (`exits` false) as an interrupt would."""

    reason: str
    returncode: int | None
    exits: bool


class Broken(Message, frozen=True):
    """Runner → coordinator: pytest itself failed in the runner (an internal error), `details` tell where; it ends."""

    text: str
    details: str = ""


FromRunner = (
    Collected
    | Terms
    | Opened
    | Missing
    | Refused
    | Prepared
    | Samples
    | Profiled
    | Tallied
    | Soaked
    | Released
    | Written
    | Unable
    | Candidates
    | Answered
    | Unproven
    | Made
    | BodyDone
    | Reported
    | Warned
    | TestDone
    | Stopped
    | Broken
)
ToRunner = (
    Start
    | RunTest
    | Finish
    | Open
    | OpenInstead
    | ListCandidates
    | Convert
    | Prove
    | WriteWeights
    | TakeWeights
    | Prepare
    | Block
    | TakeProfile
    | Count
    | Soak
    | Release
    | Swept
    | Skip
    | Unmeasurable
    | Dismiss
    | Judged
)
