"""Where a real model casts, copies and reads: the lines of this file."""

from __future__ import annotations

import inspect
import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.domain.profile import Place
from pytest_modelperf.profiling.places import places

torch = pytest.importorskip("torch")


class Faulty(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        for _ in range(3):
            x = x.double().float()
        x = self.linear(x).t().contiguous()
        return x * float(x[0, 0])


class Sound(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.LayerNorm(8))

    def forward(self, x: Any) -> Any:
        return self.layers(x.contiguous().float())


def looked(model: Callable[[Any], Any]) -> tuple[Place, ...]:
    with torch.inference_mode():
        return places(lambda: model(torch.ones(4, 8)))


def seen(model: Callable[[Any], Any]) -> tuple[Place, ...]:
    """What is worth a look."""
    return tuple(place for place in looked(model) if place.kind != "call")


def line_of(code: str) -> int:
    lines, first = inspect.getsourcelines(Faulty)
    return first + next(number for number, line in enumerate(lines) if code in line)


def test_each_line_is_that_of_the_users_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    assert set(seen(Faulty().eval())) == {
        Place("cast", 6, "test_places.py", line_of("double()"), "x = x.double().float()"),
        Place("copy", 1, "test_places.py", line_of("contiguous()"), "x = self.linear(x).t().contiguous()"),
        Place("read", 1, "test_places.py", line_of("float(x[0, 0])"), "return x * float(x[0, 0])"),
    }


def test_a_file_is_told_from_where_the_run_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    assert {place.file for place in seen(Faulty().eval())} == {"profiling/test_places.py"}
    monkeypatch.chdir(Path(torch.__file__).parent)
    assert {place.file for place in seen(Faulty().eval())} == {"test_places.py"}


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """A function of a library that casts."""
    file = folder / "library" / "nets" / "casting.py"
    file.parent.mkdir(parents=True)
    file.write_text("def forward(x):\n    return x.double()\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder))
    space: dict[str, Any] = {"__name__": "library.nets.casting"}
    exec(compile(file.read_text(), str(file), "exec"), space)
    forward: Callable[[Any], Any] = space["forward"]
    return forward


def test_a_library_that_the_user_calls_is_told_by_the_users_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = installed(tmp_path, monkeypatch)

    def mine(x: Any) -> Any:
        return forward(x)

    (place,) = seen(mine)
    assert (place.file.rpartition("/")[2], place.code) == ("test_places.py", "return forward(x)")


def test_a_library_alone_is_told_by_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = installed(tmp_path, monkeypatch)
    with torch.inference_mode():
        found = places(partial(forward, torch.ones(4, 8)))
    assert found == (Place("cast", 1, "library/…/casting.py", 2, "return x.double()"),)


def test_what_does_nothing_has_no_place() -> None:
    assert seen(Sound().eval()) == ()


def test_any_other_operator_is_told_with_the_line_that_calls_it() -> None:
    found = {place.operator: place.code for place in looked(Faulty().eval()) if place.kind == "call"}
    assert found["aten::linear"] == "x = self.linear(x).t().contiguous()"
    assert found["aten::mul"] == "return x * float(x[0, 0])"
    # What is worth a look is told first.
    assert [place.kind == "call" for place in looked(Faulty().eval())] == sorted(
        place.kind == "call" for place in looked(Faulty().eval())
    )


def test_a_model_that_cannot_be_looked_on_has_none() -> None:
    def fails(x: Any) -> Any:
        raise RuntimeError("not under a mode")

    assert seen(fails) == ()
