"""The level of a case: 5% over all that are collected."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.plugin.settings import read_settings
from pytest_modelperf.plugin.setup import FAMILY_LEVEL, Run

TESTS = """
    import pytest

    @pytest.mark.modelperf(sweep={"batch": [1, 2, 4]})
    def test_three():
        pass

    @pytest.mark.modelperf
    def test_who_knows():
        pass

    def test_unmarked():
        pass
"""


def test_all_cases_that_are_collected_share_the_level(pytester: pytest.Pytester) -> None:
    module = pytester.getmodulecol(TESTS)
    items = pytester.genitems([module])
    bureau: Any = SimpleNamespace(settings=read_settings(module.config))
    session: Any = SimpleNamespace(items=items)
    Run(bureau, SimpleNamespace()).pytest_collection_finish(session)  # type: ignore[arg-type]
    assert bureau.level == FAMILY_LEVEL / 4
    assert [bureau.planned[item.nodeid] for item in items[:2]] == [3, 1]
    assert len(bureau.planned) == 2
