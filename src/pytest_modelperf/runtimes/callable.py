"""The runtime of last resort: any Python function of arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from ..domain.device import Device
from ..domain.signature import Signature
from ..domain.tensor import Value, map_leaves
from ..errors import DeviceMissing, ModelError, UsageError
from .formats import PAGE
from .outputs import named, plain_array, told
from .protocol import ModelFacts, Weight
from .synchronous import SynchronousSession

# The class of what `jax.jit` gives; its module has had several names.
_JITTED = "PjitFunction"
# What is given before anything is computed, beside all that can be awaited.
_LAZY = (GeneratorType, AsyncGeneratorType, map, filter, zip)
# What futures have: those of concurrent.futures, torch and dask; results of multiprocessing's pools.
_OF_A_FUTURE = ("add_done_callback", "successful")


class CallableRuntime:
    """Executes a function. It gets numpy arrays and must return when its work is done (nobody else can wait for it)."""

    name = "callable"
    accepts = "any function of numpy arrays"

    def recognises(self, model: object) -> bool:
        return callable(model) and not isinstance(model, type)

    def default_device(self, model: object) -> Device:
        return Device("cpu")

    def signature(self, model: object) -> Signature | None:
        return None

    def open(self, model: object, device: Device) -> CallableSession:
        if not callable(model):
            raise ModelError(f"{model!r} is no function; pass one that takes numpy arrays")
        name = qualified_name(model)
        if device.kind != "cpu":
            raise DeviceMissing(f"the function {name} runs where it likes: only 'cpu' is there for it, not '{device}'")
        if device.threads:
            raise UsageError(
                f"the function {name} owns its threads: '{device}' cannot be set from outside; "
                "set them inside the function, and measure it on 'cpu'"
            )
        if inspect.iscoroutinefunction(model):
            raise ModelError(f"{name} is a coroutine function; pass a plain function that runs it to its end")
        if inspect.isgeneratorfunction(model) or inspect.isasyncgenfunction(model):
            raise ModelError(
                f"{name} is a generator, which computes nothing yet; pass a function that runs it to its end"
            )
        if type(model).__name__ == _JITTED:
            raise ModelError(
                f"{name} was jitted by JAX and returns before its work is done; pass a function that waits "
                f"(lambda x: jax.block_until_ready(f(x))), or add the runtime of {PAGE} of pytest-modelperf"
            )
        return CallableSession(model, name)


class CallableSession(SynchronousSession):
    """A function that is ready to be called."""

    # Nothing is known of what it computes with.
    unrecorded = (
        "the model is a function, and of those only what torch computes can be seen, where torch is imported before "
        "they are called"
    )

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        import numpy as np

        self._function: Callable[..., Any] | None = function
        self._name = name
        self.facts = ModelFacts(name, versions={"numpy": np.__version__})

    def bind(self, inputs: Mapping[str, Any] | Sequence[Any]) -> Callable[[], Any]:
        if self._function is None:
            raise ModelError(f"the session of {self._name} is closed; open another")
        arrays = map_leaves(inputs, Value, _array)
        return partial(self._function, **arrays) if isinstance(arrays, Mapping) else partial(self._function, *arrays)

    def arrays(self, outputs: Any) -> dict[str, Any]:
        self._check(outputs)
        self.facts = told(self.facts, outputs, plain_array)
        return super().arrays(outputs)

    def dtypes(self, outputs: Any) -> dict[str, str]:
        self._check(outputs)
        return super().dtypes(outputs)

    def weights(self) -> Mapping[str, Weight] | None:
        """Whatever a function computes with is its own."""
        return None

    def load_weights(self, weights: Mapping[str, Weight]) -> None:
        raise ModelError(f"the function {self._name} has no weights that could be written")

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)

    def close(self) -> None:
        self._function = None

    def _check(self, outputs: Any) -> None:
        """Raises ModelError for what is no answer yet: of an object that is called, or a lambda, only that tells."""
        named(outputs, self._check_leaf)

    def _check_leaf(self, leaf: Any) -> None:
        if not _is_unfinished(leaf):
            return
        if isinstance(leaf, CoroutineType):
            # Else Python warns that nobody has awaited it.
            leaf.close()
        raise ModelError(
            f"{self._name} returns before its work is done (its answer is of the type {type(leaf).__name__}); "
            "pass a plain function that runs it to its end"
        )


def qualified_name(function: object) -> str:
    """`"test_text.predict"`; of a partial its function's, of an object that can be called its class's."""
    while isinstance(function, partial):
        function = function.func
    named_by = function if hasattr(function, "__qualname__") else type(function)
    return f"{named_by.__module__}.{getattr(named_by, '__qualname__', '?')}"


def _is_unfinished(leaf: Any) -> bool:
    return inspect.isawaitable(leaf) or isinstance(leaf, _LAZY) or any(hasattr(leaf, one) for one in _OF_A_FUTURE)


def _array(path: str, value: Value) -> Any:
    if value.dtype == "bfloat16":
        raise UsageError(
            f"input {path!r} is bfloat16, which numpy does not have; declare it as float32 and cast it in the function"
        )
    return value.array.astype(value.dtype, copy=False)
