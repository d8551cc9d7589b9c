"""The port of a source: it looks at calls of a model, and tells where their time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..domain.profile import Taken
from ..domain.session import Session


class Source(Protocol):
    """What makes profiles. It is asked in the process that holds the model, after all that is timed there."""

    name: str

    def available(self, session: Session) -> str:
        """Why it cannot look into this session, "" where it can. Cheap: nothing heavy is imported for it."""
        ...

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        """The profile of `calls` calls on these inputs, made after `warm` calls that do not count.

        Raises MetricUnavailable, with the reason, where it has seen nothing; what the model raises comes out as it is.
        """
        ...
