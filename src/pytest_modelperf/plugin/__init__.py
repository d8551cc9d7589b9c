"""The pytest plugin: options, marker, fixture, coordinator and runner. pytest alone lives here.

This module is loaded by every pytest run in an environment that has the plugin, so it imports next to nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from . import hookspecs
from .marker import LINE, check, is_marked
from .options import add_options, check_disabled, is_enabled, unheard
from .running.marked import modelperf
from .stash import IN_RUNNER, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ..converting.protocol import Converter
    from ..domain.advice import Rule
    from ..domain.counting import CounterSource
    from ..domain.telemetry import Meter
    from ..profiling.protocol import Source
    from ..reporting.protocol import Reporter
    from ..runtimes.protocol import Runtime

__all__ = ["modelperf"]


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    # Of the ranks of torchrun, rank 0 reports for all.
    if os.environ.get("RANK", "0") != "0" and "TORCHELASTIC_RUN_ID" in os.environ and is_enabled(config):
        from .ranks.muted import mute_reports

        mute_reports(config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", LINE)
    if not is_enabled(config):
        check_disabled(config)
        return
    from .quiet import Quiet
    from .settings import read_settings

    config.stash[SETTINGS] = read_settings(config)
    config.pluginmanager.register(Quiet(), "modelperf-quiet")
    if not config.stash.get(IN_RUNNER, False):
        from .setup import register

        register(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    flags = unheard(config)
    return f"modelperf: without --modelperf no marked test runs; in vain: {', '.join(flags)}" if flags else None


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, object, object]:
    from ..errors import UsageError

    made = yield
    # A test function gives a list, an item for each of its parameters.
    items = [item for item in made if is_marked(item)] if isinstance(made, list) else []
    try:
        for item in items:
            check(item)
        if items and is_enabled(collector.config) and not collector.config.stash.get(IN_RUNNER, False):
            _check_names(items)
    except UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    return made


def _check_names(items: Sequence[pytest.Item]) -> None:
    from . import converters, runtimes, written

    for item in items:
        written.check(item, runtimes.check_asked, converters.check_asked)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if is_enabled(config):
        return
    skip = pytest.mark.skip(reason="a performance test: run it with --modelperf")
    for item in items:
        if is_marked(item):
            item.add_marker(skip)


@pytest.hookimpl(trylast=True)
def pytest_modelperf_runtimes() -> Sequence[Runtime]:
    from ..runtimes.registry import builtin

    return builtin()


@pytest.hookimpl(trylast=True)
def pytest_modelperf_profilers() -> Sequence[Source]:
    from ..profiling.registry import builtin

    return builtin()


@pytest.hookimpl(trylast=True)
def pytest_modelperf_counters() -> Sequence[CounterSource]:
    from ..profiling.counters.sources import builtin

    return builtin()


@pytest.hookimpl(trylast=True)
def pytest_modelperf_converters() -> Sequence[Converter]:
    from ..converting.registry import builtin

    return builtin()


@pytest.hookimpl(trylast=True)
def pytest_modelperf_meters() -> Sequence[Meter]:
    from ..profiling.meters.registry import builtin

    return builtin()


@pytest.hookimpl(trylast=True)
def pytest_modelperf_advice() -> Sequence[Rule]:
    from ..judging.advice.table import RULES

    return RULES


@pytest.hookimpl(trylast=True)
def pytest_modelperf_reporters() -> Sequence[Reporter]:
    from ..reporting.json_report import JsonReporter

    return [JsonReporter()]
