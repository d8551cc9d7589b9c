"""A pytest plugin for overhead.py: writes down how long the start of a runner took."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from pytest_modelperf.plugin.twins import remote

_start = remote.Runner.__init__


def _timed(self: remote.Runner, *arguments: Any, **options: Any) -> None:
    start = time.perf_counter()
    _start(self, *arguments, **options)
    Path(os.environ["OVERHEAD_OUTPUT"]).write_text(json.dumps(time.perf_counter() - start))


remote.Runner.__init__ = _timed  # type: ignore[method-assign]
