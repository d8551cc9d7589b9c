"""How many processes with one more copy of a model the memory of its device has room for."""

from __future__ import annotations

from ...domain.device import Device
from ...measuring.orders import Opened

# A process has what the libraries of a GPU take for themselves (0.3 to 0.5 GB), too.
CONTEXT_BYTES = 500 * 2**20
# A variant and what it is called with take this many times what the model takes when it is opened …
ROOM = 3.0
# … and so much of what is free may be taken: others may be on the card as well.
SHARE = 0.9


def fitting_on_device(opened: Opened, most: int) -> int:
    """How many at the most, of `most`: one at a time on a GPU of which nobody tells, and one in any case.

    The model was opened last of those that stay: what was free then is free now.
    """
    if opened.free_bytes is None or opened.held_bytes is None:
        return 1 if Device.parse(opened.device).kind == "cuda" else most
    return max(1, min(most, int(opened.free_bytes * SHARE / (ROOM * opened.held_bytes + CONTEXT_BYTES))))
