"""Where the plugin keeps its state: keys of pytest's Stash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .running.desk import Desk
    from .running.marked import ModelPerfFixture
    from .settings import Settings

# The desk that a test's sweep is asked for: set where marked tests run (a runner, or this process without isolation).
DESK: pytest.StashKey[Desk] = pytest.StashKey()
# The options, read once.
SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
# Set in a runner before its pytest is configured: it coordinates nothing and reports nothing by itself.
IN_RUNNER: pytest.StashKey[bool] = pytest.StashKey()
# The memory that the process had before a test began, in bytes.
START_BYTES: pytest.StashKey[int] = pytest.StashKey()
# What the fixture of a running test has measured so far.
FIXTURE: pytest.StashKey[ModelPerfFixture] = pytest.StashKey()
# The TestResult of a test as JSON, until the report of its call phase takes it along.
RESULT: pytest.StashKey[str] = pytest.StashKey()
