"""Which converters a test is tried with: those that there are, and what the options and the marker ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from ..domain.variant import AUTO
from ..errors import UsageError
from .stash import SETTINGS

if TYPE_CHECKING:
    from ..converting.protocol import Converter
    from ..domain.spec import Spec

# Tests are collected later than options are read, and their folders' conftest.py with them.
_LOADED = "of your own, only those of a conftest.py in the folder of an argument, or above it, are known so early"


def all_converters(config: pytest.Config) -> list[Converter]:
    """The user's own, and those of this project; of several of one name the first."""
    found: dict[str, Converter] = {}
    for converters in config.hook.pytest_modelperf_converters():
        for converter in converters:
            found.setdefault(converter.name, converter)
    return list(found.values())


def may_convert(config: pytest.Config, model: object) -> bool:
    """Whether there are converters that take such a model, told without importing them."""
    from ..converting.forms import WITH_CONVERTERS, form_of

    form = form_of(model)
    users_own = len(config.hook.pytest_modelperf_converters.get_hookimpls()) > 1
    return form in WITH_CONVERTERS or (form is not None and users_own)


def asked_converters(option: Sequence[str], marker: Sequence[str] | None) -> tuple[str, ...]:
    """The names of those to try, AUTO for all, by what the command line says and the marker (None: nothing).

    The marker is nearer, but names on the command line are tried alone: those that the marker does not exclude.
    """
    if marker is None:
        return tuple(option)
    named = [name for name in option if name != AUTO]
    if not named:
        return tuple(marker)
    return tuple(name for name in named if name in marker or AUTO in marker)


def check_converters(config: pytest.Config) -> None:
    """Raises UsageError for a converter of the option that there is not."""
    try:
        _check(config, config.stash[SETTINGS].convert)
    except UsageError as error:
        raise UsageError(f"--modelperf-convert: {error} ({_LOADED})") from None


def check_asked(item: pytest.Item, spec: Spec) -> None:
    """Raises UsageError for a converter that the test asks for and there is not; imports those that there are."""
    try:
        _check(item.config, spec.converters or ())
    except UsageError as error:
        raise UsageError(f"converters: {error}") from None


def _check(config: pytest.Config, asked: Sequence[str]) -> None:
    from ..converting.registry import chosen

    names = [name for name in asked if name != AUTO]
    if names:
        chosen(names, all_converters(config))
