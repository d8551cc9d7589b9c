"""Ranks: under torchrun every rank is a pytest of its own. How they find each other, and what they say.

Rank 0's coordinator conducts; the others put their runners at its disposal. Rank 0 listens on a port of its own, and
tells it with a fresh key in a file that only this user may read: in the temporary folder, or, where the ranks are on
several hosts, in the rootdir, which all of them must see.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from ..domain.device import Device
from ..errors import PeerLost, UsageError
from ..measuring.channel import Channel
from ..measuring.orders import Message
from .messages import FromRunner, ToRunner

_POLL_SECONDS = 0.05
_HERE = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Which of the processes that torchrun has started this one is; `run` tells one run of torchrun from others."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    run: str
    address: str

    @property
    def one_host(self) -> bool:
        return self.local_size == self.size

    def local(self, device: str, local_rank: int | None = None) -> str:
        """The device that a rank (None: this one) takes where the test names `device`: accelerators one each."""
        spec = Device.parse(device)
        more = self.local_rank if local_rank is None else local_rank
        return device if spec.kind == "cpu" else str(Device(spec.kind, spec.index + more))


def place(environment: Mapping[str, str]) -> Place | None:
    """This process's place among several ranks; None where torchrun has not started several."""
    get = environment.get
    if "TORCHELASTIC_RUN_ID" not in environment or "RANK" not in environment or int(get("WORLD_SIZE", "1")) < 2:
        return None
    names = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
    size, rank = int(environment["WORLD_SIZE"]), int(environment["RANK"])
    return Place(
        rank,
        size,
        int(get("LOCAL_RANK", str(rank))),
        int(get("LOCAL_WORLD_SIZE", str(size))),
        " ".join(get(name, "") for name in names),
        get("MASTER_ADDR", ""),
    )


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

    `variables` are added to its environment: each set of runners is a world of its own.
    """

    runner: int
    label: str
    variables: Mapping[str, str]


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


class Meeting:
    """Where rank 0 waits for the others: a port, told by a file."""

    def __init__(self, place: Place, rootdir: Path) -> None:
        """Raises UsageError where the file cannot be written."""
        self._size, self._file = place.size, meeting_file(place, rootdir)
        key = secrets.token_bytes(32)
        self._listener = Listener((_HERE if place.one_host else "", 0), backlog=place.size, authkey=key)
        host = _HERE if place.one_host else place.address
        self.address = (host, int(self._listener.address[1]))
        _write_privately(self._file, json.dumps({"host": host, "port": self.address[1], "key": key.hex()}))

    def all(self, timeout_s: float) -> list[Channel[FromRank]]:
        """The connections of all other ranks, in any order. Raises PeerLost when one does not come in time."""
        found: queue.Queue[Connection[Any, Any]] = queue.Queue()
        deadline = time.monotonic() + timeout_s
        threading.Thread(target=self._accept, args=(found,), daemon=True).start()
        channels: list[Channel[FromRank]] = []
        try:
            while len(channels) < self._size - 1:
                connection = found.get(timeout=max(0.0, deadline - time.monotonic()))
                channels.append(_prompt(connection, FromRank))
        except queue.Empty:
            raise PeerLost(
                f"{self._size - 1 - len(channels)} of {self._size} ranks did not come within {timeout_s:g} s; run "
                "pytest --modelperf on all of them, and raise --modelperf-timeout if one needs longer to collect"
            ) from None
        finally:
            self.close()
        return channels

    def close(self) -> None:
        """Nobody else is waited for. Closing twice is harmless."""
        self._listener.close()
        self._file.unlink(missing_ok=True)

    def _accept(self, found: queue.Queue[Connection[Any, Any]]) -> None:
        accepted = 0
        while accepted < self._size - 1:
            try:
                found.put(self._listener.accept())
                accepted += 1
            except (AuthenticationError, EOFError, ConnectionError):
                # Who does not know the key is turned away.
                continue
            except OSError:
                # Closed: nobody is waited for any more.
                return


def join(place: Place, rootdir: Path, timeout_s: float) -> Channel[ToRank]:
    """A rank's connection to rank 0. Raises PeerLost when there is none in time."""
    file, deadline = meeting_file(place, rootdir), time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        # Not there yet, or left behind by a run that was killed and had the same name.
        with contextlib.suppress(OSError, ValueError, KeyError, AuthenticationError, EOFError):
            told = json.loads(_read_privately(file))
            address, key = (str(told["host"]), int(told["port"])), bytes.fromhex(told["key"])
            return _prompt(Client(address, authkey=key), ToRank)
        time.sleep(_POLL_SECONDS)
    where = "" if place.one_host else "; ranks on several hosts need a rootdir that all of them see"
    raise PeerLost(
        f"rank {place.rank} did not find rank 0 within {timeout_s:g} s (by {file}); run pytest --modelperf on all "
        f"ranks, and raise --modelperf-timeout if rank 0 needs longer to start{where}"
    )


def meeting_file(place: Place, rootdir: Path) -> Path:
    """Where rank 0 tells its port: by a name that only the ranks of one run agree on."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    name = hashlib.sha256(f"{place.run} {user}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"modelperf-{name}" if place.one_host else rootdir / f".modelperf-{name}"


def new_world(place: Place) -> dict[str, str]:
    """The variables of runners that are to be one world: in torchrun's own store they would find those before them."""
    with socket.create_server((_HERE if place.one_host else "", 0)) as free:
        port = free.getsockname()[1]
    return {"MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "False"}


def _write_privately(file: Path, text: str) -> None:
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(fresh, file)
    except OSError as error:
        raise UsageError(
            f"rank 0 cannot tell the other ranks where it is: {file} cannot be written ({error.strerror}); let this "
            "user write there, or name another temporary folder with the environment variable TMPDIR"
        ) from error


def _read_privately(file: Path) -> str:
    """Its text. Raises OSError where it is another user's."""
    with file.open(encoding="utf-8") as stream:
        if hasattr(os, "getuid") and os.fstat(stream.fileno()).st_uid != os.getuid():
            raise PermissionError(f"{file} is another user's")
        return stream.read()


def _prompt(connection: Connection[Any, Any], incoming: Any) -> Channel[Any]:
    """A channel whose short messages are sent at once, not held back to be sent with the next."""
    copy = socket.socket(fileno=os.dup(connection.fileno()))
    with contextlib.closing(copy):
        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Channel(connection, incoming)
