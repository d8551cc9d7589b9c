"""What every test shares."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Its asserts explain themselves as those of a test file do.
pytest.register_assert_rewrite("runtimes.conformance")

pytest_plugins = ["pytester"]

# The same examples in every run: a failure is the change's, never the draw's.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
