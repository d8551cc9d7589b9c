"""Which runtimes there are in a run, and whether the one that a marker names is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from ..domain.spec import Spec
    from ..runtimes.protocol import Runtime


def all_runtimes(config: pytest.Config) -> list[Runtime]:
    """The user's own, and those of this project, in the order in which they are asked."""
    return [runtime for some in config.hook.pytest_modelperf_runtimes() for runtime in some]


def check_asked(item: pytest.Item, spec: Spec) -> None:
    """Raises UsageError for a runtime that the test asks for and there is not."""
    if spec.runtime is None:
        return
    from ..runtimes.registry import check_name

    check_name(spec.runtime.name, all_runtimes(item.config))
