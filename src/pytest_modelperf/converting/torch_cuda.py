"""What speeds a module up on an NVIDIA GPU alone: TF32, CUDA graphs, TensorRT inside of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.precision import TF32
from ..errors import ConversionError
from ..runtimes import torch_devices, torch_tf32
from . import torch_models
from .libraries import lacks
from .protocol import TORCH, Converted, Subject
from .torch_settings import changed

# What inputs may be beside tensors: values that do not change.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
# Calls on a side stream before a graph is captured, as torch's own make_graphed_callables makes.
_WARM = 3
# A trace would hold a capture of one shape, which replays what this process has in its memory.
_CAPTURED = "CUDA graphs are captured anew in each process: no file holds them"


@dataclass(frozen=True)
class CudaVariant:
    """A variant that `make` gives of the module, on a GPU."""

    name: str
    what: str
    precision: str
    make: Callable[[Subject], Any]
    libraries: tuple[str, ...] = ("torch",)
    seconds: float = 2.0
    # Why no file can hold it.
    unwritten: str = ""

    takes = gives = TORCH
    is_bridge = False

    def refuses(self, subject: Subject) -> str:
        return torch_models.needs_cuda(subject) or lacks(*self.libraries)

    def convert(self, subject: Subject, folder: Path) -> Converted:
        # What names no device is made on the current one.
        with torch_devices.current(subject.device):
            return Converted(self.make(subject))


def tf32(subject: Subject) -> Any:
    """The module as it is, in a process whose matrix products and convolutions may use TF32."""
    torch_tf32.allow()
    return torch_models.ready(subject)


def graphs(subject: Subject) -> Any:
    return graphed(torch_models.ready(subject))


def half_graphs(subject: Subject) -> Any:
    return graphed(changed(subject, "float16", True))


def graphed(module: Any) -> Any:
    """The module replaying a CUDA graph, one for each shape; what it answers is overwritten by the next call.

    All graphs have one pool of memory: what lies between the layers is needed by one at a time, and what they answer is
    held. They are captured on the device of the inputs, by one stream, as a shared pool wants it.
    """
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    class Graphed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module
            self._captured: dict[Any, tuple[Any, list[Any], Any]] = {}
            self._stream: Any = None

        def forward(self, *positional: Any, **named: Any) -> Any:
            leaves, structure = tree_flatten((positional, named))
            key = (len(positional), *named, *map(_told, leaves))
            if key not in self._captured:
                with self._place(leaves):
                    self._captured[key] = self._capture(leaves, structure)
            graph, held, answer = self._captured[key]
            for place, leaf in zip(held, leaves, strict=True):
                if isinstance(leaf, torch.Tensor):
                    place.copy_(leaf)
            graph.replay()
            return answer

        def _capture(self, leaves: list[Any], structure: Any) -> tuple[Any, list[Any], Any]:
            held = [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
            positional, named = tree_unflatten(held, structure)
            if self._stream is None:
                self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM):
                    self.module(*positional, **named)
            torch.cuda.current_stream().wait_stream(self._stream)
            graph, others = torch.cuda.CUDAGraph(), [other for other, _, _ in self._captured.values()]
            # The stream that torch takes else is made once a process, on the device that is current then.
            with torch.cuda.graph(graph, pool=others[0].pool() if others else None, stream=self._stream):
                answer = self.module(*positional, **named)
            return graph, held, answer

        def _place(self, leaves: list[Any]) -> Any:
            on_gpu = [leaf for leaf in (*leaves, *self.parameters()) if getattr(leaf, "is_cuda", False)]
            return torch.cuda.device(on_gpu[0].device) if on_gpu else nullcontext()

        def modelperf_trim(self) -> None:
            """Give all of it back: a shape that is called again is captured anew."""
            for graph, _, _ in self._captured.values():
                graph.reset()
            self._captured.clear()

    return Graphed().eval()


def _told(leaf: Any) -> Any:
    """What of a leaf of the inputs a graph hangs on; kinds count, for 1, 1.0 and True are equal.

    Raises ConversionError for an object: what of it a graph has read, and whether it has changed, nobody can tell.
    """
    import torch

    if isinstance(leaf, torch.Tensor):
        return leaf.shape, leaf.dtype
    if type(leaf) in _PLAIN:
        return type(leaf), leaf
    raise ConversionError(
        f"a CUDA graph would hold its input of the kind {type(leaf).__qualname__} as it was when it was captured; "
        "give it tensors and plain values alone"
    )


def torch_tensorrt(subject: Subject) -> Any:
    """The module with what TensorRT takes of it compiled by TensorRT, for the sizes of the sweep."""
    import torch
    import torch_tensorrt as library

    module = torch_models.ready(subject)
    smallest, largest = (torch_models.arguments(subject, axes) for axes in (subject.cases[0], subject.cases[-1]))
    positional, named = library_inputs(library, smallest, largest)
    with torch.no_grad():
        # TF32 is on by default: this is held to float32.
        return library.compile(module, ir="dynamo", arg_inputs=positional, kwarg_inputs=named, disable_tf32=True)


def library_inputs(
    library: Any, smallest: tuple[tuple[Any, ...], Mapping[str, Any]], largest: tuple[Any, Mapping[str, Any]]
) -> tuple[list[Any], dict[str, Any]]:
    """What torch_tensorrt wants told of each input: the shapes from the smallest to the largest, the dtype."""

    def described(low: Any, high: Any) -> Any:
        if not hasattr(low, "shape"):
            return low
        least, most = tuple(low.shape), tuple(high.shape)
        return library.Input(min_shape=least, opt_shape=most, max_shape=most, dtype=low.dtype)

    positional = [described(*pair) for pair in zip(smallest[0], largest[0], strict=True)]
    return positional, {name: described(value, largest[1][name]) for name, value in smallest[1].items()}


def variants() -> list[CudaVariant]:
    libraries = ("torch", "torch_tensorrt")
    return [
        CudaVariant("tf32", "TensorFloat-32 for matrix products and convolutions", TF32, tf32),
        CudaVariant(
            "cuda-graphs", "the calls of a shape replayed as one CUDA graph", "float32", graphs, unwritten=_CAPTURED
        ),
        CudaVariant(
            "cuda-graphs-fp16",
            "float16, channels last, replayed as one CUDA graph",
            "float16",
            half_graphs,
            unwritten=_CAPTURED,
        ),
        CudaVariant("torch-tensorrt", "compiled by torch_tensorrt", "float32", torch_tensorrt, libraries, 60.0),
    ]
