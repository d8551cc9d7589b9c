"""Ranks: under torchrun every rank is a pytest of its own. Which of them this one is, and the world of its runners."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from ...domain.device import Device

# Where the ranks of one host listen.
HERE = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Which of the processes that torchrun has started this one is; `run` tells one run of torchrun from others."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    run: str
    address: str

    @property
    def one_host(self) -> bool:
        return self.local_size == self.size

    def local(self, device: str, local_rank: int | None = None) -> str:
        """The device that a rank (None: this one) takes where the test names `device`: accelerators one each."""
        spec = Device.parse(device)
        more = self.local_rank if local_rank is None else local_rank
        return device if spec.kind == "cpu" else str(Device(spec.kind, spec.index + more))


def place(environment: Mapping[str, str]) -> Place | None:
    """This process's place among several ranks; None where torchrun has not started several."""
    get = environment.get
    if "TORCHELASTIC_RUN_ID" not in environment or "RANK" not in environment or int(get("WORLD_SIZE", "1")) < 2:
        return None
    names = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
    size, rank = int(environment["WORLD_SIZE"]), int(environment["RANK"])
    return Place(
        rank,
        size,
        int(get("LOCAL_RANK", str(rank))),
        int(get("LOCAL_WORLD_SIZE", str(size))),
        " ".join(get(name, "") for name in names),
        get("MASTER_ADDR", ""),
    )


def new_world(place: Place) -> dict[str, str]:
    """The variables of runners that are to be one world: in torchrun's own store they would find those before them."""
    with socket.create_server((HERE if place.one_host else "", 0)) as free:
        port = free.getsockname()[1]
    return {"MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "False"}
