"""Counters of what calls torch: its profiler tells operators, their shapes and allocations, on a GPU kernels too.

The profiler looks on and changes nothing that is executed. A TorchDispatchMode would be cheaper and change more: under
one a model that torch.compile has compiled runs uncompiled, and has been seen to stay so (torch 2.13).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...domain.counting import Bind, Tally
from ...domain.session import Session
from ..kineto import Mark, recorded
from .trace import NOT_LAST, ON_GPU, tallies

# Sessions that may call torch: its own, and functions of numpy arrays.
_CALLERS = {"torch", "numpy"}


class TorchCounters:
    """Counts what runs in torch, be it a module or a function that calls one."""

    name = "torch.profiler"
    counters: tuple[str, ...] = ("flops", "operator_calls", "allocations", "allocated_bytes")
    opens_again = False

    def applies(self, session: Session) -> bool:
        # The test has brought it, if it is there: it is never imported for this.
        return "torch" in sys.modules and bool(_CALLERS & session.facts.versions.keys())

    def available(self, session: Session) -> str:
        torch = sys.modules["torch"]
        if not torch.autograd.kineto_available():
            return "this build of torch has no profiler"
        return "another profiler is on" if torch.autograd._profiler_enabled() else ""

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        def run(mark: Mark) -> None:
            # Inputs are bound outside of the marks.
            for bind in calls:
                call = bind(session)
                with mark():
                    call()
                session.wait()

        on_gpu = bool(sys.modules["torch"].cuda.is_initialized())
        found = tallies(recorded(run, cuda=on_gpu and last, memory=True), on_gpu=on_gpu and last)
        if not session.facts.hardware:
            # On the CPU, or in a function that may not use a GPU, that nothing was recorded of one is no fault.
            found = [replace(tally, missing=_but_for_gpus(tally.missing)) for tally in found]
        if not any(tally.operators for tally in found):
            # A function that does not call torch, which somebody else has imported.
            return [Tally() for _ in found]
        not_told = dict.fromkeys(ON_GPU, NOT_LAST) if on_gpu and not last else {}
        return [replace(tally, missing={**tally.missing, **not_told}) for tally in found]


def _but_for_gpus(missing: Mapping[str, str]) -> dict[str, str]:
    return {name: why for name, why in missing.items() if name not in ON_GPU}
