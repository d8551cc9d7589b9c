"""What every test shares."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["pytester"]

# The same examples in every run: a failure is the change's, never the draw's.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
