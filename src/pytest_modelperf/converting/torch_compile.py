"""torch.compile: the module compiled by inductor, for each shape by itself."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import torch_models
from .libraries import lacks
from .protocol import TORCH, Converted, Subject
from .torch_settings import changed

# What torch's log names where it gives up compiling.
_LIMIT = "recompile_limit"


@dataclass(frozen=True)
class TorchCompile:
    """`torch.compile` with a mode, or with options of inductor; `dtype` as in TorchSetting."""

    name: str
    what: str
    mode: str = ""
    options: Mapping[str, bool] = field(default_factory=dict)
    dtype: str = ""
    needs_cuda: bool = False
    # Whether it chooses kernels by timing them.
    alone: bool = False
    kin: str = ""
    seconds: float = 60.0

    takes = gives = TORCH
    is_bridge = False

    @property
    def precision(self) -> str:
        return self.dtype or "float32"

    def refuses(self, subject: Subject) -> str:
        missing = (torch_models.needs_cuda(subject) if self.needs_cuda else "") or lacks("torch")
        if missing:
            return missing
        if subject.device.kind == torch_models.CPU and not _compiler():
            return "needs a C++ compiler: install g++, or name one in the environment variable CXX"
        if subject.device.kind != torch_models.CPU and lacks("triton"):
            return lacks("triton")
        return ""

    def convert(self, subject: Subject, folder: Path) -> Converted:
        import torch
        import torch._dynamo

        module = changed(subject, self.dtype, False) if self.dtype else torch_models.ready(subject)
        # For each case, and once more where guards of a session differ.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 2 * len(subject.cases))
        compiled = torch.compile(module, mode=self.mode or None, options=dict(self.options) or None, dynamic=False)
        first, *others = subject.cases
        with _given_up() as at_once:
            torch_models.run(subject, compiled, [first])

        def rest() -> tuple[str, ...]:
            with _given_up() as said:
                torch_models.run(subject, compiled, others)
            return tuple(one for one in said if one not in at_once)

        # For another number of threads torch compiles it anew.
        return Converted(
            compiled,
            notes=("compiled for each shape by itself (dynamic=False)", *at_once),
            tunable=False,
            rest=rest,
        )


@contextmanager
def _given_up() -> Iterator[list[str]]:
    """A note where torch goes on without compiling, past its limit: it says so in its log alone."""
    said: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if _LIMIT in record.getMessage() and not said:
                said.append("a part of it is not compiled for every shape: torch reached its limit of compilations")

    log, handler = logging.getLogger("torch._dynamo.convert_frame"), Handler(logging.WARNING)
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


def _compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name)
