"""The marker `modelperf`: found, merged from class, module and function, and checked at collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..domain.spec import Spec

NAME = "modelperf"
LINE = (
    "modelperf(inputs, sweep, runtime, devices, budget, tolerance, allow_failed, seconds, converters, parity, "
    "quality, goal): measure a model with the fixture modelperf; the test runs with --modelperf"
)
# How near a name is (difflib's ratio) that is taken for a misspelt `modelperf`; `perf` has 0.6, and means more.
_MISSPELT = 0.8


def is_marked(item: pytest.Item) -> bool:
    return item.get_closest_marker(NAME) is not None


def meant(item: pytest.Item) -> str:
    """What to write where a test lacks the marker: a marker that it has may be a misspelt one."""
    from difflib import get_close_matches

    names = {marker.name.lower(): marker.name for marker in item.iter_markers()}
    close = get_close_matches(NAME, names, n=1, cutoff=_MISSPELT)
    if close:
        return f"it has the marker {names[close[0]]}; did you mean {NAME}?"
    return f"add @pytest.mark.{NAME}(…)"


def name_in_file(item: pytest.Item) -> str:
    """The part of a test's id behind its file, `"TestX::test_y[1]"`: the same in every process that collects the file.

    The part before depends on the arguments where a file lies outside the rootdir.
    """
    return own_id(item).partition("::")[2]


def own_id(item: pytest.Item) -> str:
    """The test's id, the same in every run: xdist's `loadgroup` adds the name of its group, with an older pytest."""
    if item.parent is None or not getattr(item.config.option, "loadgroup", False):
        return item.nodeid
    return f"{item.parent.nodeid}::{item.name}"


def spec_of(item: pytest.Item) -> Spec:
    """The markers of module, class, function and parameters in one Spec, the nearest winning. Raises UsageError."""
    from ..domain.spec import Spec

    spec = Spec()
    for marker in _farthest_first(item):
        if marker.args:
            raise UsageError(
                f"the marker modelperf takes keyword arguments only, not {marker.args[0]!r}; write inputs=…"
            )
        spec = spec.override(marker.kwargs)
    return spec


def check(item: pytest.Item) -> None:
    """Check the markers of a test. Raises UsageError that names it."""
    if not is_marked(item):
        return
    try:
        spec_of(item)
    except UsageError as error:
        raise UsageError(f"{item.nodeid}: {error}") from None


def _farthest_first(item: pytest.Item) -> Iterator[pytest.Mark]:
    """Not `iter_markers` turned round: there a base class is nearer than its heir, a function than its parameters."""
    given = getattr(getattr(item, "callspec", None), "marks", ())
    for node in item.listchain():
        markers = [marker for marker in node.own_markers if marker.name == NAME]
        if node is item:
            # pytest lists the decorator next to the function first, and what comes with parameters last.
            markers.reverse()
            markers.sort(key=lambda marker: any(marker is one for one in given))
        yield from markers
