"""The tables of options and metrics in the docs are those that the program reads."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

TOOL: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "tools" / "tables.py"))


@pytest.mark.parametrize("page", TOOL["pages"](), ids=lambda page: page.name)
def test_a_page_has_the_tables_of_today(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == TOOL["filled"](text), "run `python docs/tools/tables.py`"


def test_no_table_is_left_out() -> None:
    text = "".join(page.read_text("utf-8") for page in TOOL["pages"]())
    assert {name for name in TOOL["TABLES"] if f"<!-- table: {name} -->" in text} == set(TOOL["TABLES"])
