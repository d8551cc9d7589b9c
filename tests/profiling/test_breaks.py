"""Where a real model breaks the graphs of torch.compile: the lines of this file."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.profiling.breaks import watched

torch = pytest.importorskip("torch")


class Resumed(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Dynamo compiles what is before its break and behind it."""

    def forward(self, x: Any) -> Any:
        x = torch.relu(x)
        if x.max() > 1e6:
            x = x.clamp(max=1e6)
        return x + 1


class Skipped(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A break in a loop leaves the whole function uncompiled."""

    def forward(self, x: Any) -> Any:
        for _ in range(3):
            x = torch.relu(x)
            print(end="")  # noqa: T201
        return x


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Dynamo tells of a break once."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def told(model: Callable[[Any], Any]) -> list[tuple[str, int, str]]:
    compiled = torch.compile(model, backend="eager")
    with torch.inference_mode(), watched() as breaks:
        compiled(torch.ones(2, 4))
        compiled(torch.ones(2, 4))
    assert {place.kind for place in breaks} <= {"break"}
    return [(place.file, place.line, place.code.partition("  #")[0]) for place in breaks]


def line(model: type, code: str) -> int:
    lines, first = inspect.getsourcelines(model)
    return first + next(number for number, line in enumerate(lines) if code in line)


@pytest.mark.parametrize(("model", "code"), [(Resumed, "if x.max() > 1e6:"), (Skipped, 'print(end="")')])
def test_the_line_of_a_break_is_told(model: type, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    assert told(model()) == [("test_breaks.py", line(model, code), code)]


def test_a_model_without_breaks_has_none_and_the_loggers_are_as_they_were() -> None:
    names = [f"torch._dynamo.{module}.__graph_breaks" for module in ("symbolic_convert", "convert_frame")]
    before = [(log.level, log.propagate, list(log.handlers)) for log in map(logging.getLogger, names)]
    assert told(torch.nn.Linear(4, 4)) == []
    assert [(log.level, log.propagate, list(log.handlers)) for log in map(logging.getLogger, names)] == before
