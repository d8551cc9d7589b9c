"""The configuration of a model in a repository of NVIDIA's Triton Inference Server.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..domain.device import Device
from ..domain.precision import TF32
from ..domain.spec import RuntimeChoice
from ..runtimes import tensorrt_engine
from ..runtimes.onnxruntime_options import CPU, PROVIDERS
from ..runtimes.onnxruntime_options import TF32 as USE_TF32
from ..runtimes.tensorrt_memory import gpu
from .protocol import ONNX, OPENVINO, SAVED_MODEL, TENSORRT, TORCHSCRIPT

# The runtime that executes a form where none is named, and what Triton calls a runtime; of others it knows nothing
# without code of one's own.
_RUNTIMES = {ONNX: "onnxruntime", OPENVINO: "openvino", TENSORRT: "tensorrt", TORCHSCRIPT: "torch"}
_BACKENDS = {
    "onnxruntime": 'platform: "onnxruntime_onnx"',
    "openvino": 'backend: "openvino"',
    "tensorrt": 'platform: "tensorrt_plan"',
    "torch": 'platform: "pytorch_libtorch"',
}
# 25.02: https://github.com/triton-inference-server/server/pull/8068
_GONE = {
    SAVED_MODEL: "25.02 was the last of its servers with a backend for TensorFlow; what is made of it by way of ONNX "
    "can be served"
}
_PLACES = {"cpu": "KIND_CPU", "cuda": "KIND_GPU"}
_DTYPES = {
    "float16": "TYPE_FP16",
    "bfloat16": "TYPE_BF16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "bool": "TYPE_BOOL",
    **{f"{sign}int{bits}": f"TYPE_{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


_HINT = "INFERENCE_PRECISION_HINT"
# What sets the threads of a device.
_THREADS = {"onnxruntime": "intra_op_num_threads", "openvino": "INFERENCE_NUM_THREADS", "torch": "threads"}
# Options of a runtime → the parameter of Triton's backend, and its values where they are not the option's; what is not
# among these it has none for (READMEs of triton-inference-server's onnxruntime_, openvino_ and pytorch_backend).
_SWITCH = {"True": "1", "False": "0"}
_PARAMETERS: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "onnxruntime": {
        "intra_op_num_threads": ("intra_op_thread_count", {}),
        "inter_op_num_threads": ("inter_op_thread_count", {}),
        "execution_mode": ("execution_mode", {"ORT_SEQUENTIAL": "0", "ORT_PARALLEL": "1"}),
        "enable_cpu_mem_arena": ("enable_mem_arena", _SWITCH),
        "enable_mem_pattern": ("enable_mem_pattern", _SWITCH),
    },
    "openvino": {
        "INFERENCE_NUM_THREADS": ("INFERENCE_NUM_THREADS", {}),
        "NUM_STREAMS": ("NUM_STREAMS", {}),
        "PERFORMANCE_HINT": ("PERFORMANCE_HINT", {}),
        _HINT: ("HINT_BF16", {"bf16": "YES"}),
    },
    "torch": {"threads": ("INTRA_OP_THREAD_COUNT", {})},
}
# Of onnxruntime; all is what it does anyway.
_LEVELS = {"ORT_ENABLE_BASIC": "-1", "ORT_ENABLE_EXTENDED": "1", "ORT_DISABLE_ALL": "2"}


@dataclass(frozen=True)
class Port:
    """An input or output; a size of -1 may be any."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What a TensorRT engine says of itself: its optimisation profiles, and which tensors tell shapes."""

    profiles: int = 1
    of_shapes: tuple[str, ...] = ()


def planned(path: Path, device: Device) -> Plan:
    """The plan of the engine in a file. Raises ModelError where TensorRT cannot read it."""
    place = gpu(device.index)
    try:
        with place.current():
            found = tensorrt_engine.load(path)
            of_shapes = tuple(one.name for one in (*found.inputs, *found.outputs) if one.on_host)
            return Plan(len(found.profiles), of_shapes)
    finally:
        place.close()


@dataclass(frozen=True)
class Served:
    """A model file of this form as it was measured: in this runtime (None: the form's own), on this device.

    `precision` is what it computes in, `plan` that of an engine.
    """

    file: str
    form: str
    runtime: RuntimeChoice | None = None
    device: Device = field(default_factory=lambda: Device("cpu"))
    precision: str = "float32"
    plan: Plan = field(default_factory=Plan)

    @property
    def executor(self) -> str:
        """The runtime that executes it, "" where Triton has none."""
        return self.runtime.name if self.runtime is not None else _RUNTIMES.get(self.form, "")

    @property
    def options(self) -> Mapping[str, object]:
        """What the runtime is told, threads of the device among it."""
        given = self.runtime.options if self.runtime is not None else {}
        threads = _THREADS.get(self.executor, "")
        return {threads: self.device.threads, **given} if self.device.threads and threads else given


