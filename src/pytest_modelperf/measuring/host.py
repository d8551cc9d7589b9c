"""What machine this is, read without importing a framework."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

import psutil

from ..domain.host import HALVES, Host
from .cgroups import granted_cpus

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
# Fields of /proc/cpuinfo that name the processor, by architecture.
_CPU_FIELDS = ("model name", "Model", "Hardware", "cpu model", "cpu")
# Those that number it, and those that tell what it can do, x86 and ARM: a hypervisor may call several generations by
# one name.
_NUMBERS = (
    ("cpu family", "model", "stepping"),
    ("CPU implementer", "CPU part", "CPU variant", "CPU revision"),
)
_ABILITIES = ("flags", "Features")
# What computes on vectors, the widest first.
_VECTORS = ("amx_tile", "avx512f", "avx2", "avx", "sve2", "sve", "asimd")


def read_host() -> Host:
    """The machine that this process runs on."""
    return Host(
        cpu=_cpu(),
        cpus=cpu_count(),
        memory_bytes=int(psutil.virtual_memory().total),
        accelerators=_accelerators(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        cpu_features=_features(),
        silicon=_silicon(),
    )


def cpu_count() -> int:
    """The logical CPUs that this process may use: those it may run on, or fewer where a container sets a quota.

    Of 1.5 CPUs that is one: two threads would be kept waiting in every period of the quota.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = granted_cpus()
    return allowed if granted is None else max(1, min(allowed, math.floor(granted)))


def _cpu() -> str:
    fields = _fields(_CPUINFO)
    for name in _CPU_FIELDS:
        if fields.get(name):
            return " ".join(fields[name].split())
    return platform.processor() or platform.machine() or "unknown CPU"


def _features() -> tuple[str, ...]:
    """Those of HALVES that the system tells of; on a machine that is no Linux none are told."""
    told = _fields(_CPUINFO).get("flags", "").split()
    return tuple(name for name in HALVES if name in told)


def _silicon() -> str:
    """What tells a processor from others of the same name, "" where the system does not."""
    fields = _fields(_CPUINFO)
    numbers = next(([fields[name] for name in names] for names in _NUMBERS if fields.keys() >= {*names}), [])
    abilities = {word for field in _ABILITIES for word in fields.get(field, "").split()}
    widest = next((name for name in _VECTORS if name in abilities), "")
    return " ".join(filter(None, ("-".join(numbers), widest)))


def _accelerators() -> tuple[str, ...]:
    # The driver's own list: no library is loaded and no device is woken.
    if not _NVIDIA.is_dir():
        return ()
    found = (_fields(gpu / "information").get("Model", "NVIDIA GPU") for gpu in sorted(_NVIDIA.iterdir()))
    return tuple(found)


def _fields(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name.strip(), value.strip())
    return fields
