"""The model as it is, in the runtime that runs it, with other settings than its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import torch_models
from .libraries import lacks
from .protocol import TORCH, Converted, Subject


@dataclass(frozen=True)
class AsItIs:
    """A model of this form, for which settings are searched; there is no variant where none is faster.

    `runtime` is the name of the one that runs it, where that is not the library's.
    """

    name: str
    what: str
    form: str
    library: str
    runtime: str = ""
    seconds: float = 1.0

    precision = "float32"
    is_bridge = False

    @property
    def takes(self) -> str:
        return self.form

    @property
    def gives(self) -> str:
        return self.form

    def refuses(self, subject: Subject) -> str:
        missing = lacks(self.library)
        if missing:
            return missing
        if subject.device.kind != "cpu":
            return f"settings are searched on a CPU, not on '{subject.device}'"
        if subject.model is None:
            return "for models that are in its form already; of all other variants settings are searched, too"
        if not subject.runs_in(self.runtime or self.library):
            return f"the test runs it in {subject.runtime}, not in {self.runtime or self.library}"
        if self.form == TORCH and torch_models.is_compiled(subject.model):
            return "it is compiled already, and would be compiled anew for each number of threads"
        return ""

    def convert(self, subject: Subject, folder: Path) -> Converted:
        return Converted(subject.model, unchanged=True)
