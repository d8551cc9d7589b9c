"""TensorRT engines from ONNX models, for the sizes of the sweep.

Written to the Python API of TensorRT 10 and 11, and tried against a stand-in alone. 11 has no weak typing: there is no
flag for float16, and precision is what the ONNX model says; 10 takes the flag, and falls back layer by layer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.precision import TF32
from ..domain.tensor import Tensor, Value, map_leaves, tensors
from ..errors import ConversionError
from ..runtimes.onnx_graph import read_file
from ..runtimes.tensorrt_engine import import_tensorrt, logger
from ..runtimes.tensorrt_memory import gpu
from . import onnx_files, torch_models
from .libraries import lacks
from .onnxruntime import halved
from .protocol import ONNX, TENSORRT, Converted, Subject

# What was tried of kernels is kept, so that another build on such a GPU need not try it again. TensorRT refuses what is
# of another version or GPU.
TIMINGS = "tensorrt.timings"
# As many draws as a variant is proven with: the values of an input that tells shapes must lie within its profile's.
_DRAWS = 3


@dataclass(frozen=True)
class TensorRt:
    """An engine with an optimisation profile made best for the smallest case, and one for the largest."""

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
        place = gpu(subject.device.index)
        try:
            # A builder times kernels on the GPU that is current when it is made.
            with place.current(), onnx_files.between(folder) as between:
                return self._built(subject, folder, between)
        finally:
            place.close()

    def _built(self, subject: Subject, folder: Path, between: Path) -> Converted:
        trt = import_tensorrt()
        log, teller = logger(trt)
        # What failed before is no reason for what fails now.
        log.errors.clear()
        builder = trt.Builder(teller)
        network, config = builder.create_network(0), builder.create_builder_config()
        source = self._source(trt, subject, between)
        _parse(trt, network, teller, source)
        for flag, value in self.flags.items():
            if hasattr(trt.BuilderFlag, flag):
                (config.set_flag if value else config.clear_flag)(getattr(trt.BuilderFlag, flag))
        for profile in _profiles(builder, network, subject, source):
            if config.add_optimization_profile(profile) < 0:
                raise ConversionError(f"TensorRT does not take its optimisation profile: {log.last()}")
        _read_timings(config, subject.kept)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise ConversionError(f"TensorRT builds no engine: {log.last()}")
        path = folder / "model.engine"
        path.write_bytes(plan)
        _keep_timings(config, subject.kept)
        return Converted(path, notes=(f"sizes from {_sizes(subject, 0)} to {_sizes(subject, -1)}, best for these two",))

    def _source(self, trt: Any, subject: Subject, between: Path) -> Path:
        """The ONNX model to parse: in half precision where there is no flag that asks for it."""
        if self.precision == "float16" and "FP16" in self.flags and not hasattr(trt.BuilderFlag, "FP16"):
            return onnx_files.save(halved(onnx_files.load(subject), between), between / "half.onnx")
        return onnx_files.as_file(subject, between)


def variants() -> list[TensorRt]:
    return [
        TensorRt("tensorrt", "TensorRT, float32", "float32", {"TF32": False}),
        TensorRt("tensorrt-tf32", "TensorRT, TensorFloat-32", TF32, {"TF32": True}),
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


def _parse(trt: Any, network: Any, teller: Any, path: Path) -> None:
    parser = trt.OnnxParser(network, teller)
    if not parser.parse_from_file(str(path)):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise ConversionError(f"TensorRT cannot read the ONNX model: {'; '.join(errors) or logger(trt)[0].last()}")


def _profiles(builder: Any, network: Any, subject: Subject, path: Path) -> Iterator[Any]:
    """Both from the smallest case to the largest: kernels that suit one may be slow at the other.

    Of an input that the network takes shapes from, its values are limited, not its own shape.
    """
    smallest, largest = _extremes(subject)
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    of_shapes = {one.name for one in inputs if one.is_shape_tensor}
    for best in (smallest, largest) if smallest != largest else (smallest,):
        profile = builder.create_optimization_profile()
        for place, (name, tensor) in enumerate(_named(subject, path).items()):
            if name in of_shapes:
                profile.set_shape_input(name, *_values(subject, place, tensor, best))
            else:
                profile.set_shape(name, *(tensor.sized(axes) for axes in (smallest, best, largest)))
        yield profile


def _values(subject: Subject, place: int, tensor: Tensor, best: Mapping[str, int]) -> tuple[list[int], ...]:
    """The least values of such an input, those of a call at this size, and the most; the same for all of its draws."""
    drawn = [_drawn(subject, axes, number)[place] for axes in subject.cases for number in range(_DRAWS)]
    at_best = _drawn(subject, best, 0)[place]
    least, most = (
        [min(column) for column in zip(*drawn, strict=True)],
        [max(column) for column in zip(*drawn, strict=True)],
    )
    if tensor.high is not None:
        least, most = [tensor.low or 0] * len(least), [tensor.high - 1] * len(most)
    return least, at_best, most


def _drawn(subject: Subject, axes: Mapping[str, int], number: int) -> list[list[int]]:
    """The values of the inputs of one call, in their order."""
    found: list[list[int]] = []
    map_leaves(subject.draw(axes, number), Value, lambda _, value: found.append(value.array.ravel().tolist()))
    return found


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
