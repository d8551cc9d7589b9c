"""A channel: one end of a conversation between two processes, in typed messages."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from ..domain.codec import from_bytes, to_bytes

Answer = TypeVar("Answer")


class Channel(Generic[Answer]):
    """Sends messages, receives those of type `incoming` and nothing else."""

    def __init__(self, connection: Connection[Any, Any], incoming: Any) -> None:
        self._connection, self._incoming = connection, incoming

    def send(self, message: object) -> None:
        """Raises OSError when the other end is gone."""
        self._connection.send_bytes(to_bytes(message))

    def receive(self, timeout_s: float | None = None) -> Answer:
        """Raises TimeoutError, EOFError when the other end is gone, msgspec.ValidationError for nonsense."""
        if not self._connection.poll(timeout_s):
            raise TimeoutError
        answer: Answer = from_bytes(self._connection.recv_bytes(), self._incoming)
        return answer

    def fileno(self) -> int:
        """What tells that a message is there: for `multiprocessing.connection.wait`."""
        return self._connection.fileno()

    def close(self) -> None:
        self._connection.close()
