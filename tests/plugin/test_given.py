from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.plugin import given


class WithFixture:
    @pytest.fixture
    def model(self) -> int:
        return 1


class WithRuntime:
    def pytest_modelperf_runtimes(self) -> list[object]:
        return []


class LooksOn:
    def pytest_runtest_logreport(self) -> None: ...
    def pytest_runtest_setup(self) -> None: ...


def config_of(*plugins: object) -> Any:
    return SimpleNamespace(invocation_params=SimpleNamespace(plugins=plugins or None))


def module(name: str, **content: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


@pytest.mark.parametrize(("plugin", "name"), [(WithFixture(), "model"), (WithRuntime(), "pytest_modelperf_runtimes")])
def test_an_object_that_runners_need_is_refused(plugin: object, name: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"an object with {name}, which the runners .* as a module .-p NAME"):
        given.check(config_of(LooksOn(), plugin))
    assert given.names(config_of(plugin)) == ()


def test_the_script_itself_cannot_be_imported_by_others() -> None:
    with pytest.raises(pytest.UsageError, match="an object with model, which"):
        given.check(config_of(module("__main__", model=vars(WithFixture)["model"])))


def test_modules_and_names_are_given_on_and_what_reports_is_not() -> None:
    fixtures = module("fixtures", model=vars(WithFixture)["model"])
    around = module("around", pytest_runtest_setup=lambda: None)
    reports = module("reports", pytest_runtest_logreport=lambda: None)
    config = config_of(LooksOn(), fixtures, around, reports, "by.name")
    given.check(config)
    assert given.names(config) == ("fixtures", "around", "by.name")
    assert given.names(config_of()) == ()
