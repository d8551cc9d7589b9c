"""The configuration of a model in a repository of NVIDIA's Triton Inference Server.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.spec import RuntimeChoice
from .protocol import ONNX, OPENVINO, SAVED_MODEL, TENSORRT, TORCHSCRIPT

# What a form is executed by; of others Triton knows nothing without code of one's own.
_BACKENDS = {
    ONNX: 'platform: "onnxruntime_onnx"',
    OPENVINO: 'backend: "openvino"\ndefault_model_filename: "model.xml"',
    SAVED_MODEL: 'platform: "tensorflow_savedmodel"',
    TENSORRT: 'platform: "tensorrt_plan"',
    TORCHSCRIPT: 'platform: "pytorch_libtorch"',
}
_DTYPES = {
    "float16": "TYPE_FP16",
    "bfloat16": "TYPE_BF16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "bool": "TYPE_BOOL",
    **{f"{sign}int{bits}": f"TYPE_{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


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
        "INFERENCE_PRECISION_HINT": ("HINT_BF16", {"bf16": "YES"}),
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


def lacking(form: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """Why Triton cannot execute such a model, "" where it can."""
    if form not in _BACKENDS:
        return f"it has no backend for {form}"
    if form == TORCHSCRIPT and not all(port.name.isdigit() for port in outputs):
        return "its backend for TorchScript takes no model that gives a dict"
    unknown = sorted({port.dtype for port in (*inputs, *outputs)} - set(_DTYPES))
    return f"it has no {', '.join(unknown)}" if unknown else ""


def config(
    name: str,
    form: str,
    runtime: RuntimeChoice | None,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    max_batch: int,
) -> str:
    """The text of `config.pbtxt` of a model that lacks nothing.

    With a `max_batch` above 0 the leading size of all shapes is the batch.
    """
    backend = 'backend: "openvino"' if runtime is not None and runtime.name == "openvino" and form == ONNX else ""
    lines = [f'name: "{name}"', backend or _BACKENDS[form], f"max_batch_size: {max_batch}"]
    for kind, ports in (("input", inputs), ("output", outputs)):
        # The backend for TorchScript knows no names: it takes them by their number.
        numbered = form == TORCHSCRIPT
        named = [f"{kind.upper()}__{place}" if numbered else port.name for place, port in enumerate(ports)]
        tensors = [_tensor(label, port, max_batch) for label, port in zip(named, ports, strict=True)]
        lines.append(f"{kind} [\n" + ",\n".join(tensors) + "\n]")
    if runtime is not None:
        lines += _settings(runtime)
    return "\n".join(lines) + "\n"


def _settings(runtime: RuntimeChoice) -> list[str]:
    """Options of the runtime as parameters of its backend; those that it has none for are left out."""
    lines = []
    for option, (name, values) in _PARAMETERS.get(runtime.name, {}).items():
        given = str(runtime.options.get(option, ""))
        value = values.get(given, "") if values else given
        if value:
            lines.append(f'parameters {{ key: "{name}" value: {{ string_value: "{value}" }} }}')
    level = _LEVELS.get(str(runtime.options.get("graph_optimization_level", "")))
    return [*lines, *([f"optimization {{ graph {{ level: {level} }} }}"] if level else [])]


def _tensor(name: str, port: Port, max_batch: int) -> str:
    shape = port.shape[1:] if max_batch else port.shape
    # A tensor without sizes of its own has one, of 1.
    sizes = ", ".join(map(str, shape)) or "1"
    reshape = " reshape: { shape: [ ] }" if not shape else ""
    return f'  {{ name: "{name}" data_type: {_DTYPES[port.dtype]} dims: [ {sizes} ]{reshape} }}'
