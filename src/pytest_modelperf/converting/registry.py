"""Which converters there are: the built-in ones, and those of given names."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError, nearest
from .as_it_is import AsItIs
from .keras import MixedPrecision
from .litert import LiteRt
from .onnx_bert import OnnxBert
from .onnx_from_tensorflow import SavedModelToOnnx
from .onnx_from_torch import TorchToOnnx, TracedOnnx
from .onnxruntime import OnnxAsItIs, OnnxHalf, OnnxInt8, OnnxSlim
from .openvino import OpenVinoSetting
from .openvino import bridges as to_openvino
from .openvino_int8 import OpenVinoInt8
from .protocol import LITERT, ONNX, OPENVINO, TORCH, Converter
from .tensorflow import KerasToSavedModel
from .tensorflow import variants as of_saved_models
from .tensorrt import variants as engines
from .torch_attention import Attention
from .torch_compile import TorchCompile
from .torch_cuda import variants as on_cuda
from .torch_int8 import TorchInt8
from .torch_script import TorchScript
from .torch_settings import TorchSetting

_FREEZING = {"freezing": True}


def builtin() -> list[Converter]:
    """The converters of this project: bridges, then the others, the most promising in the least time first.

    The order is that of what was gained on a CPU by a ResNet, a BERT and an MLP, of what the conversion took, and on
    one with bfloat16; a GPU's own refuse a CPU without a cost.
    """
    return [
        *to_openvino(),
        TorchToOnnx(),
        KerasToSavedModel(),
        SavedModelToOnnx(),
        OpenVinoSetting("openvino-bf16", "OpenVINO, bfloat16", "bf16"),
        OpenVinoSetting("openvino-f16", "OpenVINO, float16", "f16"),
        TorchSetting("bf16-channels_last", "bfloat16 weights and activations, channels last", "bfloat16", True),
        TorchSetting("bf16", "bfloat16 weights and activations", "bfloat16"),
        TorchInt8(),
        OpenVinoInt8(),
        OpenVinoSetting("openvino", "OpenVINO, float32", "f32"),
        AsItIs("onnxruntime-settings", "ONNX Runtime, other settings than its own", ONNX, "onnxruntime"),
        AsItIs("openvino-settings", "OpenVINO, other settings than its own", OPENVINO, "openvino"),
        AsItIs("litert-settings", "LiteRT, with several threads", LITERT, "ai_edge_litert", "litert"),
        *on_cuda(),
        *engines(),
        Attention(),
        OnnxAsItIs(),
        OnnxAsItIs("onnxruntime-tf32", "ONNX Runtime, TensorFloat-32", tf32=True),
        *of_saved_models(),
        OnnxInt8(),
        OnnxBert(),
        TracedOnnx(),
        AsItIs("torch-threads", "another number of threads", TORCH, "torch"),
        TorchSetting("channels_last", "tensors of images with their channels last", channels_last=True),
        TorchScript("torchscript-inference", "TorchScript, frozen and optimised for inference", True),
        TorchScript("torchscript", "TorchScript, frozen", kin="torchscript-inference"),
        OnnxSlim(),
        OnnxHalf(),
        TorchSetting("fp16", "float16 weights and activations", "float16"),
        TorchSetting("fp16-channels_last", "float16 weights and activations, channels last", "float16", True),
        TorchCompile("compile-freezing", "torch.compile, weights frozen into what is compiled", options=_FREEZING),
        TorchCompile(
            "compile-freezing-bf16",
            "torch.compile in bfloat16, weights frozen into what is compiled",
            options=_FREEZING,
            dtype="bfloat16",
            kin="compile-freezing",
            seconds=70.0,
        ),
        MixedPrecision("mixed-bf16", "Keras, mixed precision with bfloat16", "bfloat16"),
        LiteRt("litert", "LiteRT"),
        LiteRt("litert-int8", "LiteRT, 8-bit weights, activations quantized as they come", True),
        MixedPrecision("mixed-fp16", "Keras, mixed precision with float16", "float16", kin="mixed-bf16"),
        TorchCompile("compile", "torch.compile", kin="compile-freezing"),
        TorchCompile("compile-reduce-overhead", "torch.compile with CUDA graphs", "reduce-overhead", needs_cuda=True),
        TorchCompile(
            "compile-max-autotune",
            "torch.compile, kernels chosen by trying",
            "max-autotune",
            alone=True,
            kin="compile-freezing",
            seconds=120.0,
        ),
    ]


def chosen(names: Sequence[str], converters: Sequence[Converter]) -> list[Converter]:
    """The converters of these names, and every bridge; all of them where none is named. Raises UsageError."""
    known = {converter.name for converter in converters if not converter.is_bridge}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no converter {name!r}; {nearest(name, known)}")
    return [each for each in converters if each.is_bridge or each.name in names] if names else list(converters)
