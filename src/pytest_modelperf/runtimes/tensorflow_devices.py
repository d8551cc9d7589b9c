"""Devices as TensorFlow sees them: which there are, how many threads, what the allocators of GPUs tell."""

from __future__ import annotations

import functools
import os
from typing import Any

from ..domain.device import Device
from ..domain.session import DeviceMemory
from ..errors import DeviceMissing, MissingLibrary, UsageError
from . import cuda_driver

# Read when TensorFlow is first used in a process, and never again.
INTRA_THREADS, INTER_THREADS = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
# The number of threads that this process was given for a device, "0" for the default; unset: nobody gave it any.
GIVEN_THREADS = "MODELPERF_TENSORFLOW_THREADS"
# Set unless the user has: messages of TensorFlow's start without INFO, and GPU memory taken as it is needed.
_DEFAULTS = {"TF_CPP_MIN_LOG_LEVEL": "1", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def import_tensorflow() -> Any:
    """The module tensorflow. Raises MissingLibrary."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        import tensorflow
    except ImportError as error:
        raise MissingLibrary(
            f"the model needs tensorflow ({error}); pip install 'pytest-modelperf[tensorflow]'"
        ) from error
    return tensorflow


@functools.cache
def accelerators() -> dict[str, str]:
    """The GPUs that this build of TensorFlow can use by device name, `{"cuda:0": "NVIDIA H200"}`."""
    config = import_tensorflow().config
    found = config.list_physical_devices("GPU")
    details = [config.experimental.get_device_details(gpu) for gpu in found]
    return {f"cuda:{index}": str(detail.get("device_name", "GPU")) for index, detail in enumerate(details)}


def check(device: Device) -> None:
    """Raise DeviceMissing, listing the devices that are there, unless TensorFlow has this one."""
    if device.kind == "cpu" or str(device) in accelerators():
        return
    there = ["cpu", *(f"{name} ({hardware})" for name, hardware in accelerators().items())]
    raise DeviceMissing(
        f"tensorflow has no device '{device}' here; there are: {', '.join(there)}. "
        "Choose one of them, or install a build for GPUs: pip install 'tensorflow[and-cuda]'"
    )


def place(device: Device) -> str:
    """The device as TensorFlow names it: threads are no part of a place."""
    return "/CPU:0" if device.kind == "cpu" else f"/GPU:{device.index}"


def prepare_environment(device: Device) -> None:
    """In a process that is to measure on this device: what must be set before TensorFlow is first used there.

    A fixture that builds a model uses it long before the model is opened on a device.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if device.threads and INTRA_THREADS not in os.environ and INTER_THREADS not in os.environ:
        os.environ |= {INTRA_THREADS: str(device.threads), INTER_THREADS: "1", GIVEN_THREADS: str(device.threads)}


def set_threads(device: Device) -> None:
    """Have TensorFlow use the threads of this device. Raises UsageError where it is too late for that.

    One thread takes the operators one by one, and their arithmetic is shared by as many as the device names: more for
    the operators (TensorFlow takes as many as there are processors) would be more than were asked for.
    """
    now, given = threads(), os.environ.get(GIVEN_THREADS)
    # Where nobody named a number, what the user has set is the default.
    if device.threads == now or (device.threads == 0 and given is None):
        return
    if not _try_threads(device.threads):
        raise UsageError(
            f"'{device}' cannot be had in this process: TensorFlow was used in it with "
            f"{f'threads={now}' if now else 'its default number of threads'}, which is settled at its first use. Name "
            "the devices in the marker, not in the call, and keep tests with other numbers of threads in files of "
            "their own. With --modelperf-isolate=no or --pdb all is one process: measure on one device, and set "
            f"{INTRA_THREADS} before pytest starts"
        )
    for name in (INTRA_THREADS, INTER_THREADS) if given is not None else ():
        os.environ.pop(name, None)
    os.environ[GIVEN_THREADS] = str(device.threads)


def threads() -> int:
    """How many threads share the arithmetic of an operator, 0 for the default."""
    config = import_tensorflow().config.threading
    return int(config.get_intra_op_parallelism_threads() or _number(os.environ.get(INTRA_THREADS, "")))


def versions(device: Device) -> dict[str, str]:
    """Versions of what runs a model on this device: conditions of every figure."""
    tensorflow = import_tensorflow()
    found = {"tensorflow": tensorflow.__version__}
    if device.kind != "cpu":
        build = tensorflow.sysconfig.get_build_info()
        found |= {"cuda": build.get("cuda_version", ""), "cudnn": build.get("cudnn_version", "")}
        found |= {"driver": cuda_driver.version()}
    return {name: str(text) for name, text in found.items() if text}


def allows_tf32() -> bool:
    """Whether products and convolutions of float32 may be computed in TF32 on a GPU: unless somebody forbids it."""
    return bool(import_tensorflow().config.experimental.tensor_float_32_execution_enabled())


def reset_peak(device: Device) -> None:
    """Start the high-water mark of a GPU's allocator anew; on the CPU the memory is the process's own."""
    if device.kind != "cpu":
        import_tensorflow().config.experimental.reset_memory_stats(place(device))


def peak(device: Device) -> DeviceMemory | None:
    """What a GPU's allocator has handed out at most since then."""
    if device.kind == "cpu":
        return None
    found = import_tensorflow().config.experimental.get_memory_info(place(device))
    return DeviceMemory(int(found["peak"]), None)


def _try_threads(number: int) -> bool:
    """Set both numbers of threads; False where it is too late."""
    config = import_tensorflow().config.threading
    try:
        # The value that is set already is accepted at any time: only another one tells.
        config.set_intra_op_parallelism_threads(number + 1)
        config.set_intra_op_parallelism_threads(number)
        config.set_inter_op_parallelism_threads(1 if number else 0)
    except RuntimeError:
        return False
    return True


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
