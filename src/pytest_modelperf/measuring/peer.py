"""A peer: a process that is spoken to in typed messages, is stopped and resumed, and never outlives us.

The parent listens on a socket in a fresh folder that nobody else may enter, and writes its address and a fresh key as
one line to the child's standard input. The child's side is `child.py`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import IO, Any, Generic

import msgspec

from ..errors import PeerLost, UsageError
from . import memory
from .channel import Answer, Channel
from .processes import descendants, ended, kill_all, wait_ended, wait_stopped

# How long a process that was asked to end may take before it is killed.
ENDING_SECONDS = 10.0
# Variables by which coverage starts itself in every new process: timed code must not run under a tracer.
_COVERAGE_VARIABLES = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COV_CORE_SOURCE", "COV_CORE_CONFIG")
# A socket's path has at most 103 bytes on macOS and 107 on Linux; a folder for it and its name take 21.
_LONGEST_FOLDER = 57
_SHORT_FOLDER = "/tmp"
_HAS_STOP = hasattr(signal, "SIGSTOP")
_MORE_FILES = "allow this user more open files (ulimit -n)"


@dataclass(frozen=True)
class Fate:
    """What happened to a process: a sentence without its name, whether the system ended it for lack of memory, and what
    may help against it."""

    what: str
    out_of_memory: bool = False
    remedy: str = ""


class Lost(PeerLost):
    """A peer that is gone; `fate` tells what happened to it."""

    def __init__(self, name: str, fate: Fate) -> None:
        self.name, self.fate = name, fate
        super().__init__(self.told())

    def told(self, when: str = "") -> str:
        """The sentence, with the circumstances before the remedy: `told("while timing")`."""
        return " ".join(filter(None, [self.name, self.fate.what, when])) + (
            self.fate.remedy and f"; {self.fate.remedy}"
        )


class Peer(Generic[Answer]):
    """The parent's side of a process. Every method that waits raises Lost when the process dies, hangs or babbles."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        incoming: Any,
        *,
        timeout_s: float,
        remedy: str = "",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        output: IO[bytes] | None = None,
        before_kill: Callable[[Peer[Answer]], None] = lambda peer: None,
    ) -> None:
        """Start `argv` and wait until it has connected.

        `remedy` tells what helps one that needs longer than `timeout_s`; `output` takes its standard output and error
        (None: ours); `before_kill` is called before a process that gives no answer is killed.
        """
        self.name, self.timeout_s, self._remedy, self._before_kill = name, timeout_s, remedy, before_kill
        self.stopped = False
        self._kills_before = memory.kills()
        errors = subprocess.STDOUT if output else None
        self._key = secrets.token_bytes(32)
        with _address() as address, Listener(address, authkey=self._key) as self._listener:
            self._process = subprocess.Popen(
                argv, env=_untraced(env), cwd=cwd, stdin=subprocess.PIPE, stdout=output, stderr=errors
            )
            try:
                self._channel: Channel[Answer] = Channel(self._connected(), incoming)
            except BaseException:
                self.kill()
                raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not ended(self._process)

    def lost(self) -> Lost:
        """What became of it, where its end of the line is dead. It is killed where it has not ended."""
        by_itself = wait_ended(self._process, ENDING_SECONDS)
        self.kill()
        if not by_itself or self._process.returncode is None:
            return Lost(self.name, Fate("closed its connection without ending and was killed"))
        return Lost(self.name, self._fate())

    def send(self, message: object) -> None:
        try:
            self._channel.send(message)
        except OSError:
            raise self.lost() from None

    def receive(self, timeout_s: float | None = None) -> Answer:
        """The next message. A peer that stays silent longer than the time limit has hung: it is killed."""
        limit = self.timeout_s if timeout_s is None else timeout_s
        try:
            return self._channel.receive(limit)
        except TimeoutError:
            raise self.hung(limit, self._remedy if timeout_s is None else "") from None
        except (EOFError, OSError):
            raise self.lost() from None
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            self.kill()
            raise Lost(self.name, Fate(f"answered nonsense ({error}) and was killed")) from error

    def hung(self, limit: float, remedy: str = "") -> Lost:
        """Kill a process that stayed silent for so many seconds; gives what there is to raise."""
        self._before_kill(self)
        self.kill()
        return Lost(self.name, Fate(f"gave no answer for {limit:g} s and was killed", remedy=remedy))

    def fileno(self) -> int:
        """What tells that a message is there: for `multiprocessing.connection.wait`."""
        return self._channel.fileno()

    def ask(self, message: object, timeout_s: float | None = None) -> Answer:
        """Send, and give the next message that comes back."""
        self.send(message)
        return self.receive(timeout_s)

    def pause(self) -> None:
        """Stop the process and all it started, and return when it has stopped: idle thread pools spin and slow others.

        Where there are no signals it goes on waiting for a message, and `stopped` stays False.
        """
        if _HAS_STOP and not self.stopped:
            self._signal(signal.SIGSTOP)
            if not wait_stopped(self._process, self.timeout_s):
                self.kill()
                raise Lost(self.name, Fate(f"could not be stopped within {self.timeout_s:g} s and was killed"))
            self.stopped = True

    def resume(self) -> None:
        if self.stopped:
            self._signal(signal.SIGCONT)
            self.stopped = False

    def signal(self, number: int) -> None:
        """Send a signal to the process alone."""
        if self.alive:
            os.kill(self.pid, number)

    def close(self, farewell: object | None = None, timeout_s: float = ENDING_SECONDS) -> Lost | None:
        """Say farewell, wait for the process to end by itself, and kill what is left of it.

        Without a farewell the end of the line is one: then it has ENDING_SECONDS at most. Gives what went wrong; None
        where it ended in time, with exit code 0.
        """
        by_itself = False
        try:
            self.resume()
            if farewell is None:
                self._hang_up()
            else:
                with contextlib.suppress(PeerLost):
                    self.send(farewell)
            by_itself = wait_ended(self._process, timeout_s, None if farewell is None else self._overhear)
        finally:
            self.kill()
        if not by_itself or self._process.returncode is None:
            return Lost(self.name, Fate(f"did not end within {timeout_s:g} s and was killed"))
        return Lost(self.name, self._fate()) if self._process.returncode else None

    def kill(self) -> None:
        """End the process and all it started, in sessions of their own, too."""
        started = descendants(self.pid) if self._process.returncode is None else []
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        kill_all(started)
        self._hang_up()
        # One that waits for a disk or a driver, and cannot be interrupted there, outlives even this.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING_SECONDS)

    def _overhear(self) -> None:
        # Last words are for nobody, but who cannot get rid of them would not end.
        with contextlib.suppress(TimeoutError, EOFError, OSError, msgspec.ValidationError, msgspec.DecodeError):
            while True:
                self._channel.receive(0)

    def _hang_up(self) -> None:
        if hasattr(self, "_channel"):
            self._channel.close()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _signal(self, number: int) -> None:
        if self._process.returncode is not None:
            # It is reaped: by now its id may be another's.
            return
        # The child leads a process group of its own (see `child.py`); until it has connected there is only itself.
        send = os.killpg if hasattr(os, "killpg") and hasattr(self, "_channel") else os.kill
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(self.pid, number)

    def _fate(self) -> Fate:
        """How it ended, once it is reaped."""
        code = self._process.returncode
        killed = -code == getattr(signal, "SIGKILL", None) and memory.kills() > self._kills_before
        return Fate(_ending(code, killed), out_of_memory=killed)

    def _connected(self) -> Connection[Any, Any]:
        assert self._process.stdin is not None
        line = json.dumps({"address": self._listener.address, "key": self._key.hex(), "parent": os.getpid()})
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        return self._accepted(time.monotonic() + self.timeout_s)

    def _accepted(self, deadline: float) -> Connection[Any, Any]:
        # accept() knows no time limit, so it runs in a thread; a connection of our own frees it when the child is gone.
        accepted: list[Connection[Any, Any] | OSError] = []
        waiting = threading.Thread(target=_accept, args=(self._listener, accepted), daemon=True)
        waiting.start()
        while waiting.is_alive():
            waiting.join(0.02)
            gone = not self.alive
            if waiting.is_alive() and (gone or time.monotonic() > deadline):
                # Killed first: who connected and says nothing would keep the thread, and so us, waiting for ever.
                self.kill()
                Client(self._listener.address, authkey=self._key).close()
                waiting.join()
                if gone:
                    raise self.lost()
                raise Lost(self.name, Fate(f"did not start within {self.timeout_s:g} s", remedy=self._remedy))
        (connection,) = accepted
        if isinstance(connection, OSError):
            self.kill()
            remedy = _MORE_FILES if connection.errno in (errno.EMFILE, errno.ENFILE) else self._remedy
            raise Lost(self.name, Fate(f"could not be spoken to ({connection.strerror})", remedy=remedy))
        return connection


