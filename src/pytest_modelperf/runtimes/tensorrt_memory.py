"""Memory and a stream of a CUDA device, by cuda-python or torch: what a TensorRT engine is given and answers into."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from ..errors import MissingLibrary


class Buffer(Protocol):
    """Memory of the device; it is given back when nobody holds it any more."""

    address: int


class Gpu(Protocol):
    """One CUDA device: a stream of its own on it, by its handle, and memory. Raises MemoryError where there is none."""

    stream: int

    def current(self) -> AbstractContextManager[None]:
        """It is the device of this thread meanwhile, for the methods below too."""
        ...

    def allocate(self, nbytes: int) -> Buffer: ...

    def upload(self, array: Any) -> Buffer:
        """The array on the device, when this returns."""
        ...

    def download(self, buffer: Any, array: Any) -> None:
        """Fill the array from the buffer, when all that the stream was asked is done."""
        ...

    def wait(self) -> None:
        """Return when all that the stream was asked is done."""
        ...

    def free_bytes(self) -> int: ...

    def trim(self) -> None:
        """Give the device what is kept for later."""
        ...

    def close(self) -> None:
        """Give the stream back."""
        ...


def gpu(index: int) -> Gpu:
    """The device by what is installed: cuda-python, or torch, which is slow to import."""
    if _has_cuda_python():
        return CudaPythonGpu(index)
    if importlib.util.find_spec("torch") is not None:
        return TorchGpu(index)
    raise MissingLibrary("TensorRT needs somebody to allocate memory on the GPU; pip install cuda-python, or torch")


class CudaPythonGpu:
    """By the runtime API of CUDA, https://nvidia.github.io/cuda-python/cuda-bindings/latest/module/runtime.html."""

    def __init__(self, index: int) -> None:
        self._api = _runtime_api()
        self._index = index
        with self.current():
            self._stream = self._done(self._api.cudaStreamCreate())
        self.stream = int(self._stream)

    @contextmanager
    def current(self) -> Iterator[None]:
        before = self._done(self._api.cudaGetDevice())
        self._done(self._api.cudaSetDevice(self._index))
        try:
            yield
        finally:
            self._done(self._api.cudaSetDevice(before))

    def allocate(self, nbytes: int) -> _CudaBuffer:
        # Of no bytes CUDA gives no address.
        return _CudaBuffer(self._api, int(self._done(self._api.cudaMalloc(max(1, nbytes)))))

    def upload(self, array: Any) -> _CudaBuffer:
        buffer = self.allocate(array.nbytes)
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(buffer.address, array.ctypes.data, array.nbytes, kind)
        return buffer

    def download(self, buffer: _CudaBuffer, array: Any) -> None:
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(array.ctypes.data, buffer.address, array.nbytes, kind)

    def wait(self) -> None:
        self._done(self._api.cudaStreamSynchronize(self._stream))

    def free_bytes(self) -> int:
        free, _ = self._done(self._api.cudaMemGetInfo())
        return int(free)

    def trim(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        self._done(self._api.cudaStreamDestroy(self._stream))

    def _copy(self, to: int, origin: int, nbytes: int, kind: Any) -> None:
        self._done(self._api.cudaMemcpyAsync(to, origin, nbytes, kind, self._stream))
        self.wait()

    def _done(self, answer: tuple[Any, ...]) -> Any:
        """What a call of the API gives beside its error. Raises MemoryError, RuntimeError."""
        error, *values = answer
        if error == self._api.cudaError_t.cudaErrorMemoryAllocation:
            raise MemoryError("CUDA out of memory (cudaErrorMemoryAllocation)")
        if error != self._api.cudaError_t.cudaSuccess:
            raise RuntimeError(f"CUDA failed: {getattr(error, 'name', error)}")
        return values[0] if len(values) == 1 else tuple(values)


class _CudaBuffer:
    def __init__(self, api: Any, address: int) -> None:
        self._api, self.address = api, address

    def __del__(self) -> None:
        self._api.cudaFree(self.address)


class TorchGpu:
    """By torch's allocator, whose cache the model's other tensors share."""

    def __init__(self, index: int) -> None:
        import torch

        self._torch: Any = torch
        self._device = torch.device("cuda", index)
        self._stream = self._torch.cuda.Stream(self._device)
        self.stream = int(self._stream.cuda_stream)

    @contextmanager
    def current(self) -> Iterator[None]:
        with self._torch.cuda.device(self._device):
            yield

    def allocate(self, nbytes: int) -> _TorchBuffer:
        try:
            return _TorchBuffer(self._torch.empty(max(1, nbytes), dtype=self._torch.uint8, device=self._device))
        except self._torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error

    def upload(self, array: Any) -> _TorchBuffer:
        buffer = self.allocate(array.nbytes)
        buffer.tensor[: array.nbytes].copy_(self._torch.from_numpy(_bytes(array)))
        # The copy was asked of torch's own stream.
        self._torch.cuda.current_stream(self._device).synchronize()
        return buffer

    def download(self, buffer: _TorchBuffer, array: Any) -> None:
        self.wait()
        _bytes(array)[:] = buffer.tensor[: array.nbytes].cpu().numpy()

    def wait(self) -> None:
        self._stream.synchronize()

    def free_bytes(self) -> int:
        cached = self._torch.cuda.memory_reserved(self._device) - self._torch.cuda.memory_allocated(self._device)
        return int(self._torch.cuda.mem_get_info(self._device)[0] + cached)

    def trim(self) -> None:
        self._torch.cuda.empty_cache()

    def close(self) -> None:
        """torch's streams are its own."""


class _TorchBuffer:
    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor
        self.address = int(tensor.data_ptr())


def _bytes(array: Any) -> Any:
    """The bytes of a contiguous array, as an array over the same memory."""
    import numpy as np

    return array.reshape(-1).view(np.uint8)


def _has_cuda_python() -> bool:
    try:
        return importlib.util.find_spec("cuda") is not None and _runtime_api() is not None
    except ImportError:
        return False


def _runtime_api() -> Any:
    try:
        from cuda.bindings import runtime
    except ImportError:
        # Before cuda-python 12.6.
        from cuda import cudart as runtime
    return runtime
