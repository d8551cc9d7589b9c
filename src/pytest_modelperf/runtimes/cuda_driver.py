"""The CUDA driver, asked without a framework: the devices that it shows to this process, and its version."""

from __future__ import annotations

import ctypes
import functools
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from .. import launch

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_VERSION = Path("/proc/driver/nvidia/version")
_SUCCESS = 0
_NAME_BYTES = 256
_BUS_ID_BYTES = 16
_UUID_BYTES = 16
# CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and …_MINOR.
_CAPABILITY = (75, 76)
# Behind these digits of a UUID stands a hyphen.
_UUID_PARTS = (0, 8, 12, 16, 20, 32)
# A driver that hangs takes for ever to answer.
_TIMEOUT_S = 30.0


@functools.cache
def names() -> tuple[str, ...]:
    """The names of the CUDA devices in the order of their numbers; () without a driver or a device.

    CUDA_VISIBLE_DEVICES counts, as for every CUDA program. No context is made on a device.
    """
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return ()
    return _names(driver)


def bus_id(index: int) -> str:
    """The PCI bus id of the CUDA device of that number, `"0000:3B:00.0"`; "" where there is none.

    Other libraries of NVIDIA's number the devices in another order.
    """
    if index >= len(names()):
        return ""
    driver, device, text = ctypes.CDLL(_LIBRARY), ctypes.c_int(), ctypes.create_string_buffer(_BUS_ID_BYTES)
    found = driver.cuDeviceGet(ctypes.byref(device), index) == _SUCCESS
    if not found or driver.cuDeviceGetPCIBusId(text, _BUS_ID_BYTES, device) != _SUCCESS:
        return ""
    return text.value.decode()


def uuid(index: int) -> str:
    """The UUID of the CUDA device of that number, `"GPU-8c54f1f6-…"`; "" where there is none.

    Of a slice of a divided GPU (MIG) it is the slice's own.
    """
    if index >= len(names()):
        return ""
    driver, device, found = ctypes.CDLL(_LIBRARY), ctypes.c_int(), ctypes.create_string_buffer(_UUID_BYTES)
    # The first version tells the UUID of the whole card.
    ask = getattr(driver, "cuDeviceGetUuid_v2", None) or driver.cuDeviceGetUuid
    if driver.cuDeviceGet(ctypes.byref(device), index) != _SUCCESS or ask(found, device) != _SUCCESS:
        return ""
    digits = found.raw.hex()
    return "GPU-" + "-".join(digits[begin:end] for begin, end in pairwise(_UUID_PARTS))


def capability(index: int) -> tuple[int, int]:
    """The compute capability of the CUDA device of that number, `(8, 0)` from Ampere on; (0, 0) where nobody tells."""
    if index >= len(names()):
        return (0, 0)
    driver, device, found = ctypes.CDLL(_LIBRARY), ctypes.c_int(), (ctypes.c_int(), ctypes.c_int())
    if driver.cuDeviceGet(ctypes.byref(device), index) != _SUCCESS:
        return (0, 0)
    for number, attribute in zip(found, _CAPABILITY, strict=True):
        if driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device) != _SUCCESS:
            return (0, 0)
    return found[0].value, found[1].value


def version() -> str:
    """The driver's version, `"580.159.04"`; "" where the system does not tell."""
    try:
        found = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", _VERSION.read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def ask_bus_ids() -> tuple[str, ...]:
    """The bus ids of all CUDA devices, by their numbers, told by a process of its own; () where nobody tells.

    What forks from a process that has spoken to the driver cannot use CUDA, and a process sees the devices that
    CUDA_VISIBLE_DEVICES named when it first did.
    """
    try:
        said = subprocess.run(launch.argv(__name__), capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
        return tuple(json.loads(said.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return ()


def main() -> None:
    """Tell the bus ids of all devices, as JSON."""
    sys.stdout.write(json.dumps([bus_id(index) for index in range(len(names()))]) + "\n")


def _names(driver: ctypes.CDLL) -> tuple[str, ...]:
    count = ctypes.c_int()
    if driver.cuInit(0) != _SUCCESS or driver.cuDeviceGetCount(ctypes.byref(count)) != _SUCCESS:
        return ()
    return tuple(_name(driver, index) for index in range(count.value))


def _name(driver: ctypes.CDLL, index: int) -> str:
    device, text = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    found = driver.cuDeviceGet(ctypes.byref(device), index) == _SUCCESS
    if not found or driver.cuDeviceGetName(text, _NAME_BYTES, device) != _SUCCESS:
        return "CUDA device"
    return text.value.decode(errors="replace")
