"""Scripts that load an exported variant and run it, ten lines each, without this project."""

from __future__ import annotations

from ..domain.spec import RuntimeChoice
from ..errors import ConversionError
from .protocol import LITERT, ONNX, OPENVINO, SAVED_MODEL, TENSORRT, TORCH, TORCHSCRIPT, Converter
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
_TORCH = """\
with torch.inference_mode():
    answer = model(*map(torch.from_numpy, inputs.values()))
outputs = {name: value.numpy() for name, value in (answer if isinstance(answer, dict) else {"0": answer}).items()}
"""
_BODIES = {
    ONNX: (
        "import onnxruntime",
        """\
options = onnxruntime.SessionOptions()
{options}session = onnxruntime.InferenceSession("{file}", options)
names = [port.name for port in session.get_inputs()]
answer = session.run(None, dict(zip(names, inputs.values())) if set(inputs) != set(names) else inputs)
outputs = dict(zip([port.name for port in session.get_outputs()], answer))
""",
    ),
    OPENVINO: (
        "import openvino",
        """\
model = openvino.Core().compile_model("{file}", "CPU", {properties})
answer = model(inputs if all(map(str.isidentifier, inputs)) else list(inputs.values()))
outputs = {{port.get_any_name(): answer[port] for port in model.outputs}}
""",
    ),
    TORCHSCRIPT: ("import torch", 'model = torch.jit.load("{file}")\n{optimised}'),
    TORCH: ("import torch", 'model = torch.compile(torch.export.load("{file}").module(), {compile})\n'),
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


def script(form: str, file: str, runtime: RuntimeChoice | None, converter: Converter) -> str:
    """A script that runs the file of this form. Raises ConversionError for a form that none is known for."""
    if form not in _BODIES:
        raise ConversionError(f"nothing is known that runs a {form} without this project")
    imports, body = _BODIES[form]
    options = dict(runtime.options) if runtime is not None else {}
    filled = body.format(
        file=file,
        options="".join(map(_onnx_option, options.items())),
        properties=repr(options),
        optimised=_OPTIMISED if converter.name == "torchscript-inference" else "",
        compile=_compile(converter),
    )
    call = _TORCH if form in (TORCH, TORCHSCRIPT) else ""
    return _HEAD.format(imports=imports) + filled + call + _TAIL


_OPTIMISED = "model = torch.jit.optimize_for_inference(model.eval())\n"


def _onnx_option(option: tuple[str, object]) -> str:
    name, value = option
    if name == "graph_optimization_level":
        return f"options.{name} = onnxruntime.GraphOptimizationLevel.{value}\n"
    if "." in name:
        return f"options.add_session_config_entry({name!r}, {str(value)!r})\n"
    return f"options.{name} = {value!r}\n"


def _compile(converter: Converter) -> str:
    if not isinstance(converter, TorchCompile):
        return ""
    return f"mode={converter.mode or None!r}, options={dict(converter.options) or None!r}, dynamic=False"
