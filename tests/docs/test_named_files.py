"""Every file that the page of the architecture, CONTRIBUTING or a comment names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {path.relative_to(ROOT).as_posix() for top in ("src", "tests", "docs") for path in (ROOT / top).rglob("*.py")}


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_those_that_a_page_names(page: str) -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / page).read_text("utf-8")))
    assert named
    assert [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in FILES)] == []


def test_pages_that_the_source_names() -> None:
    text = "".join((ROOT / path).read_text("utf-8") for path in FILES if path.startswith("src/"))
    named = set(re.findall(r"[\w/-]+\.md\b", text))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
