"""The inputs and outputs of one case on an engine: where they lie, and what its execution context is told of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..domain.tensor import Value
from ..errors import UsageError
from . import bfloat16
from .tensorrt_engine import DTYPES, Engine, IoTensor
from .tensorrt_memory import Buffer, Gpu

_SIZES = dict(DTYPES.values())


class Binding:
    """One case. Its buffers are its own; the context, which holds the memory of the layers, it shares with others."""

    def __init__(self, engine: Engine, context: Any, gpu: Gpu, arrays: Mapping[str, Any]) -> None:
        self.engine, self._context, self._gpu, self._arrays = engine, context, gpu, arrays
        on_device = [tensor.name for tensor in engine.inputs if not tensor.on_host]
        self._inputs = {name: gpu.upload(arrays[name]) for name in on_device}
        self._outputs: dict[str, Buffer] = {}
        self._host: dict[str, Any] = {}
        self._grown: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._tell_inputs()
        for tensor in engine.outputs:
            self._place(tensor)

    def activate(self) -> None:
        """Tell the context that the next call is of this case."""
        self._tell_inputs()
        for name, address in self._addresses().items():
            self._check(self._context.set_tensor_address(name, address), f"the place of output {name!r}")
        for name, allocator in self._grown.items():
            self._check(self._context.set_output_allocator(name, allocator), f"an allocator for output {name!r}")

    def answers(self) -> dict[str, Any]:
        """The outputs of the last call as arrays of their own dtype (bfloat16 as its bits), when they are there."""
        self._gpu.wait()
        return {tensor.name: self._answer(tensor) for tensor in self.engine.outputs}

    def _tell_inputs(self) -> None:
        for tensor in self.engine.inputs:
            array = self._arrays[tensor.name]
            if not self._context.set_input_shape(tensor.name, tuple(array.shape)):
                raise UsageError(
                    f"input {tensor.name!r} cannot have the shape {tuple(array.shape)}: {self.engine.log.last()}; "
                    "sweep over sizes that the engine was built for"
                )
            place = array.ctypes.data if tensor.on_host else self._inputs[tensor.name].address
            self._check(self._context.set_tensor_address(tensor.name, place), f"the place of input {tensor.name!r}")

    def _check(self, taken: bool, what: str) -> None:
        if not taken:
            raise RuntimeError(f"TensorRT does not take {what}: {self.engine.log.last()}")

    def _place(self, tensor: IoTensor) -> None:
        shape = tuple(self._context.get_tensor_shape(tensor.name))
        if any(size < 0 for size in shape):
            # How large it is the values decide: TensorRT asks for memory while it runs.
            self._grown[tensor.name] = _allocator(self._gpu)
        elif tensor.on_host:
            self._host[tensor.name] = _empty(tensor, shape)
        else:
            self._outputs[tensor.name] = self._gpu.allocate(math.prod(shape) * _SIZES[tensor.dtype])
        self._shapes[tensor.name] = shape

    def _addresses(self) -> dict[str, int]:
        on_host = {name: array.ctypes.data for name, array in self._host.items()}
        return on_host | {name: buffer.address for name, buffer in self._outputs.items()}

    def _answer(self, tensor: IoTensor) -> Any:
        if tensor.name in self._host:
            return self._host[tensor.name].copy()
        grown = self._grown.get(tensor.name)
        array = _empty(tensor, grown.shape if grown is not None else self._shapes[tensor.name])
        buffer = grown.buffer if grown is not None else self._outputs[tensor.name]
        if array.size:
            self._gpu.download(buffer, array)
        return array


def array_of(leaf: Any) -> Any:
    """An input as a contiguous array of its own memory: a Value in its dtype, bfloat16 as its bits."""
    import numpy as np

    if not isinstance(leaf, Value):
        return np.array(leaf, order="C")
    return bfloat16.words(leaf.array) if leaf.dtype == "bfloat16" else np.array(leaf.array, leaf.dtype, order="C")


def _empty(tensor: IoTensor, shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.empty(shape, np.uint16 if tensor.dtype == "bfloat16" else tensor.dtype)


def _allocator(gpu: Gpu) -> Any:
    import tensorrt

    class Allocator(tensorrt.IOutputAllocator):  # type: ignore[misc]
        """Memory for an output whose size is known when the model has run."""

        def __init__(self) -> None:
            tensorrt.IOutputAllocator.__init__(self)
            self.buffer: Any = None
            self.shape: tuple[int, ...] = ()
            self._size = -1

        def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
            # What CUDA and torch allocate is aligned to 256 bytes and more.
            if size > self._size:
                self.buffer, self._size = gpu.allocate(size), size
            return int(self.buffer.address)

        def reallocate_output_async(self, tensor_name: str, memory: int, size: int, alignment: int, stream: int) -> int:
            return self.reallocate_output(tensor_name, memory, size, alignment)

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self.shape = tuple(shape)

    return Allocator()
