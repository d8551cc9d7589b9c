"""Plugins that were given to `pytest.main` itself, and not by an option: what of them runners need, they are told."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

# Hooks without which a runner finds other tests, or other fixtures; those that report are the coordinator's.
_MAKING_TESTS = (
    "pytest_generate_tests",
    "pytest_make_parametrize_id",
    "pytest_collect_file",
    "pytest_pycollect_makemodule",
    "pytest_pycollect_makeitem",
    "pytest_fixture_setup",
    "pytest_pyfunc_call",
)
# Those of objects mostly look on: they are no reason to refuse a run.
_AROUND_TESTS = ("pytest_runtest_setup", "pytest_runtest_call", "pytest_runtest_teardown")
_OWN = "pytest_modelperf_"


def names(config: pytest.Config) -> tuple[str, ...]:
    """The modules that runners are to load, too."""
    given = ((plugin, _name(plugin)) for plugin in config.invocation_params.plugins or ())
    return tuple(name for plugin, name in given if name and _is_needed(plugin))


def check(config: pytest.Config) -> None:
    """Raises pytest.UsageError for an object that runners need, and that cannot be given to another process."""
    for plugin in config.invocation_params.plugins or ():
        needed = [] if _name(plugin) else list(_needed(plugin))
        if needed:
            raise pytest.UsageError(
                f"pytest.main() was given {plugin!r}, an object with {', '.join(needed)}, which the runners of marked "
                "tests cannot have; give it as a module (-p NAME), write it in a conftest.py, or run the tests with "
                "--modelperf-isolate=no"
            )


def _is_needed(plugin: object) -> bool:
    return isinstance(plugin, str) or any(_needed(plugin)) or any(hasattr(plugin, hook) for hook in _AROUND_TESTS)


def _name(plugin: object) -> str:
    """What another process imports it by, "" for nothing."""
    if isinstance(plugin, ModuleType) and plugin.__name__ != "__main__":
        return plugin.__name__
    return plugin if isinstance(plugin, str) else ""


def _needed(plugin: object) -> Iterator[str]:
    """The names of fixtures and hooks that a marked test may hang on."""
    for name in dir(plugin):
        if name in _MAKING_TESTS or name.startswith(_OWN) or _is_fixture(_attribute(plugin, name)):
            yield name


def _attribute(plugin: object, name: str) -> object:
    # Statically: an object's properties are not to be called.
    return inspect.getattr_static(plugin, name, None)


def _is_fixture(found: object) -> bool:
    # Until pytest 8.4 it was a function.
    return type(found).__name__ == "FixtureFunctionDefinition" or hasattr(found, "_pytestfixturefunction")
