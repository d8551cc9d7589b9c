"""Export: a variant as files that run without this project, with a script that does, and as a model of Triton.

`run.py` loads the variant, calls it on `inputs.npz` and prints how far its answers are from the original's, which are
in `outputs.npz`.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domain.codec import to_json
from ..domain.tensor import BATCH, Tensor, Value, tensors
from ..domain.variant import MADE_BY
from ..errors import ConversionError
from ..runtimes import onnx_graph
from . import export_scripts as scripts
from .content import versions
from .protocol import LITERT, ONNX, OPENVINO, SAVED_MODEL, TENSORRT, TORCH, TORCHSCRIPT, Converted, Converter, Subject
from .torch_compile import TorchCompile
from .torch_cuda import CudaVariant
from .triton import Plan, Port, Served, config, lacking, planned

_FILES = {
    ONNX: "model.onnx",
    OPENVINO: "model.xml",
    TORCHSCRIPT: "model.pt",
    LITERT: "model.tflite",
    TENSORRT: "model.plan",
}


@dataclass(frozen=True)
class Answer:
    """One call of the original: at these axis values, these arrays and dtypes by the names of the outputs."""

    axes: Mapping[str, int]
    arrays: Mapping[str, Any]
    dtypes: Mapping[str, str]

    def named(self, names: Mapping[str, str]) -> Answer:
        """The same by other names of the outputs."""
        arrays = {names[name]: array for name, array in self.arrays.items()}
        return Answer(self.axes, arrays, {names[name]: dtype for name, dtype in self.dtypes.items()})


def export(
    made: Converted, converter: Converter, subject: Subject, answers: Sequence[Answer], folder: Path
) -> Converted:
    """Write the variant into the folder, which is not there yet; `subject` is the original, `answers` what it gave.

    Gives what is to be opened to see whether the file answers as the variant did: a live object has become a trace.
    Raises ConversionError for what no file can hold, and whatever a framework raises.
    """
    import numpy as np

    folder.mkdir(parents=True)
    form, model = _written(made, converter, subject, folder)
    given = _inputs(subject, answers[0].axes, made.settled)
    np.savez(folder / "inputs.npz", **given)
    np.savez(folder / "outputs.npz", **answers[0].arrays)
    dtypes = {name: tensor.dtype for name, tensor in tensors(subject.inputs)}
    run = scripts.script(form, model.name, made.runtime, converter, subject.device, dtypes)
    (folder / "run.py").write_text(run, "utf-8")
    missing = _for_triton(form, model, made, converter, subject, answers)
    settled = made.settled
    if not isinstance(made.model, Path) and isinstance(subject.inputs, Mapping):
        # Of what was traced all that is no Tensor has become a part.
        settled = tuple(name for name, value in subject.inputs.items() if not any(tensors(value)))
    notes = (f"no repository for Triton: {missing}",) if missing else ()
    return replace(made, model=model, settled=settled, counts={}, notes=notes, written=None)


def describe(made: Converted, form: str, source: str, steps: tuple[str, ...], folder: Path) -> None:
    """Write what the variant was made of: form and hash of the source model, converters, options and versions."""
    about = {
        "source": {"form": form, "sha256": source},
        "converters": steps,
        "runtime": made.runtime.name if made.runtime is not None else "",
        "options": dict(made.runtime.options) if made.runtime is not None else {},
        "versions": versions(),
    }
    (folder / MADE_BY).write_text(to_json(about, indent=2), "utf-8")


def _written(made: Converted, converter: Converter, subject: Subject, folder: Path) -> tuple[str, Path]:
    """The form and the file of what was written: a file as it is, of a live object what holds the same."""
    if isinstance(made.model, Path):
        return _copied(made.model, converter.gives, folder)
    if isinstance(converter, CudaVariant) and converter.unwritten:
        raise ConversionError(converter.unwritten)
    live = replace(subject, model=made.model)
    if isinstance(converter, TorchCompile):
        return TORCH, _program(live, folder)
    writers: dict[str, Callable[[Subject, Path], Path]] = {TORCH: _script, SAVED_MODEL: _saved, "keras": _saved}
    if made.written is not None:
        return _copied(made.written, converter.gives, folder)
    if converter.gives not in writers:
        raise ConversionError(f"a live {converter.gives} cannot be written into a file")
    return {TORCH: TORCHSCRIPT}.get(converter.gives, SAVED_MODEL), writers[converter.gives](live, folder)


def _copied(model: Path, form: str, folder: Path) -> tuple[str, Path]:
    target = folder / (f"{model.stem}.xml" if form == OPENVINO else _FILES.get(form, "model"))
    if model.is_dir():
        shutil.copytree(model, target)
        return form, target
    shutil.copy2(model, target)
    for name in _beside(model, form):
        shutil.copy2(model.parent / name, folder / name)
    return form, target


def _beside(model: Path, form: str) -> list[str]:
    """The files that hold a model's weights beside it."""
    if form == ONNX:
        return list(onnx_graph.read_file(model).external)
    return [f"{model.stem}.bin"] if form == OPENVINO else []


