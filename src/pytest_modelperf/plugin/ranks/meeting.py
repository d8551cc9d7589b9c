"""The meeting of ranks: how they find each other.

Rank 0 listens on a port of its own, and tells it with a fresh key in a file that only this user may read: in the
temporary folder, or, where the ranks are on several hosts, in the rootdir, which all of them must see.
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
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from ...errors import PeerLost, UsageError
from ...measuring.channel import Channel
from .rank_messages import FromRank, ToRank
from .ranks import HERE, Place

_POLL_SECONDS = 0.05


class Meeting:
    """Where rank 0 waits for the others: a port, told by a file."""

    def __init__(self, place: Place, rootdir: Path) -> None:
        """Raises UsageError where the file cannot be written."""
        self._size, self._file = place.size, meeting_file(place, rootdir)
        key = secrets.token_bytes(32)
        self._listener = Listener((HERE if place.one_host else "", 0), backlog=place.size, authkey=key)
        host = HERE if place.one_host else place.address
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
