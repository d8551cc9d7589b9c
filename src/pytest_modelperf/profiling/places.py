"""Where the user's code calls operators: one call of the model, looked on by torch itself.

A TorchDispatchMode sees every operator while the Python that has called it stands on the stack. It costs one call;
torch.profiler's `with_stack` would record all functions of all calls.
"""

from __future__ import annotations

import linecache
import site
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from ..domain.profile import Place

# Operators by what they do, as the mode sees them: in inference mode some that others would be made of.
_KINDS = {
    **dict.fromkeys(("_to_copy", "to"), "cast"),
    **dict.fromkeys(("clone", "contiguous", "reshape", "constant_pad_nd", "pad"), "copy"),
    **dict.fromkeys(("_local_scalar_dense", "item", "is_nonzero"), "read"),
}
# Any other operator, which is told by its name.
_CALL = "call"
# Places that are told: of what is worth a look, and of what else is called.
MOST_PLACES, MOST_CALLED = 20, 100
_LIBRARIES = ("torch", "pytest_modelperf")

_Spot = tuple[str, str, str, int]


def places(call: Callable[[], Any]) -> tuple[Place, ...]:
    """The places of one call; none where the model cannot be looked on.

    What is worth a look comes first, and of that what is done most often.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    found: Counter[_Spot] = Counter()
    own = sys._getframe()

    class Looking(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            kind = _KINDS.get(name, _CALL)
            frame = _of_the_user(sys._getframe(1), own) if _is_done(kind, args, result) else None
            if frame is not None:
                operator = f"{func.namespace}::{name}" if kind == _CALL else ""
                found[kind, operator, frame.f_code.co_filename, frame.f_lineno] += 1
            return result

    try:
        with Looking():  # type: ignore[no-untyped-call]
            call()
    except Exception:  # noqa: BLE001 - what a mode breaks (tensors of other classes) has a profile all the same
        return ()
    spots = found.most_common()
    worth = [one for one in spots if one[0][0] != _CALL][:MOST_PLACES]
    called = [one for one in spots if one[0][0] == _CALL][:MOST_CALLED]
    return tuple(_place(*spot, calls) for spot, calls in (*worth, *called))


def _is_done(kind: str, args: Any, result: Any) -> bool:
    """Whether it has done what it may do: `to` and `contiguous` may give what they were given."""
    if kind in ("read", _CALL):
        return True
    if kind == "cast":
        return bool(result.dtype != args[0].dtype)
    return bool(result.data_ptr() != args[0].data_ptr())


def _of_the_user(frame: FrameType | None, own: FrameType) -> FrameType | None:
    """The innermost frame above `own` of the user's files, else of a library's; torch and we are none.

    None where there is neither.
    """
    of_library = None
    while frame is not None and frame is not own:
        library, file = str(frame.f_globals.get("__name__", "")).partition(".")[0], frame.f_code.co_filename
        if library not in _LIBRARIES and not file.startswith("<"):
            if not _installed(file):
                return frame
            of_library = of_library or frame
        frame = frame.f_back
    return of_library


@cache
def _installed(file: str) -> Path | None:
    """Where a file is that nobody edits, below the folder of installed packages or Python's own; None of others."""
    names = ("purelib", "platlib", "stdlib", "platstdlib")
    folders = [*(sysconfig.get_path(name) for name in names), site.getusersitepackages()]
    return next((Path(file).relative_to(folder) for folder in folders if Path(file).is_relative_to(folder)), None)


def told_path(file: str) -> str:
    """`"nets/encoder.py"`, below where the run was started; `"transformers/…/modeling_swin.py"` of a library."""
    installed, here = _installed(file), Path.cwd()
    if installed is not None:
        return "/".join(installed.parts if len(installed.parts) < 3 else (installed.parts[0], "…", installed.name))
    return Path(file).relative_to(here).as_posix() if Path(file).is_relative_to(here) else Path(file).name


def _place(kind: str, operator: str, path: str, line: int, calls: int) -> Place:
    return Place(kind, calls, told_path(path), line, linecache.getline(path, line).strip(), operator)
