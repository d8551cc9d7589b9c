"""Models that are opened once more for their runtime's profile, and what they raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring.fakes import Clock, FakeSession

from pytest_modelperf.domain.session import Session
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import MetricUnavailable, in_one_line
from pytest_modelperf.profiling.recorded import recorded, repeated

INPUTS = {"x": Value(np.ones((2, 4), np.float32), "float32")}


@dataclass
class Other(FakeSession):
    """The model opened once more: closing it writes how often it was bound, or raises what it `refuses` with."""

    path: Path = Path()
    refuses: str = ""

    def close(self) -> None:
        super().close()
        if self.refuses:
            raise RuntimeError(self.refuses)
        self.path.write_text(f"bound {len(self.bound)} times")


@dataclass
class Recording(FakeSession):
    profiler: str = "fake"
    refuses: str = ""
    writes: bool = True
    others: list[Other] = field(default_factory=list)

    def recorded(self, folder: Path) -> Session:
        path = folder / "profile.json" if self.writes else folder.with_suffix(".json")
        self.others.append(Other(self.clock, path=path, refuses=self.refuses))
        return self.others[0]


def broken(session: Session) -> Callable[[], Any]:
    raise ValueError("the model does not like it")


def test_what_is_written_by_the_end_is_the_profile() -> None:
    session = Recording(Clock())
    assert repeated(session, INPUTS, 5) == b"bound 1 times"
    assert [other.log for other in session.others] == [["close"]]


def test_what_closing_raises_is_raised() -> None:
    with pytest.raises(RuntimeError, match="no profiler is on"):
        repeated(Recording(Clock(), refuses="no profiler is on"), INPUTS, 1)


@pytest.mark.parametrize(
    ("refuses", "noted"), [("", ""), ("no profiler is on", " (closing it then raised RuntimeError: no profiler is on)")]
)
def test_what_the_model_raises_is_not_hidden_by_what_closing_raises(refuses: str, noted: str) -> None:
    session = Recording(Clock(), refuses=refuses)
    with pytest.raises(ValueError, match="does not like it") as raised:
        recorded(session, [broken])
    assert in_one_line(raised.value) == f"ValueError: the model does not like it{noted}"
    assert [other.log for other in session.others] == [["close"]]


def test_a_runtime_that_writes_nothing_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(MetricUnavailable, match="fake wrote no profile"):
        repeated(Recording(Clock(), writes=False), INPUTS, 1)
