"""What OpenVINO counts of every node of every request of a model that was compiled for it, written into a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The property under which a model is compiled so that its requests tell of their nodes.
PROPERTY = "PERF_COUNT"


class Record:
    """The nodes of each call that was `watched`, by name, type, what executed them and their seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._calls: list[list[dict[str, object]]] = []

    def watched(self, infer: Callable[[], Any]) -> Callable[[], Any]:
        """The call, after which its request is asked for its nodes."""

        def call() -> Any:
            request = infer()
            self._calls.append([_told(node) for node in request.profiling_info if node.real_time])
            return request

        return call

    def write(self) -> None:
        self._path.write_text(json.dumps({"calls": self._calls}))


def _told(node: Any) -> dict[str, object]:
    seconds = node.real_time.total_seconds()
    return {"name": node.node_name, "type": node.node_type, "form": node.exec_type, "seconds": seconds}
