"""Subtests: parts of a test that pytest (or pytest-subtests) reports by themselves, as calls of the same test."""

from __future__ import annotations

import pytest


def is_whole(report: pytest.TestReport) -> bool:
    """Whether a report is that of a phase of the test, and not of one of its subtests."""
    return not hasattr(report, "context")
