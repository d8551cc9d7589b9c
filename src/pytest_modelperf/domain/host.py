"""A Host: the machine that a run was made on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    """Hardware and system. `cpus` are the logical CPUs that this process may use, `memory_bytes` what it may take."""

    cpu: str
    cpus: int
    memory_bytes: int
    accelerators: tuple[str, ...] = ()
    system: str = ""
    python: str = ""

    @property
    def cpu_hardware(self) -> str:
        """What a CPU case ran on, `"AMD EPYC 7B13 x2"`: compared only with the same."""
        return f"{self.cpu} x{self.cpus}"