def _untraced(env: Mapping[str, str] | None) -> dict[str, str]:
    given = os.environ if env is None else env
    return {name: value for name, value in given.items() if name not in _COVERAGE_VARIABLES}


@contextlib.contextmanager
def _address() -> Iterator[str | None]:
    """Where to listen: a path in a folder that only this user may enter, and that is gone afterwards."""
    if os.name != "posix":
        yield None
        return
    parent = tempfile.gettempdir()
    parent = parent if len(os.fsencode(parent)) <= _LONGEST_FOLDER else _SHORT_FOLDER
    try:
        folder = tempfile.mkdtemp(prefix="modelperf-", dir=parent)
    except OSError as error:
        raise UsageError(
            f"a process cannot be spoken to, for no socket can be made in {parent} ({error.strerror}); name a folder "
            f"of at most {_LONGEST_FOLDER} letters that this user may write to with the environment variable TMPDIR"
        ) from error
    try:
        yield os.path.join(folder, "s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _accept(listener: Listener, accepted: list[Connection[Any, Any] | OSError]) -> None:
    """Accept a connection; or what kept this process from it."""
    while not accepted:
        try:
            accepted.append(listener.accept())
        except (AuthenticationError, EOFError, ConnectionError):
            # A stranger, or one that has left.
            continue
        except OSError as error:
            accepted.append(error)


def _ending(code: int, out_of_memory: bool) -> str:
    if out_of_memory:
        return "was killed by the system for lack of memory (SIGKILL by the out-of-memory killer)"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed by signal {-code}"
