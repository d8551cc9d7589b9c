"""Which devices this machine has, asked in a process of its own, so that the one that asks imports no framework.

`python -m pytest_modelperf.runtimes.devices` prints them as JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from .. import launch
from ..errors import PeerLost
from . import cuda_driver

# Importing torch and waking a GPU takes seconds; a driver that hangs takes for ever.
TIMEOUT_S = 60.0
_CPUINFO = Path("/proc/cpuinfo")


def present() -> dict[str, str]:
    """The devices by name, each with what it is: `{"cpu": "AMD EPYC × 2", "cuda:0": "NVIDIA H200"}`.

    torch is asked, else onnxruntime, else TensorFlow, and OpenVINO, which has devices of its own; without them there is
    the CPU.
    """
    cuda = _of_torch() or _of_onnxruntime() or _of_tensorflow()
    return {"cpu": f"{_cpu()} × {os.cpu_count() or 1}", **cuda, **_of_openvino()}


def ask_present(timeout_s: float = TIMEOUT_S) -> dict[str, str]:
    """`present()` of a fresh process with this one's sys.path. Raises PeerLost when it gives no answer in time."""
    command = launch.argv(__name__, *filter(None, sys.path))
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=True)
        found: dict[str, str] = json.loads(answer.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise PeerLost(f"the devices of this machine were not told within {timeout_s:g} s; {_REMEDY}") from error
    except (subprocess.CalledProcessError, ValueError, IndexError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise PeerLost(
            f"the devices of this machine could not be told: {said[-1] if said else error}; {_REMEDY}"
        ) from error
    return found


_REMEDY = f"run `{Path(sys.executable).name} -m {__name__}` to see why, or name the device: --modelperf-device=cpu"


def main(*more: str) -> None:
    """`more`: folders to import from."""
    # Behind its own: a file statistics.py of the user's is not Python's, nor a torch.py torch.
    sys.path.extend(folder for folder in more if folder not in sys.path)
    sys.stdout.write(json.dumps(present()) + "\n")


def _of_torch() -> dict[str, str]:
    if importlib.util.find_spec("torch") is None:
        return {}
    from .torch_devices import accelerators

    return accelerators()


def _of_onnxruntime() -> dict[str, str]:
    if importlib.util.find_spec("onnxruntime") is None:
        return {}
    from .onnxruntime import accelerators

    return accelerators()


def _of_tensorflow() -> dict[str, str]:
    # Importing it takes seconds, which a machine without a GPU is spared.
    if importlib.util.find_spec("tensorflow") is None or not cuda_driver.names():
        return {}
    from .tensorflow_devices import accelerators

    return accelerators()


def _of_openvino() -> dict[str, str]:
    if importlib.util.find_spec("openvino") is None:
        return {}
    from .openvino import accelerators

    return accelerators()


def _cpu() -> str:
    lines = _CPUINFO.read_text(errors="replace").splitlines() if _CPUINFO.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine() or "CPU"


if __name__ == "__main__":
    main()
