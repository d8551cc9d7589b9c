"""A Host: the machine that a run was made on, and the state that it was in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# A clock whose tenth and ninetieth percentile differ by more than this moves figures further than most slowdowns.
CLOCK_RANGE = 0.1
# What happened in fewer of the rounds than this is hardly seen in a figure, and so not worth a line.
SHARE_WORTH_TELLING = 0.1
QUOTA_WORTH_TELLING_SECONDS = 0.1
# What Linux calls instructions of x86 that multiply bfloat16, the faster first.
HALVES = ("amx_bf16", "avx512_bf16")
_LAZY_GOVERNOR = "powersave"


@dataclass(frozen=True)
class Host:
    """Hardware and system. `cpus` are the logical CPUs that this process may use, `memory_bytes` what it may take.

    `cpu_features` are those of HALVES that the CPU has. `silicon` tells it from others that a cloud calls by the same
    name: `"25-17-1 avx512f"`, its family, model and stepping and its widest vectors ("" not told).
    """

    cpu: str
    cpus: int
    memory_bytes: int
    accelerators: tuple[str, ...] = ()
    system: str = ""
    python: str = ""
    cpu_features: tuple[str, ...] = ()
    silicon: str = ""

    @property
    def multiplies_bfloat16(self) -> bool:
        """Whether the CPU has instructions that multiply bfloat16."""
        return bool(self.cpu_features)

    @property
    def cpu_hardware(self) -> str:
        """What a CPU case ran on, `"AMD EPYC x2 (25-17-1 avx512f)"`: compared only with the same."""
        return f"{self._name} ({self.silicon})" if self.silicon else self._name

    def known_as(self, hardware: str) -> str:
        """What a record's hardware is called here: where one of the two tells no silicon it may be this CPU."""
        untold = hardware == self._name or (not self.silicon and hardware.startswith(f"{self._name} ("))
        return self.cpu_hardware if untold else hardware

    @property
    def _name(self) -> str:
        return f"{self.cpu} x{self.cpus}"


@dataclass(frozen=True)
class TakenTime:
    """CPU time that went elsewhere: `share` of one core on average, over those `rounds` in which it mattered."""

    share: float = 0.0
    rounds: int = 0


@dataclass(frozen=True)
class MachineState:
    """What a machine did beside a measurement, by its own counters.

    `rounds` were looked at. `others` is CPU time of processes that the run has not started, `steal` what a hypervisor
    withheld (None: this system does not tell). `clock_hz` is between what the CPU's clock was, the highest and lowest
    tenth of readings left out (None: not told), `governor` who sets it ("" not told). `heat` counts how often the CPU
    slowed down to cool, `quota_seconds` how long a container's quota kept all processes waiting, `preemptions` how
    often in a second a measured thread had to leave its CPU (None: not told; libraries whose threads yield while they
    wait have hundreds by themselves). `gpu` names why an accelerator ran
    slower than it can, each with the number of rounds.
    """

    rounds: int = 0
    others: TakenTime = TakenTime()
    steal: TakenTime | None = None
    clock_hz: tuple[float, float] | None = None
    governor: str = ""
    heat: int = 0
    quota_seconds: float = 0.0
    preemptions: float | None = None
    gpu: Mapping[str, int] = field(default_factory=dict)

    def matters(self, rounds: int) -> bool:
        """Whether something happened in so many rounds that it is worth a line."""
        return rounds > 0 and rounds >= SHARE_WORTH_TELLING * self.rounds

    @property
    def clock_varied(self) -> bool:
        """Whether the clock moved figures."""
        return self.clock_hz is not None and self.clock_hz[0] < (1 - CLOCK_RANGE) * self.clock_hz[1]

    @property
    def waited_for_quota(self) -> bool:
        """Whether a container's quota kept the measurement waiting."""
        return self.quota_seconds >= QUOTA_WORTH_TELLING_SECONDS

    @property
    def saves_power(self) -> bool:
        """Whether the governor may have the CPU run slower than it can; one that kept a steady clock did not."""
        return self.governor == _LAZY_GOVERNOR and (self.clock_hz is None or self.clock_varied)
