"""The source of PyTorch: its own profiler, on the CPU and, through CUPTI, on a GPU."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import util
from typing import Any

from ..domain.profile import Taken
from ..domain.session import Session
from .breaks import watched
from .kineto import Mark, recorded
from .places import places
from .recording import profile_of

# Sessions that may call torch: its own, and functions of numpy arrays.
_CALLERS = {"torch", "numpy"}
# What a region that torch.compile has compiled is called in the timeline.
_COMPILED = b"Torch-Compiled Region"


class TorchSource:
    """Profiles whatever calls torch in this process; of other libraries it sees what they do on a GPU."""

    name = "torch"

    def available(self, session: Session) -> str:
        if session.facts.hardware and util.find_spec("torch"):
            # On a GPU it sees what other libraries do there, though nobody has imported it.
            return ""
        if "torch" not in sys.modules:
            return "torch is not imported where the model is"
        return "" if _CALLERS & session.facts.versions.keys() else "the model does not compute with torch"

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        import torch

        # What CUPTI sees is that of the whole process; a build for CPUs has none.
        cuda = bool(torch.cuda.is_available() if session.facts.hardware else torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
        with session.running():
            call = session.bind(inputs)
            # What is compiled is compiled in the first call of a process.
            with watched() as breaks:
                for _ in range(warm):
                    call()
            session.wait()

            def run(mark: Mark) -> None:
                for _ in range(calls):
                    with mark():
                        call()
                        session.wait()

            trace = recorded(run, cuda=cuda, memory=True)
            # Here: a model may have set it.
            threads = torch.get_num_threads()
            # What torch.compile has compiled would be run uncompiled for it, and stay so.
            found = tuple(breaks) if breaks or _COMPILED in trace else places(call)
        source = f"torch {torch.__version__.partition('+')[0]}"
        on_gpu = cuda and bool(session.facts.hardware)
        profile = profile_of(trace, source, {"threads": str(threads)}, on_gpu=on_gpu)
        return Taken(replace(profile, places=found), trace)
