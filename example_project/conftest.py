"""What every test of this project shares."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _same_weights() -> None:
    """Random weights, but the same ones in every run."""
    torch.manual_seed(0)
