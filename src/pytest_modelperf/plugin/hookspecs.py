"""The hooks by which others extend the plugin; the built-in runtimes and reporters arrive the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..converting.protocol import Converter
    from ..domain.advice import Rule
    from ..domain.counting import CounterSource
    from ..domain.telemetry import Meter
    from ..profiling.protocol import Source
    from ..reporting.protocol import Reporter
    from ..runtimes.protocol import Runtime


def pytest_modelperf_runtimes() -> Sequence[Runtime]:  # type: ignore[empty-body]
    """More runtimes. They are asked before the built-in ones whether they recognise a model.

    Called in the process that runs a marked test, when its model is first looked at.
    """


def pytest_modelperf_profilers() -> Sequence[Source]:  # type: ignore[empty-body]
    """More sources of profiles. They are asked before the built-in ones whether they can look into a session.

    Called in the process that runs a marked test, and once where the options are read.
    """


def pytest_modelperf_counters() -> Sequence[CounterSource]:  # type: ignore[empty-body]
    """More sources of counters. What they tell is believed before what the built-in ones do.

    Called in the process that runs a marked test.
    """


def pytest_modelperf_converters() -> Sequence[Converter]:  # type: ignore[empty-body]
    """More converters. Of several of one name the first is taken, before the built-in ones.

    Called in the process that runs a marked test, and once where the options are read.
    """


def pytest_modelperf_meters() -> Sequence[Meter]:  # type: ignore[empty-body]
    """More meters of power, energy and clocks. They are asked before the built-in ones whether they can read a device.

    Called in the pytest process, when the first model is open on a device.
    """


def pytest_modelperf_advice() -> Sequence[Rule]:  # type: ignore[empty-body]
    """More rules of advice. They are asked of every case that ran, beside the built-in ones.

    Called in the process that judges, once for each test that was measured.
    """


def pytest_modelperf_reporters() -> Sequence[Reporter]:  # type: ignore[empty-body]
    """More formats for `--modelperf-report=FORMAT:PATH`. Called once, in the process that writes reports."""
