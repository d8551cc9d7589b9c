"""Options of onnxruntime: execution providers, and the fields and configuration entries of its SessionOptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..domain.device import Device
from ..errors import UsageError, nearest

PROVIDERS = "providers"
CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_THREADS = "intra_op_num_threads"
# The execution provider that serves a device when nobody says, and the device types of those that have memory of their
# own: with any other the model's inputs and outputs are in the machine's.
_BY_DEVICE = {"cpu": CPU, "cuda": _CUDA}
_DEVICES = {
    _CUDA: "cuda",
    "TensorrtExecutionProvider": "cuda",
    "NvTensorRTRTXExecutionProvider": "cuda",
}
_DEVICE_ID = "device_id"
# Whether the provider for CUDA may compute float32 in TF32: an option of that provider, and of the runtime, so that it
# can be set beside the providers that a test names. Its own default is to do so, in products and convolutions.
TF32 = "use_tf32"
# What has a provider record the first call as a CUDA graph and replay it for all later ones.
_GRAPHS = ("enable_cuda_graph", "trt_cuda_graph_enable")
_OFF = ("0", "false")


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _member(enumeration: str) -> Callable[[object], Any]:
    def member(value: object) -> Any:
        import onnxruntime  # type: ignore[import-untyped]

        return getattr(onnxruntime, enumeration).__members__.get(str(value))

    return member


# Fields of SessionOptions: name → (what makes the field's value of an option's, None for what cannot be; for people).
_FIELDS: dict[str, tuple[Callable[[object], Any], str]] = {
    "graph_optimization_level": (
        _member("GraphOptimizationLevel"),
        '"ORT_ENABLE_ALL" or another GraphOptimizationLevel',
    ),
    "execution_mode": (_member("ExecutionMode"), '"ORT_SEQUENTIAL" or "ORT_PARALLEL"'),
    _THREADS: (_number, "a number, 0 for the default"),
    "inter_op_num_threads": (_number, "a number, 0 for the default"),
    "enable_cpu_mem_arena": (_switch, "True or False"),
    "enable_mem_pattern": (_switch, "True or False"),
    "enable_mem_reuse": (_switch, "True or False"),
    "use_deterministic_compute": (_switch, "True or False"),
}
# Configuration entries have names like "session.intra_op.allow_spinning" and texts as values; which there are differs
# from version to version, and onnxruntime keeps no list of them.
_ENTRY = "."


def check(options: Mapping[str, object], available: list[str]) -> None:
    """Raise UsageError, naming the nearest, for an option or provider that there is not, or a value that cannot be."""
    for name, value in options.items():
        if name == PROVIDERS:
            _check_providers(value, available)
        elif name == TF32:
            if not isinstance(value, bool):
                raise UsageError(f"the option {TF32} of onnxruntime is {value!r}; write True or False")
        elif name in _FIELDS:
            make, values = _FIELDS[name]
            if make(value) is None:
                raise UsageError(f"the option {name} of onnxruntime is {value!r}; write {values}")
        elif _ENTRY not in name:
            raise UsageError(
                f"the runtime onnxruntime has no option {name!r}; {nearest(name, {*_FIELDS, PROVIDERS, TF32})}"
            )


def fill(session_options: Any, options: Mapping[str, object], device: Device) -> None:
    """Write the options into onnxruntime's own. Raises UsageError where the threads are told twice."""
    if device.threads and _THREADS in options:
        raise UsageError(f"'{device}' and the option {_THREADS} both set the threads; leave one of them out")
    if device.threads:
        session_options.intra_op_num_threads = device.threads
    for name, value in options.items():
        if name in _FIELDS:
            setattr(session_options, name, _FIELDS[name][0](value))
        elif name not in (PROVIDERS, TF32):
            session_options.add_session_config_entry(name, _text(value))


def providers(options: Mapping[str, object], device: Device) -> list[tuple[str, dict[str, str]]]:
    """The execution providers to use on the device, by preference, with their options.

    Raises UsageError for a list that does not serve this device.
    """
    asked = _pairs(options.get(PROVIDERS, [])) or [(_BY_DEVICE[device.kind], {})]
    served = {_DEVICES.get(name, "cpu") for name, _ in asked if name != CPU} or {"cpu"}
    if served != {device.kind}:
        names = ", ".join(name for name, _ in asked)
        where = next(iter(served - {device.kind}), "cpu")
        raise UsageError(f"the providers {names} do not run on '{device}'; write devices={where!r}, or other providers")
    if TF32 in options and _CUDA not in dict(asked):
        names = ", ".join(name for name, _ in asked)
        raise UsageError(f"the option {TF32} is one of {_CUDA}, and on '{device}' there is {names}; leave it out")
    own = [(name, _placed(name, {**given, **_tf32(name, options)}, device)) for name, given in asked]
    return own if CPU in dict(own) else [*own, (CPU, {})]


def first_device(options: Mapping[str, object]) -> Device:
    """Where the providers that are asked for run: the first device of their kind."""
    names = [name for name, _ in _pairs(options.get(PROVIDERS, []))]
    return Device(next((_DEVICES[name] for name in names if name in _DEVICES), "cpu"))


def allows_tf32(session: Any) -> bool:
    """Whether a session on a GPU may compute float32 in TF32: TensorRT's providers do, and cannot be told not to."""
    chosen = session.get_provider_options()
    on_gpu = [name for name in session.get_providers() if name in _DEVICES]
    return any(name != _CUDA or chosen.get(name, {}).get(TF32, "1").lower() not in _OFF for name in on_gpu)


def _tf32(provider: str, options: Mapping[str, object]) -> dict[str, object]:
    return {TF32: options[TF32]} if provider == _CUDA and TF32 in options else {}


def _placed(provider: str, given: Mapping[str, object], device: Device) -> dict[str, str]:
    place = {_DEVICE_ID: device.index} if provider in _DEVICES else {}
    return {name: _text(value) for name, value in {**place, **given}.items()}


def _check_providers(value: object, available: list[str]) -> None:
    for name, given in _pairs(value):
        graphs = [option for option in _GRAPHS if _text(given.get(option, "0")).lower() not in _OFF]
        if graphs:
            raise UsageError(
                f"the option {graphs[0]} of {name} has onnxruntime record the first call of a session and replay it: "
                "shapes and places of inputs and outputs must stay the same, and a session is asked for several cases "
                "here, on inputs of their own, so that all would get the first one's answers; leave it out"
            )
        if name not in available:
            raise UsageError(
                f"this onnxruntime has no execution provider {name!r}, it has {', '.join(available)}; write one of "
                "them, or install a build with the other (onnxruntime-gpu, onnxruntime-openvino …)"
            )


def _pairs(value: object) -> list[tuple[str, Mapping[str, object]]]:
    entries = value if isinstance(value, (list, tuple)) else [None]
    pairs: list[Any] = [(entry, {}) if isinstance(entry, str) else entry for entry in entries]
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[1], Mapping):
            raise UsageError(
                f"the option {PROVIDERS} of onnxruntime is {value!r}; write a list of names, or of names with options: "
                f'["OpenVINOExecutionProvider"], [("CUDAExecutionProvider", {{"use_tf32": 0}})]'
            )
    return [(str(name), given) for name, given in pairs]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
