"""How onnxruntime opens a model, and what it raises."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.device import Device
from ..errors import MissingLibrary, ModelError, OutOfMemory, last_line
from . import onnxruntime_options, onnxruntime_placement

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

# What onnxruntime says where memory does not suffice: its arena, C++'s allocator, CUDA, a size beyond 64 bits.
_OUT_OF_MEMORY = (
    "Failed to allocate memory",
    "bad_alloc",
    "BFCArena",
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "storage size overflowed",
)


def load_session(
    source: Path | bytes, device: Device, options: Mapping[str, object], title: str, profile: str = ""
) -> onnxruntime.InferenceSession:
    """The model opened with these options. Raises ModelError, MissingLibrary, OutOfMemory, UsageError.

    `profile` is what the name of the file begins with that onnxruntime writes its profile into, "" for none.
    """
    onnxruntime = import_onnxruntime()
    providers = onnxruntime_options.providers(options, device)
    session_options = onnxruntime.SessionOptions()
    onnxruntime_options.fill(session_options, options, device)
    onnxruntime_placement.record(session_options)
    if profile:
        session_options.enable_profiling = True
        session_options.profile_file_prefix = profile
    preloaded = _preloaded() if device.kind == "cuda" else ""
    try:
        plain = str(source) if isinstance(source, Path) else source
        session = onnxruntime.InferenceSession(plain, session_options, providers=providers)
    except failures() as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"{title} itself does not fit: {last_line(error)}") from error
        raise ModelError(
            f"{title} cannot be opened by onnxruntime: {last_line(error)}; "
            "check it with onnx.checker.check_model, and that onnxruntime is new enough for its opset"
        ) from error
    _check_providers(session, [name for name, _ in providers], device, preloaded)
    return session


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)


@functools.cache
def failures() -> tuple[type[Exception], ...]:
    """What onnxruntime raises: its own exceptions share no base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[import-untyped]

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (MemoryError, RuntimeError, ValueError, TypeError, *own)


def import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingLibrary(f"the model needs onnxruntime ({error}); pip install 'pytest-modelperf[onnx]'") from error
    return onnxruntime


@functools.cache
def _preloaded() -> str:
    """Have CUDA's and cuDNN's libraries loaded from where pip puts them; gives what onnxruntime says of others.

    Else it finds them only where something has imported torch before.
    """
    # From 1.21 on.
    preload = getattr(import_onnxruntime(), "preload_dlls", None)
    said = io.StringIO()
    if preload is not None:
        with contextlib.redirect_stdout(said):
            preload()
    return " ".join(said.getvalue().split())


def _check_providers(session: onnxruntime.InferenceSession, asked: list[str], device: Device, preloaded: str) -> None:
    """onnxruntime goes on without a provider whose libraries it does not find; a measurement does not.

    The device is there: that is no reason to skip a test.
    """
    there = session.get_providers()
    lost = [name for name in asked if name not in there]
    if lost:
        raise MissingLibrary(
            f"onnxruntime could not use {', '.join(lost)} on '{device}' and fell back to {', '.join(there)}"
            f"{preloaded and f' ({preloaded})'}; its log says which library it did not find (of CUDA, cuDNN, TensorRT "
            "…), install that: pip install 'onnxruntime-gpu[cuda,cudnn]' brings those of CUDA"
        )
