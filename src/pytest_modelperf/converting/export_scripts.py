"""Scripts that load an exported variant and run it, ten lines each, without this project."""

from __future__ import annotations

from collections.abc import Mapping

from ..domain.device import Device
from ..domain.spec import RuntimeChoice
from ..errors import ConversionError
from ..runtimes.onnxruntime_options import CPU, PROVIDERS
from .protocol import LITERT, ONNX, OPENVINO, SAVED_MODEL, TENSORRT, TORCH, TORCHSCRIPT, Converter
from .settings import TORCH_THREADS
from .torch_compile import TorchCompile

_HEAD = """\
import os
import numpy
{imports}
os.chdir(os.path.dirname(os.path.abspath(__file__)))
inputs = dict(numpy.load("inputs.npz"))
"""
_TAIL = """\
for name, expected in numpy.load("outputs.npz").items():
    apart = abs(outputs[name].astype("float64") - expected).max()
    print(f"{name} {outputs[name].shape} {outputs[name].dtype}: {apart:.3g} from the original's answer")
"""
# Halves are told from what they were: numpy has no bfloat16.
_TORCH = """\
dtypes = {dtypes}
given = [torch.from_numpy(array).to("{place}", dtypes.get(name)) for name, array in inputs.items()]
with torch.inference_mode():
    answer = model(*given)
if not isinstance(answer, dict):
    answer = {{str(place): value for place, value in enumerate(answer if isinstance(answer, tuple) else [answer])}}
plain = {{name: value.float() if value.dtype is torch.bfloat16 else value for name, value in answer.items()}}
outputs = {{name: value.cpu().numpy() for name, value in plain.items()}}
"""
_BODIES = {
    ONNX: (
        "import onnxruntime",
        """\
options = onnxruntime.SessionOptions()
{options}session = onnxruntime.InferenceSession("{file}", options, providers={providers})
names = [port.name for port in session.get_inputs()]
answer = session.run(None, dict(zip(names, inputs.values())) if set(inputs) != set(names) else inputs)
outputs = dict(zip([port.name for port in session.get_outputs()], answer))
""",
    ),
    OPENVINO: (
        "import openvino",
        """\
model = openvino.Core().compile_model("{file}", "{openvino}", {properties})
answer = model(inputs if all(map(str.isidentifier, inputs)) else list(inputs.values()))
outputs = {{port.get_any_name(): answer[port] for port in model.outputs}}
""",
    ),
    TORCHSCRIPT: ("import torch", '{settings}model = torch.jit.load("{file}", map_location="{place}")\n{optimised}'),
    TORCH: ("import torch", '{settings}model = torch.compile(torch.export.load("{file}").module(), {compile})\n'),
    SAVED_MODEL: (
        "import tensorflow",
        """\
model = tensorflow.saved_model.load("{file}").signatures["serving_default"]
answer = model(**{{name: tensorflow.constant(array) for name, array in inputs.items()}})
outputs = {{name: value.numpy() for name, value in answer.items()}}
""",
    ),
    LITERT: (
        "from ai_edge_litert.interpreter import Interpreter",
        'outputs = Interpreter("{file}").get_signature_runner()(**inputs)\n',
    ),
    # Its buffers would have to be managed by hand.
    TENSORRT: (
        "import subprocess",
        'subprocess.run(["trtexec", "--loadEngine={file}"], check=True)\noutputs = dict(numpy.load("outputs.npz"))\n',
    ),
}


def script(
    form: str,
    file: str,
    runtime: RuntimeChoice | None,
    converter: Converter,
    device: Device,
    dtypes: Mapping[str, str],
) -> str:
    """A script that runs the file of this form on the device, with inputs of these dtypes.

    Raises ConversionError for a form that none is known for, and for inputs that numpy cannot give it.
    """
    if form not in _BODIES:
        raise ConversionError(f"nothing is known that runs a {form} without this project")
    halves = {name: f"torch.{dtype}" for name, dtype in dtypes.items() if dtype == "bfloat16"}
    if halves and form not in (TORCH, TORCHSCRIPT):
        raise ConversionError(f"numpy has no bfloat16, which the input {next(iter(halves))!r} is")
    options = dict(runtime.options) if runtime is not None else {}
    place = device.kind if device.kind == "cpu" else str(device)
    imports, body = _BODIES[OPENVINO if runtime is not None and runtime.name == "openvino" else form]
    body += _TORCH if form in (TORCH, TORCHSCRIPT) else ""
    filled = body.format(
        file=file,
        place=place,
        dtypes="{" + ", ".join(f"{name!r}: {dtype}" for name, dtype in halves.items()) + "}",
        settings=_torch_settings(converter, device.threads or options.get(TORCH_THREADS)),
        options="".join(map(_onnx_option, _threads(options, "intra_op_num_threads", device).items())),
        providers=repr(_providers(options, device)),
        openvino=device.kind.upper(),
        properties=repr(_threads(options, "INFERENCE_NUM_THREADS", device)),
        optimised=_OPTIMISED if converter.name == "torchscript-inference" else "",
        compile=_compile(converter),
    )
    return _HEAD.format(imports=imports) + filled + _TAIL


def _threads(options: Mapping[str, object], name: str, device: Device) -> dict[str, object]:
    threads = {name: device.threads} if device.threads else {}
    return {**threads, **{each: value for each, value in options.items() if each != PROVIDERS}}


def _providers(options: Mapping[str, object], device: Device) -> object:
    if PROVIDERS in options:
        return options[PROVIDERS]
    return [("CUDAExecutionProvider", {"device_id": device.index})] if device.kind == "cuda" else [CPU]


def _torch_settings(converter: Converter, number: object) -> str:
    """What is set in the process, not in the module."""
    threads = f"torch.set_num_threads({number})\n" if number else ""
    return threads + (_TF32 if converter.name == "tf32" else "")


_ONNX_ENUMS = {"graph_optimization_level": "GraphOptimizationLevel", "execution_mode": "ExecutionMode"}
_TF32 = "torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True\n"
_OPTIMISED = "model = torch.jit.optimize_for_inference(model.eval())\n"


def _onnx_option(option: tuple[str, object]) -> str:
    name, value = option
    if name in _ONNX_ENUMS:
        return f"options.{name} = onnxruntime.{_ONNX_ENUMS[name]}.{value}\n"
    if "." in name:
        return f"options.add_session_config_entry({name!r}, {str(value)!r})\n"
    return f"options.{name} = {value!r}\n"


def _compile(converter: Converter) -> str:
    if not isinstance(converter, TorchCompile):
        return ""
    return f"mode={converter.mode or None!r}, options={dict(converter.options) or None!r}, dynamic=False"
