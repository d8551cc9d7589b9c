"""The meter of CPUs: the energy counters of their packages (RAPL), as Linux shows them under /sys/class/powercap."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...domain.device import Device
from ...domain.telemetry import Gauge, Place
from ...errors import MetricUnavailable

FOLDER = Path("/sys/class/powercap")
# Zones at the top: one for each package, and on some laptops "psys", which holds the packages and the rest as well.
# Parts of a package stand beside it: its cores, which its own counter holds, and its memory, which that does not.
_ZONES = "intel-rapl:[0-9]*"
_PACKAGE, _MEMORY = "package", "dram"
_MICRO = 1e-6


class RaplMeter:
    """Reads the energy of all CPU packages of the machine; processors of AMD have it under the same name."""

    name = "rapl"

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def applies(self, device: Device) -> bool:
        return device.kind == "cpu"

    def available(self, place: Place) -> str:
        if self._zones(_PACKAGE):
            return ""
        return (
            f"{self._folder} has no energy counter of a CPU (RAPL): most virtual machines and containers have none; "
            "measure on a machine of its own"
        )

    def open(self, place: Place) -> Gauge:
        packages, memory = self._zones(_PACKAGE), self._zones(_MEMORY)
        return RaplGauge([_Zone(zone) for zone in packages], [_Zone(zone) for zone in memory])

    def _zones(self, name: str) -> list[Path]:
        return [zone for zone in sorted(self._folder.glob(_ZONES)) if _name(zone).startswith(name)]


class RaplGauge:
    """The packages of a machine together, and the memory at their controllers where that has counters of its own."""

    units: Mapping[str, str] = {}
    missing: Mapping[str, str] = {}

    def __init__(self, packages: list[_Zone], memory: list[_Zone]) -> None:
        self._zones = [*packages, *memory]
        plural = "s" if len(packages) > 1 else ""
        self.description = f"{len(packages)} CPU package{plural}{' with memory' if memory else ''}"

    def joules(self) -> float | None:
        return sum(zone.joules() for zone in self._zones)

    def read(self) -> Mapping[str, float]:
        return {}

    def held_back(self) -> tuple[()]:
        return ()

    def close(self) -> None:
        """There is nothing to close."""


class _Zone:
    """A counter that begins anew at zero whenever it has reached its range: it is read more often than that."""

    def __init__(self, folder: Path) -> None:
        """Raises MetricUnavailable."""
        self._counter, self._range = folder / "energy_uj", _read(folder / "max_energy_range_uj")
        self._last, self._turns = _read(self._counter), 0

    def joules(self) -> float:
        now = _read(self._counter)
        if now < self._last:
            self._turns += 1
        self._last = now
        return (self._turns * self._range + now) * _MICRO


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text().strip()
    except OSError:
        return ""


def _read(file: Path) -> int:
    try:
        return int(file.read_text())
    except PermissionError as error:
        # Since 2020 kernels let only root read it: who reads it often can tell what others compute (CVE-2020-8694).
        raise MetricUnavailable(
            f"this user may not read {file}; where that is no risk, let all read it until the next start: "
            f"sudo chmod a+r {file.parent.parent}/intel-rapl:*/energy_uj"
        ) from error
    except (OSError, ValueError) as error:
        raise MetricUnavailable(f"{file} cannot be read: {error}; measure on another machine") from error