def lacking(served: Served, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """Why Triton cannot execute such a model as it was measured, "" where it can."""
    if served.form in _GONE:
        return _GONE[served.form]
    if served.executor not in _BACKENDS or served.form not in _RUNTIMES:
        return f"it has no backend for {served.form}"
    if served.device.kind not in _PLACES or (served.executor == "openvino" and served.device.kind != "cpu"):
        return f"its servers do not execute it on '{served.device}'"
    if served.form == TORCHSCRIPT and not all(port.name.isdigit() for port in outputs):
        return "its backend for TorchScript takes no model that gives a dict"
    unknown = sorted({port.dtype for port in (*inputs, *outputs)} - set(_DTYPES))
    return f"it has no {', '.join(unknown)}" if unknown else _unkept(served)


def _unkept(served: Served) -> str:
    """What decides over its answers and cannot be told to a backend, "" for nothing."""
    options = served.options
    hint = str(options.get(_HINT, "f32"))
    if served.executor == "openvino" and hint != "bf16":
        return f"its backend for OpenVINO cannot be told to compute in {hint}, and takes bfloat16 where the CPU has it"
    if served.executor == "onnxruntime" and options.get(USE_TF32) is False:
        return "its backend for ONNX Runtime cannot be told to compute in float32: on a GPU it takes TF32"
    if served.executor == "onnxruntime" and not _is_usual(options.get(PROVIDERS, [])):
        return "its backend for ONNX Runtime takes no list of providers"
    if served.executor == "torch" and served.precision == TF32:
        return "its backend for TorchScript cannot be told to compute in TF32"
    return ""


def _is_usual(providers: object) -> bool:
    """Whether these are what its backend takes by itself, without options."""
    known = (CPU, "CUDAExecutionProvider")
    return isinstance(providers, list | tuple) and all(provider in known for provider in providers)


def config(name: str, served: Served, inputs: Sequence[Port], outputs: Sequence[Port], max_batch: int) -> str:
    """The text of `config.pbtxt` of a model that lacks nothing, under a name that no other model of a server has.

    With a `max_batch` above 0 the leading size of all shapes is the batch.
    """
    lines = [f"name: {_text(name)}", _BACKENDS[served.executor], f"default_model_filename: {_text(served.file)}"]
    lines += [f"max_batch_size: {max_batch}", _instances(served)]
    for kind, ports in (("input", inputs), ("output", outputs)):
        # The backend for TorchScript knows no names: it takes them by their number.
        numbered = served.form == TORCHSCRIPT
        named = [f"{kind.upper()}__{place}" if numbered else port.name for place, port in enumerate(ports)]
        tensors = [
            _tensor(label, port, max_batch, port.name in served.plan.of_shapes)
            for label, port in zip(named, ports, strict=True)
        ]
        lines.append(f"{kind} [\n" + ",\n".join(tensors) + "\n]")
    return "\n".join([*lines, *_settings(served)]) + "\n"


def renamed(text: str, before: str, name: str) -> str:
    """The text of a `config.pbtxt` with another name of the model."""
    return text.replace(f"name: {_text(before)}", f"name: {_text(name)}", 1)


def _instances(served: Served) -> str:
    """One, where it was measured: Triton puts one on every GPU unless it is told otherwise.

    Of an engine it takes the first profile alone, unless it is told of all: then it chooses by the shapes of a request.
    """
    device = served.device
    gpus = f" gpus: [ {device.index} ]" if device.kind == "cuda" else ""
    numbers = ", ".join(f'"{number}"' for number in range(served.plan.profiles))
    profiles = f" profile: [ {numbers} ]" if served.plan.profiles > 1 else ""
    return f"instance_group [ {{ count: 1 kind: {_PLACES[device.kind]}{gpus}{profiles} }} ]"


def _settings(served: Served) -> list[str]:
    """Options of the runtime as parameters of its backend; those that it has none for are left out."""
    lines = []
    for option, (name, values) in _PARAMETERS.get(served.executor, {}).items():
        given = str(served.options.get(option, ""))
        value = values.get(given, "") if values else given
        if value:
            lines.append(f'parameters {{ key: "{name}" value: {{ string_value: {_text(value)} }} }}')
    level = _LEVELS.get(str(served.options.get("graph_optimization_level", "")))
    return [*lines, *([f"optimization {{ graph {{ level: {level} }} }}"] if level else [])]


def _tensor(name: str, port: Port, max_batch: int, tells_shapes: bool) -> str:
    shape = port.shape[1:] if max_batch else port.shape
    # A tensor without sizes of its own has one, of 1.
    sizes = ", ".join(map(str, shape)) or "1"
    reshape = " reshape: { shape: [ ] }" if not shape else ""
    told = " is_shape_tensor: true" if tells_shapes else ""
    return f"  {{ name: {_text(name)} data_type: {_DTYPES[port.dtype]} dims: [ {sizes} ]{reshape}{told} }}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