def _script(live: Subject, folder: Path) -> Path:
    """A module as TorchScript: a trace computes in the same dtypes and layouts, with 8-bit layers too."""
    import torch

    from .torch_flat import flattened
    from .torch_script import traced

    path = folder / "model.pt"
    with torch.no_grad(), warnings.catch_warnings():
        # Of its deprecation, and of each constant.
        warnings.simplefilter("ignore")
        torch.jit.save(traced(flattened(live, live.model)), str(path))
    return path


def _program(live: Subject, folder: Path) -> Path:
    """What torch.compile compiles, as a program of torch.export: it is compiled where it is loaded."""
    import torch

    from .torch_flat import flattened
    from .torch_script import called

    flat = flattened(live, live.model._orig_mod)
    shapes = tuple(dict.fromkeys(axes, torch.export.Dim.AUTO) or None for axes in flat.axes)
    path = folder / "model.pt2"
    with torch.no_grad():
        torch.export.save(torch.export.export(called(flat), flat.example, dynamic_shapes=shapes), path)
    return path


def _saved(live: Subject, folder: Path) -> Path:
    from ..runtimes.tensorflow_devices import import_tensorflow
    from . import tensorflow_models as models

    tf = import_tensorflow()
    named = dict(tensors(live.inputs))
    serve = tf.function(lambda **given: models.flat(live.model(**given)))
    concrete = serve.get_concrete_function(**models.specs(named))
    tf.saved_model.save(live.model, str(folder / "model"), signatures=concrete)
    return folder / "model"


def _inputs(subject: Subject, axes: Mapping[str, int], settled: tuple[str, ...]) -> dict[str, Any]:
    """Arrays of a call by name, or by position where the test gives them so."""
    drawn = subject.draw(axes)
    named = drawn if isinstance(drawn, Mapping) else {str(place): value for place, value in enumerate(drawn)}
    return {
        name: value.array.astype(value.dtype) if value.dtype != "bfloat16" else value.array
        for name, value in named.items()
        if isinstance(value, Value) and name not in settled
    }


def _for_triton(
    form: str, model: Path, made: Converted, converter: Converter, subject: Subject, answers: Sequence[Answer]
) -> str:
    """A model repository with this one model in it; or why there is none."""
    if len({frozenset(answer.arrays) for answer in answers}) > 1:
        return "it has other outputs at other sizes"
    fixed = made.fixed or {}
    inputs = [Port(name, tensor.dtype, _declared(tensor, fixed)) for name, tensor in tensors(subject.inputs)]
    outputs = [
        Port(name, dtype, _shape([answer.arrays[name].shape for answer in answers]))
        for name, dtype in answers[0].dtypes.items()
    ]
    plan = planned(model, subject.device) if form == TENSORRT else Plan()
    served = Served(model.name, form, made.runtime, subject.device, converter.precision, plan)
    missing = lacking(served, inputs, outputs)
    if missing:
        return missing
    repository = model.parent / "triton" / converter.name
    version = repository / "1"
    version.mkdir(parents=True)
    largest = 0 if BATCH in fixed else _largest_batch(subject, answers)
    text = config(converter.name, served, inputs, outputs, largest)
    (repository / "config.pbtxt").write_text(text, "utf-8")
    for name in (model.name, *_beside(model, form)):
        shutil.copy2(model.parent / name, version / name)
    return ""


def _declared(tensor: Tensor, fixed: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(fixed.get(size, -1) if isinstance(size, str) else size for size in tensor.shape)


def _shape(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The sizes that are the same in all shapes, -1 for others."""
    return tuple(sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*shapes, strict=True))


def _largest_batch(subject: Subject, answers: Sequence[Answer]) -> int:
    """The largest batch, where it is the leading size of every input and output; else 0: Triton does not batch."""
    leading = all(tensor.shape[:1] == (BATCH,) for _, tensor in tensors(subject.inputs))
    kept = all(array.shape[:1] == (answer.axes.get(BATCH),) for answer in answers for array in answer.arrays.values())
    return max(answer.axes.get(BATCH, 0) for answer in answers) if leading and kept else 0
