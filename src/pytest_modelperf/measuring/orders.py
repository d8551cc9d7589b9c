"""What measuring asks of a model that is ready to be timed, and what it answers: messages, also between processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from ..domain.baseline import OutputSample
from ..domain.counting import Counted
from ..domain.profile import Profile
from ..domain.results import Status, Warmup


class Message(msgspec.Struct, frozen=True, tag=True):
    """Root of everything that is sent to or from a process of this project."""


class Card(Message, frozen=True):
    """The piece of hardware that a process calls `device`, without the threads of a CPU.

    `uuid` ("GPU-8c54…") and `bus_id` ("0000:3B:00.0") are as the CUDA driver tells them, "" where it does not.
    """

    device: str
    uuid: str = ""
    bus_id: str = ""


class Opened(Message, frozen=True):
    """A model that a runtime has opened on a device.

    `cases` are the axis values to measure, `samples_per_call` belongs to each; `load_seconds` is what opening took;
    `versions`, `settings` that the runtime runs with, and what the test declares of `inputs` and `runtime` are
    conditions of the run; `hardware` names the accelerator ("" for the CPU). `path` is that of a model that is a file
    or a folder. `weights` is their hash, "" where there are none to tell of (a function), or where they cannot be told,
    for the reason `weights_untold`. `unprofiled` is why no source of profiles can look into it, "" where one can.
    `precision` is the least precise float that the weights are kept in, "" where nobody tells. `cards` is the hardware
    that it runs on, () where nobody tells; of processes that call one model together that of all. `free_bytes` is what
    its device's own memory had left then, `held_bytes` what the model had taken of it (None: there is none, or nobody
    tells).
    """

    device: str
    description: str
    cases: tuple[Mapping[str, int], ...]
    samples_per_call: tuple[int, ...]
    load_seconds: float
    asynchronous: bool = False
    versions: Mapping[str, str] = {}
    hardware: str = ""
    inputs: str = ""
    runtime: str = ""
    settings: Mapping[str, str] = {}
    counts: Mapping[str, float] = {}
    path: str = ""
    weights: str = ""
    weights_untold: str = ""
    unprofiled: str = ""
    precision: str = ""
    cards: tuple[Card, ...] = ()
    free_bytes: int | None = None
    held_bytes: int | None = None


class WriteWeights(Message, frozen=True):
    """Write the weights of the model that is open into a new file at `path`. Answered by Written or Unable."""

    path: str


class Written(Message, frozen=True):
    """The file is there."""


class TakeWeights(Message, frozen=True):
    """Make the weights in the file at `path` the open model's own. Answered by Opened, with their hash, or Unable.

    `whole`: a model that is not taken apart may be taken over as a whole, its graph included.
    """

    path: str
    whole: bool = True


class Unable(Message, frozen=True):
    """It could not be done, for this reason; nothing else has changed. `slow`: a variant that nobody would wait for."""

    reason: str
    slow: bool = False


# Of making a case ready: all of it, or in turn whether it fits, its first call, and, after warm-up by blocks, the rest.
Step = Literal["whole", "admit", "call", "finish"]


class Prepare(Message, frozen=True):
    """Bind the inputs of a case, call it a first time, warm it up for at most `seconds`.

    Processes that call one model together are told `step` by step, so that all make the same calls: none may call what
    another has no memory for, nor end its warm-up before the others do.
    """

    case: int
    seconds: float
    step: Step = "whole"


class Prepared(Message, frozen=True):
    """A case that is ready, or why it is not. Times in seconds; `figures` are single readings by metric path, in SI.

    `weights` is a hash of the model's, `inputs` one of what it was asked ("" unknown), `outputs` a sample of what it
    answered, by name. `threads` were seen computing while it was warmed up (0: nobody can tell).
    """

    status: Status
    reason: str = ""
    call_seconds: float = 0.0
    warmup: Warmup = Warmup(0, 0.0, True)
    figures: Mapping[str, float] = {}
    unavailable: Mapping[str, str] = {}
    counts: Mapping[str, float] = {}
    notes: tuple[str, ...] = ()
    weights: str = ""
    inputs: str = ""
    outputs: Mapping[str, OutputSample] = {}
    threads: int = 0


class Block(Message, frozen=True):
    """One turn: `settling` calls untimed, then `calls` timed ones; with `pipelined` as many again, waited for once."""

    case: int
    calls: int
    settling: int
    pipelined: bool = False


class Samples(Message, frozen=True):
    """What a block gave: nanoseconds of each call, and of the pipelined calls in all. `error` ends the case."""

    samples_ns: tuple[int, ...] = ()
    pipelined_ns: int = 0
    error: str = ""
    out_of_memory: bool = False


class TakeProfile(Message, frozen=True):
    """Profile `calls` calls of a case, after `warm` that do not count. Nothing is timed in this process afterwards."""

    case: int
    calls: int
    warm: int


class Profiled(Message, frozen=True):
    """Where the time of a case's calls goes, and the timeline (b"" for none); or why that cannot be told."""

    profile: Profile | None = None
    trace: bytes = b""
    reason: str = ""


class Count(Message, frozen=True):
    """Count what calls of these cases do, each of which takes `call_seconds`; all that is timed of the test is over.

    `last`: nothing is timed in this process afterwards.
    """

    cases: tuple[int, ...]
    call_seconds: tuple[float, ...]
    last: bool = False


class Tallied(Message, frozen=True):
    """What was counted, of each case in the order's order."""

    cases: tuple[Counted, ...]


class Soak(Message, frozen=True):
    """Call a case `calls` times, `chunk` calls in a row before the device is waited for; meters are read meanwhile."""

    case: int
    calls: int
    chunk: int


class Soaked(Message, frozen=True):
    """When the first call began, and when each chunk was done, in nanoseconds of the clock that all processes share.

    `error` is what a call raised, "" for nothing.
    """

    marks_ns: tuple[int, ...] = ()
    error: str = ""


class Release(Message, frozen=True):
    """Close the model and give its memory back."""


class Released(Message, frozen=True):
    """It is closed."""
