"""ONNX models executed by onnxruntime: as they are, made simpler, in half precision, or quantized."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.precision import TF32
from ..domain.spec import RuntimeChoice
from ..errors import ConversionError
from ..runtimes.onnxruntime_options import TF32 as USE_TF32
from . import onnx_files, torch_models
from .libraries import lacks
from .protocol import ONNX, Converted, Subject

_RUNTIME = "onnxruntime"
_FILE = "model.onnx"
# What onnxruntime multiplies in 8 bits. Convolutions are left out: their activations are better quantized beforehand
# (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
_QUANTIZED = ("MatMul", "Gemm", "LSTM", "Attention", "EmbedLayerNormalization")


def in_float32(subject: Subject) -> RuntimeChoice:
    """onnxruntime, computing in float32: on a GPU its own default is TF32, and it says nothing of that."""
    return RuntimeChoice(_RUNTIME, {USE_TF32: False} if subject.device.kind == "cuda" else {})


@dataclass(frozen=True)
class OnnxAsItIs:
    """The model as it is, in onnxruntime."""

    name: str = "onnxruntime"
    what: str = "ONNX Runtime"
    tf32: bool = False
    seconds: float = 1.0

    takes = gives = ONNX
    is_bridge = False

    @property
    def precision(self) -> str:
        return TF32 if self.tf32 else "float32"

    def refuses(self, subject: Subject) -> str:
        missing = torch_models.needs_cuda(subject) if self.tf32 else ""
        if missing:
            return missing
        if subject.model is not None and subject.runs_in(_RUNTIME):
            return "it is an ONNX model, which onnxruntime executes as it is"
        return lacks("onnx", _RUNTIME)

    def convert(self, subject: Subject, folder: Path) -> Converted:
        choice = RuntimeChoice(_RUNTIME, {USE_TF32: True}) if self.tf32 else in_float32(subject)
        return Converted(onnx_files.as_file(subject, folder), choice)


@dataclass(frozen=True)
class OnnxSlim:
    """The model made simpler by onnxslim, which folds what onnxruntime leaves."""

    name: str = "onnxslim"
    what: str = "ONNX Runtime, the graph made simpler by onnxslim"
    seconds: float = 5.0

    takes = gives = ONNX
    precision = "float32"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return lacks("onnx", _RUNTIME, "onnxslim")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        import onnxslim

        before = onnx_files.load(subject)
        nodes = len(before.graph.node)
        after = onnxslim.slim(before)
        counts = {"nodes before": float(nodes), "nodes": float(len(after.graph.node))}
        if counts["nodes"] >= counts["nodes before"]:
            raise ConversionError(f"onnxslim leaves its {nodes} nodes as they are")
        return Converted(onnx_files.save(after, folder / _FILE), in_float32(subject), counts=counts)


@dataclass(frozen=True)
class OnnxHalf:
    """Weights and operators in float16; inputs and outputs as they were."""

    name: str = "onnxruntime-fp16"
    what: str = "ONNX Runtime, float16 weights and operators"
    seconds: float = 5.0

    takes = gives = ONNX
    precision = "float16"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return lacks("onnx", _RUNTIME)

    def convert(self, subject: Subject, folder: Path) -> Converted:
        with onnx_files.between(folder) as between:
            half = halved(onnx_files.load(subject), between)
        return Converted(onnx_files.save(half, folder / _FILE), RuntimeChoice(_RUNTIME))


@dataclass(frozen=True)
class OnnxInt8:
    """Weights in 8 bits, activations quantized as they come."""

    name: str = "onnxruntime-int8"
    what: str = "ONNX Runtime, 8-bit weights, activations quantized as they come"
    seconds: float = 5.0

    takes = gives = ONNX
    precision = "int8"
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        if subject.device.kind == torch_models.CUDA:
            # https://github.com/microsoft/onnxruntime/issues/10267: a BERT took 20 times as long.
            return f"onnxruntime quantizes as it comes on a CPU alone, and would copy to and from '{subject.device}'"
        return lacks("onnx", _RUNTIME)

    def convert(self, subject: Subject, folder: Path) -> Converted:
        from onnxruntime import quantization  # type: ignore[import-untyped]

        model = onnx_files.load(subject)
        if not any(kind in _QUANTIZED for kind in onnx_files.kinds(model)):
            raise ConversionError("it has no matrix product to quantize, and convolutions are not worth it")
        # Shapes that the exporter wrote down contradict those that quantization infers of a turned matrix.
        del model.graph.value_info[:]
        path, is_large = folder / _FILE, onnx_files.is_large(model)
        with onnx_files.between(folder) as between:
            quantization.quantize_dynamic(
                onnx_files.save(model, between / "given.onnx"),
                path,
                op_types_to_quantize=list(_QUANTIZED),
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                use_external_data_format=is_large,
            )
        return Converted(path, RuntimeChoice(_RUNTIME), counts={"operators quantized": float(_quantized(path))})


def halved(model: Any, between: Path) -> Any:
    """The ModelProto in float16, its inputs and outputs kept; `between` is a folder for what is written meanwhile.

    By onnxruntime's copy of onnxconverter_common's converter: that one (1.16) leaves a model that cannot be opened
    where an output is used inside as well.
    """
    from onnxruntime.transformers import float16  # type: ignore[import-untyped]

    # Shapes of a large one are inferred from its file alone.
    given = str(onnx_files.save(model, between / "whole.onnx")) if onnx_files.is_large(model) else model
    return float16.convert_float_to_float16(given, keep_io_types=True)


def _quantized(path: Path) -> int:
    import onnx

    kinds = onnx_files.kinds(onnx.load(str(path), load_external_data=False))
    return sum(number for kind, number in kinds.items() if "Integer" in kind or kind.startswith("QLinear"))
