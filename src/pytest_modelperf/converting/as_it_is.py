"""The model as it is, in the runtime that runs it, with other settings than its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .libraries import lacks
from .protocol import Converted, Subject


@dataclass(frozen=True)
class AsItIs:
    """A model of this form, for which settings are searched; there is no variant where none is faster."""

    name: str
    what: str
    form: str
    library: str
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
        if not subject.runs_in(self.library):
            return f"the test runs it in {subject.runtime}, not in {self.library}"
        return ""

    def convert(self, subject: Subject, folder: Path) -> Converted:
        return Converted(subject.model, unchanged=True)
