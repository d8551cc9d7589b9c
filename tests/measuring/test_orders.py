from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import msgspec
import pytest

from pytest_modelperf.domain.baseline import OutputSample
from pytest_modelperf.domain.codec import from_bytes, to_bytes
from pytest_modelperf.domain.results import Warmup
from pytest_modelperf.measuring.orders import (
    Block,
    Message,
    Opened,
    Prepare,
    Prepared,
    Release,
    Released,
    Samples,
    TakeWeights,
    Unable,
    WriteWeights,
    Written,
)

MESSAGES = (
    Opened("cpu", "R", ({"batch": 1}, {"batch": 8}), (1, 8), 0.5, True, {"torch": "2"}, "H200", "x (8,)"),
    Opened("cpu", "R", (), (), 0.5, counts={"ops": 3.0}, path="/m/net.onnx", weights="", weights_untold="it is lazy"),
    WriteWeights("/tmp/w"),
    TakeWeights("/tmp/w"),
    Written(),
    Unable("no room"),
    Prepare(1, 3.0),
    Prepared(
        "ok",
        "",
        0.001,
        Warmup(120, 0.12, False),
        {"memory.peak": 1e9},
        {"energy.per_sample": "no meter"},
        {},
        ("note",),
        "0123456789abcdef",
        "fedcba9876543210",
        {"logits": OutputSample("float16", (2, 3), 0.5, (0.25, None))},
    ),
    Prepared("out of memory", "it does not fit"),
    Block(1, 40, 2, True),
    Samples((10, 20, 2**62), 30),
    Samples(error="RuntimeError: no", out_of_memory=True),
    Release(),
    Released(),
)
ANY: Any = reduce(or_, dict.fromkeys(map(type, MESSAGES)))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    assert from_bytes(to_bytes(message), ANY) == message


def test_what_the_other_end_must_not_say_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="Invalid value 'Block'"):
        from_bytes(to_bytes(Block(1, 40, 2)), Opened)


def test_a_field_of_another_type_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$.calls`"):
        from_bytes(msgspec.msgpack.encode({"type": "Block", "case": 0, "calls": "40", "settling": 2}), Block)


def test_samples_of_numpy_are_plain_numbers_on_the_way() -> None:
    import numpy as np

    assert from_bytes(to_bytes(Samples(tuple(np.array([1, 2])))), Samples) == Samples((1, 2))
