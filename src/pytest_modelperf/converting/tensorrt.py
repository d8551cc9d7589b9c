"""TensorRT engines from ONNX models, for the sizes of the sweep.

Written to the Python API of TensorRT 10 and 11, and tried against a stand-in alone. 11 has no weak typing: there is no
flag for float16, and precision is what the ONNX model says; 10 takes the flag, and falls back layer by layer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.tensor import Tensor, tensors
from ..errors import ConversionError
from ..runtimes.onnx_graph import read_file
from ..runtimes.tensorrt_engine import import_tensorrt
from . import onnx_files, torch_models
from .libraries import lacks
from .onnxruntime import halved
from .protocol import ONNX, TENSORRT, Converted, Subject

# What was tried of kernels is kept, so that another build on such a GPU need not try it again. TensorRT refuses what is
# of another version or GPU.
TIMINGS = "tensorrt.timings"


@dataclass(frozen=True)
class TensorRt:
    """An engine with one optimisation profile, from the smallest to the largest case."""

    name: str
    what: str
    precision: str
    # Flags of the builder by name, where this TensorRT has them: set, or cleared.
    flags: Mapping[str, bool]
    seconds: float = 120.0

    takes, gives = ONNX, TENSORRT
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return torch_models.needs_cuda(subject) or lacks("tensorrt", "onnx")

    def convert(self, subject: Subject, folder: Path) -> Converted:
        trt = import_tensorrt()
        log = _log(trt)
        builder = trt.Builder(log)
        network, config = builder.create_network(0), builder.create_builder_config()
        source = self._source(trt, subject, folder)
        _parse(trt, network, log, source)
        for flag, value in self.flags.items():
            if hasattr(trt.BuilderFlag, flag):
                (config.set_flag if value else config.clear_flag)(getattr(trt.BuilderFlag, flag))
        config.add_optimization_profile(_profile(builder, subject, source))
        _read_timings(config, subject.kept)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise ConversionError(f"TensorRT builds no engine: {log.last()}")
        path = folder / "model.engine"
        path.write_bytes(plan)
        _keep_timings(config, subject.kept)
        return Converted(path, notes=(f"sizes from {_sizes(subject, 0)} to {_sizes(subject, -1)}",))

    def _source(self, trt: Any, subject: Subject, folder: Path) -> Path:
        """The ONNX model to parse: in half precision where there is no flag that asks for it."""
        if self.precision == "float16" and "FP16" in self.flags and not hasattr(trt.BuilderFlag, "FP16"):
            return onnx_files.save(halved(onnx_files.load(subject)), folder / "half.onnx")
        return onnx_files.as_file(subject, folder)


def variants() -> list[TensorRt]:
    return [
        TensorRt("tensorrt", "TensorRT, float32", "float32", {"TF32": False}),
        # A TF32 has the mantissa of a float16.
        TensorRt("tensorrt-tf32", "TensorRT, TensorFloat-32", "float16", {"TF32": True}),
        TensorRt("tensorrt-fp16", "TensorRT, float16", "float16", {"FP16": True, "TF32": True}),
    ]


def _read_timings(config: Any, kept: Path | None) -> None:
    path = kept / TIMINGS if kept is not None else None
    known = path.read_bytes() if path is not None and path.is_file() else b""
    for content in (known, b""):
        timings = config.create_timing_cache(content)
        if timings is not None and config.set_timing_cache(timings, ignore_mismatch=False):
            return


def _keep_timings(config: Any, kept: Path | None) -> None:
    if kept is None:
        return
    kept.mkdir(parents=True, exist_ok=True)
    new = kept / f"{TIMINGS}.{os.getpid()}"
    new.write_bytes(config.get_timing_cache().serialize())
    # Others see a whole one.
    new.replace(kept / TIMINGS)


def _parse(trt: Any, network: Any, log: Any, path: Path) -> None:
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(path)):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise ConversionError(f"TensorRT cannot read the ONNX model: {'; '.join(errors) or log.last()}")


def _profile(builder: Any, subject: Subject, path: Path) -> Any:
    """From the smallest case to the largest, made best for the largest: its calls are the longest."""
    profile = builder.create_optimization_profile()
    smallest, largest = _extremes(subject)
    for name, tensor in _named(subject, path).items():
        profile.set_shape(name, tensor.sized(smallest), tensor.sized(largest), tensor.sized(largest))
    return profile


def _extremes(subject: Subject) -> tuple[dict[str, int], dict[str, int]]:
    axes = subject.cases[0]
    return (
        {axis: min(case[axis] for case in subject.cases) for axis in axes},
        {axis: max(case[axis] for case in subject.cases) for axis in axes},
    )


def _sizes(subject: Subject, end: int) -> str:
    return " ".join(f"{axis}={size}" for axis, size in _extremes(subject)[end].items()) or "one shape"


def _named(subject: Subject, path: Path) -> dict[str, Tensor]:
    """The Tensors of the inputs by the names of the ONNX model's."""
    found = dict(tensors(subject.inputs))
    if isinstance(subject.inputs, Mapping):
        return found
    return dict(zip((known.name for known in read_file(path).signature.inputs), found.values(), strict=False))


def _log(trt: Any) -> Any:
    """A logger of TensorRT's kind that keeps its errors: functions return None or False, and tell the reason here."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(msg)

        def last(self) -> str:
            return self.errors[-1] if self.errors else "it told no reason"

    return Log()
