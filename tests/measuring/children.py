"""Processes for the tests of peers and locks: `python children.py NAME …` does what the function NAME says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

from pytest_modelperf.measuring import child as ours
from pytest_modelperf.measuring.channel import Channel
from pytest_modelperf.measuring.child import connect
from pytest_modelperf.measuring.locks import DeviceLocks
from pytest_modelperf.measuring.orders import Message
from pytest_modelperf.measuring.peer import Peer

ENDLESS = 600.0
_PR_SET_CHILD_SUBREAPER = 36
_WATCHED = ("COVERAGE_PROCESS_START", "MODELPERF_TEST")


class Ask(Message, frozen=True):
    """Do what `what` names."""

    what: str
    value: int = 0


class Told(Message, frozen=True):
    """It is done."""

    text: str


def command(*arguments: object) -> list[str]:
    """How to start a function of this file."""
    return [sys.executable, __file__, *map(str, arguments)]


def say(words: object) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def serve() -> None:
    """Connect and do what is asked, until the connection ends."""
    channel: Channel[Ask] = connect(Ask)
    while True:
        try:
            ask = channel.receive()
        except EOFError:
            return
        answer = DEEDS[ask.what](channel, ask.value)
        if answer is not None:
            channel.send(Told(answer))


def _crash(channel: Channel[Ask], number: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), number)
    time.sleep(ENDLESS)


def _babble(channel: Channel[Ask], _: int) -> None:
    channel._connection.send_bytes(b"\xc1 no message")


def _spawn(channel: Channel[Ask], _: int) -> str:
    """Start a process that outlives us if nobody ends it; gives its id."""
    return str(subprocess.Popen(command("endless")).pid)


def _spawn_apart(channel: Channel[Ask], _: int) -> str:
    """The same in a session of its own, where no signal to our group comes."""
    return str(subprocess.Popen(command("endless"), start_new_session=True).pid)


def _spin(channel: Channel[Ask], _: int) -> None:
    """Answer, then keep a processor busy without ever listening again."""
    channel.send(Told("spinning"))
    while True:
        pass


def _mute(channel: Channel[Ask], _: int) -> None:
    channel.close()
    time.sleep(ENDLESS)


def _allocate(channel: Channel[Ask], mebibytes: int) -> str:
    kept = bytearray(mebibytes * 2**20)
    kept[:: 2**12] = b"x" * len(kept[:: 2**12])
    return str(len(kept))


def _bye(channel: Channel[Ask], code: int) -> None:
    say("goodbye")
    raise SystemExit(code)


def _bye_slowly(channel: Channel[Ask], _: int) -> None:
    time.sleep(1.0)
    _bye(channel, 0)


def _bye_at_length(channel: Channel[Ask], size: int) -> None:
    channel.send(Told("x" * size))
    _bye(channel, 0)


DEEDS: dict[str, Callable[[Channel[Ask], int], str | None]] = {
    "echo": lambda channel, value: "x" * value,
    "where": lambda channel, _: f"{os.getcwd()} {os.environ.get('MODELPERF_TEST', '')}",
    "variables": lambda channel, _: " ".join(name for name in sorted(os.environ) if name in _WATCHED),
    "standard input": lambda channel, _: repr(sys.stdin.read()),
    "repeat": lambda channel, _: channel.send(Ask("echo")),
    "exit": lambda channel, code: sys.exit(code),
    "hang": lambda channel, _: time.sleep(ENDLESS),
    "crash": _crash,
    "babble": _babble,
    "spawn": _spawn,
    "spawn apart": _spawn_apart,
    "spin": _spin,
    "mute": _mute,
    "allocate": _allocate,
    "bye": _bye,
    "bye slowly": _bye_slowly,
    "bye at length": _bye_at_length,
}


def endless() -> None:
    time.sleep(ENDLESS)


def hasty() -> None:
    """Serve, and end soon after the line has."""
    vars(ours)["ENDING_SECONDS"] = 0.1
    serve()


def dead() -> None:
    raise SystemExit(7)


def stranger() -> None:
    """Connect with a wrong key, then properly."""

    def client(address: Any, authkey: bytes) -> Any:
        try:
            Client(address, authkey=b"wrong").close()
        except AuthenticationError:
            say("turned away")
        return Client(address, authkey=authkey)

    vars(ours)["Client"] = client
    serve()


def silent() -> None:
    """Connect, and say nothing."""
    line = json.loads(sys.stdin.readline())
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(line["address"])
    time.sleep(ENDLESS)


def pipe_only() -> None:
    """Serve where the kernel tells nobody that a parent has died: the pipe alone does."""
    ours._die_with = lambda parent: None
    vars(ours)["ENDING_SECONDS"] = 0.1
    serve()


def parent(state: str, child: str) -> None:
    """Start a peer, leave it in this state, tell its id and wait to be killed."""
    started: Peer[Told] = Peer("the child", command(child), Told, timeout_s=30.0)
    if state == "stopped":
        started.pause()
    elif state == "spinning":
        started.ask(Ask("spin"))
    say(started.pid)
    time.sleep(ENDLESS)


def foster(state: str, child: str) -> None:
    """Start such a parent, tell its id and then what it tells, and become its children's parent when it dies.

    To the kernel they are no orphans then: it does not wake those that were stopped.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    say(subprocess.Popen(command("parent", state, child)).pid)
    time.sleep(ENDLESS)


def hold(folder: str, devices: str, rounds: str) -> None:
    """Take the locks so many times, for as long as a line on standard input takes to come where it is once."""
    locks = DeviceLocks(lambda device, holder: say(f"waiting for {device}"), Path(folder))
    for _ in range(int(rounds)):
        locks.hold(devices.split(","))
        say("holding")
        if rounds == "1":
            sys.stdin.readline()
        locks.release()
    say("released")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    globals()[sys.argv[1]](*sys.argv[2:])
