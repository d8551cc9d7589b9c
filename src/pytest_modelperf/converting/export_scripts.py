"""Scripts that load an exported variant and run it, ten lines each, without this project."""

from __future__ import annotations

from collections.abc import Mapping

from ..domain.device import Device
from ..domain.spec import RuntimeChoice
from ..errors import ConversionError
from ..runtimes.onnxruntime_options import PROVIDERS, TF32, providers
from .protocol import LITERT, ONNX, OPENVINO, SAVED_MODEL, TENSORRT, TORCH, TORCHSCRIPT, Converter
from .settings import LITERT_THREADS, TORCH_THREADS
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
# TensorRT is given addresses: by cuda-python, as its runtime here has them where that is installed.
_ENGINE = """\
def done(answered):
    if answered[0] != cuda.cudaError_t.cudaSuccess:
        raise RuntimeError(answered[0])
    return answered[1] if len(answered) > 1 else None


def dtype(name):
    return tensorrt.nptype(engine.get_tensor_dtype(name))


done(cuda.cudaSetDevice({index}))
logger = tensorrt.Logger()
tensorrt.init_libnvinfer_plugins(logger, "")
with open({file!r}, "rb") as file:
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(file.read())
names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
own = [name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
inputs = dict(zip(own, inputs.values())) if set(inputs) != set(own) else inputs
inputs = {{name: numpy.array(array, dtype(name), order="C") for name, array in inputs.items()}}
context, stream = engine.create_execution_context(), done(cuda.cudaStreamCreate())
for profile in range(engine.num_optimization_profiles):
    context.set_optimization_profile_async(profile, stream)
    if all(context.set_input_shape(name, array.shape) for name, array in inputs.items()):
        break
else:
    raise SystemExit("no profile of the engine takes these inputs: not compared")
outputs, places = {{}}, {{}}
for name in names:
    array = inputs.get(name)
    on_host = engine.get_tensor_location(name) == tensorrt.TensorLocation.HOST
    if array is None:
        shape = tuple(context.get_tensor_shape(name))
        if min(shape, default=0) < 0:
            raise SystemExit(f"how large {{name}} is the engine says when it has run: not compared")
        array = outputs[name] = numpy.empty(shape, dtype(name))
    places[name] = array.ctypes.data if on_host else done(cuda.cudaMalloc(max(1, array.nbytes)))
    context.set_tensor_address(name, places[name])
    if name in inputs and not on_host:
        kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        done(cuda.cudaMemcpyAsync(places[name], array.ctypes.data, array.nbytes, kind, stream))
if not context.execute_async_v3(stream):
    raise SystemExit("TensorRT does not execute it: not compared")
for name, array in outputs.items():
    if places[name] != array.ctypes.data:
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        done(cuda.cudaMemcpyAsync(array.ctypes.data, places[name], array.nbytes, kind, stream))
done(cuda.cudaStreamSynchronize(stream))
"""
_BODIES = {
    ONNX: (
        "import onnxruntime",
        """\
options = onnxruntime.SessionOptions()
{options}session = onnxruntime.InferenceSession({file!r}, options, providers={providers})
names = [port.name for port in session.get_inputs()]
answer = session.run(None, dict(zip(names, inputs.values())) if set(inputs) != set(names) else inputs)
outputs = dict(zip([port.name for port in session.get_outputs()], answer))
""",
    ),
    OPENVINO: (
        "import openvino",
        """\
model = openvino.Core().compile_model({file!r}, "{openvino}", {properties})
known = {{name for port in model.inputs for name in port.names}}
answer = model(inputs if set(inputs) <= known else list(inputs.values()))
outputs = {{port.get_any_name(): answer[port] for port in model.outputs}}
""",
    ),
    TORCHSCRIPT: ("import torch", '{settings}model = torch.jit.load({file!r}, map_location="{place}")\n{optimised}'),
    TORCH: ("import torch", "{settings}model = torch.compile(torch.export.load({file!r}).module(), {compile})\n"),
    SAVED_MODEL: (
        "import tensorflow",
        """\
model = tensorflow.saved_model.load({file!r}).signatures["serving_default"]
answer = model(**{{name: tensorflow.constant(array) for name, array in inputs.items()}})
outputs = {{name: value.numpy() for name, value in answer.items()}}
""",
    ),
    LITERT: (
        "from ai_edge_litert.interpreter import Interpreter",
        "outputs = Interpreter({file!r}, num_threads={threads}).get_signature_runner()(**inputs)\n",
    ),
    TENSORRT: ("import tensorrt\nfrom cuda.bindings import runtime as cuda", _ENGINE),
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
        index=device.index,
        dtypes="{" + ", ".join(f"{name!r}: {dtype}" for name, dtype in halves.items()) + "}",
        settings=_torch_settings(converter, device.threads or options.get(TORCH_THREADS)),
        options="".join(map(_onnx_option, _threads(options, "intra_op_num_threads", device).items())),
        providers=repr(providers(options, device)) if form == ONNX and device.kind in ("cpu", "cuda") else "",
        openvino=device.kind.upper(),
        properties=repr(_threads(options, "INFERENCE_NUM_THREADS", device)),
        optimised=_OPTIMISED if converter.name == "torchscript-inference" else "",
        compile=_compile(converter),
        threads=device.threads or options.get(LITERT_THREADS),
    )
    return _HEAD.format(imports=imports) + filled + _TAIL


def _threads(options: Mapping[str, object], name: str, device: Device) -> dict[str, object]:
    threads = {name: device.threads} if device.threads else {}
    return {**threads, **{each: value for each, value in options.items() if each not in _OF_PROVIDERS}}


def _torch_settings(converter: Converter, number: object) -> str:
    """What is set in the process, not in the module."""
    threads = f"torch.set_num_threads({number})\n" if number else ""
    return threads + (_TF32 if converter.name == "tf32" else "")


# What is no option of the session but one of its providers.
_OF_PROVIDERS = (PROVIDERS, TF32)
_ONNX_ENUMS = {"graph_optimization_level": "GraphOptimizationLevel", "execution_mode": "ExecutionMode"}
# For products: for convolutions it is torch's default. Of its two kinds of switches neither is set by hand, since it
# fails where somebody has set the other kind.
_TF32 = 'torch.set_float32_matmul_precision("high")\n'
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
