"""Weights as Sessions tell them: of files and of arrays, and whether one model could take over another's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..domain.session import FILE, Weight
from ..errors import ModelError


def file_weights(files: Mapping[str, Path]) -> dict[str, Weight]:
    """Files that are not taken apart, by a name that is the same wherever they lie (`"model"`, not the path)."""
    return {name: Weight(FILE, (path.stat().st_size,), partial(_file_bytes, path)) for name, path in files.items()}


def folder_weights(folder: Path) -> dict[str, Weight]:
    """All files below a folder that are a model together, by their paths in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return file_weights({path.relative_to(folder).as_posix(): path for path in files})


def bytes_weight(data: bytes) -> Weight:
    """A serialised model that is not taken apart."""
    return Weight(FILE, (len(data),), partial(_view, data))


def array_weight(array: Any) -> Weight:
    """A numpy array, of any dtype that numpy holds (those of ml_dtypes too)."""
    return Weight(array.dtype.name, tuple(array.shape), partial(_array_bytes, array))


def check_same(mine: Mapping[str, Weight], theirs: Mapping[str, Weight]) -> None:
    """Raise ModelError, naming the first difference, unless names, dtypes and shapes of both are the same."""
    for name in sorted({*mine, *theirs}):
        if name not in theirs:
            raise ModelError(f"weight {name!r} is not among those that are handed over; {_REMEDY}")
        if name not in mine:
            raise ModelError(f"weight {name!r} is handed over, and the model has none of that name; {_REMEDY}")
        here, there = mine[name], theirs[name]
        if (here.dtype, here.shape) != (there.dtype, there.shape):
            raise ModelError(
                f"weight {name!r} is {there.dtype} {there.shape} where it comes from, and {here.dtype} {here.shape} "
                f"here; {_REMEDY}"
            )


_REMEDY = "build the model alike in every process"


def _file_bytes(path: Path) -> Any:
    import numpy as np

    # An empty file cannot be mapped.
    return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)


def _view(data: bytes) -> Any:
    import numpy as np

    return np.frombuffer(data, np.uint8)


def _array_bytes(array: Any) -> Any:
    import numpy as np

    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
