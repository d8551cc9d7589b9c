from __future__ import annotations

import pytest

from pytest_modelperf.plugin.converters import asked_converters


@pytest.mark.parametrize(
    ("option", "marker", "asked"),
    [
        ((), None, ()),
        (("auto",), None, ("auto",)),
        (("bf16",), None, ("bf16",)),
        ((), ("auto",), ("auto",)),
        (("auto",), ("bf16",), ("bf16",)),
        (("auto",), (), ()),
        (("bf16",), ("auto",), ("bf16",)),
        (("bf16", "fp16"), ("fp16", "int8"), ("fp16",)),
        (("bf16",), (), ()),
    ],
)
def test_names_of_the_command_line_are_tried_alone_else_the_marker_is_nearer(
    option: tuple[str, ...], marker: tuple[str, ...] | None, asked: tuple[str, ...]
) -> None:
    assert asked_converters(option, marker) == asked
