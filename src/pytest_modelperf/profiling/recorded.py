"""Calls of a model whose runtime writes a profile of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..domain.counting import Bind
from ..domain.profile import Recorded
from ..domain.session import Session
from ..errors import MetricUnavailable, in_one_line, note

Inputs = Mapping[str, Any] | Sequence[Any]


def recorded(session: Recorded, calls: Sequence[Bind]) -> bytes:
    """What the runtime writes of these calls of the model, opened once more. Raises MetricUnavailable for nothing."""
    with tempfile.TemporaryDirectory(prefix="modelperf-profile-") as folder:
        with _closing(session.recorded(Path(folder))) as other, other.running():
            for bind in calls:
                bind(other)()
        written = next(Path(folder).iterdir(), None)
        if written is None:
            raise MetricUnavailable(f"{session.profiler} wrote no profile")
        return written.read_bytes()


@contextmanager
def _closing(session: Session) -> Iterator[Session]:
    """Closes it. What was raised meanwhile is raised, with a note of what closing then raises: that mostly follows."""
    try:
        yield session
    except BaseException as error:
        try:
            session.close()
        except Exception as other:  # noqa: BLE001 - the model's own error counts
            note(error, f"closing it then raised {in_one_line(other)}")
        raise
    session.close()


def repeated(session: Recorded, inputs: Inputs, calls: int) -> bytes:
    """The same of so many calls on equal inputs, which are bound once."""
    bound: list[Callable[[], Any]] = []

    def bind(other: Session) -> Callable[[], Any]:
        if not bound:
            bound.append(other.bind(inputs))
        return bound[0]

    return recorded(session, [bind] * calls)
