from __future__ import annotations

import pytest

from pytest_modelperf.measuring.orders import Opened
from pytest_modelperf.plugin.searching.device_room import fitting_on_device

GB = 10**9


@pytest.mark.parametrize(
    ("device", "free", "held", "number"),
    [
        ("cpu", None, None, 4),
        ("gpu:0", None, None, 4),
        # A card of 80 GB, a model of 20 GB, and the test's own process that holds it, too.
        ("cuda:0", 40 * GB, 20 * GB, 1),
        ("cuda:0", 70 * GB, 5 * GB, 4),
        ("cuda:0", 35 * GB, 5 * GB, 2),
        ("cuda:0", 1 * GB, 20 * GB, 1),
        # Nobody tells.
        ("cuda:0", 70 * GB, None, 1),
        ("cuda:0", None, 5 * GB, 1),
    ],
)
def test_as_many_as_there_is_room_for_on_the_card(device: str, free: int | None, held: int | None, number: int) -> None:
    opened = Opened(device, "a net", ({"batch": 1},), (1,), 0.5, free_bytes=free, held_bytes=held)
    assert fitting_on_device(opened, 4) == number
