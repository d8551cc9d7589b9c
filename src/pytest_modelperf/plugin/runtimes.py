"""Which runtimes there are in a run, and whether the one that a marker names is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from .marker import spec_of

if TYPE_CHECKING:
    import pytest

    from ..runtimes.protocol import Runtime


def all_runtimes(config: pytest.Config) -> list[Runtime]:
    """The user's own, and those of this project, in the order in which they are asked."""
    return [runtime for some in config.hook.pytest_modelperf_runtimes() for runtime in some]


def check_marked(item: pytest.Item) -> None:
    """Raises UsageError for a runtime of the test's marker that there is not."""
    choice = spec_of(item).runtime
    if choice is None:
        return
    from ..runtimes.registry import check_name

    try:
        check_name(choice.name, all_runtimes(item.config))
    except UsageError as error:
        raise UsageError(f"{item.nodeid}: {error}") from None
