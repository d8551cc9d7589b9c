from __future__ import annotations

from pytest_modelperf.plugin.options import OPTIONS
from pytest_modelperf.profiling.registry import builtin


def test_the_help_names_the_sources_of_profiles_that_there_are() -> None:
    (row,) = (option for option in OPTIONS if option.ini == "modelperf_profile")
    assert f"sources ({', '.join(source.name for source in builtin())})" in row.help
