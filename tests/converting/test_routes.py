"""Routes are found from what converters take and give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.converting.protocol import Converted, Subject
from pytest_modelperf.converting.registry import builtin, chosen
from pytest_modelperf.converting.routes import routes
from pytest_modelperf.domain.device import Device
from pytest_modelperf.errors import UsageError


@dataclass(frozen=True)
class Fake:
    """A converter that writes down what it was given."""

    name: str
    takes: str
    gives: str
    is_bridge: bool = False
    precision: str = "float32"
    reason: str = ""
    what: str = "nothing"
    seconds: float = 1.0

    def refuses(self, subject: Subject) -> str:
        return self.reason and f"{self.reason} {subject.form} {subject.model}"

    def convert(self, subject: Subject, folder: Path) -> Converted:
        assert subject.form == self.takes
        assert not list(folder.iterdir())
        return Converted(f"{subject.model}>{self.name}", counts={self.name: 1.0}, notes=(self.name,))


def subject(model: Any = "model") -> Subject:
    def draw(axes: Mapping[str, int], number: int = 0) -> Any:
        return {}

    return Subject(model, "a", Device("cpu"), {}, [{}], draw)


def test_the_shortest_way_is_found() -> None:
    long = [Fake("a-b", "a", "b", True), Fake("b-c", "b", "c", True)]
    found = routes("a", [*long, Fake("there", "c", "d"), Fake("a-c", "a", "c", True)])
    assert [[step.name for step in route.steps] for route in found] == [["a-c", "there"]]


def test_what_cannot_be_reached_is_left_out_and_no_bridge_is_a_route() -> None:
    found = routes("a", [Fake("a-b", "a", "b", True), Fake("own", "a", "a"), Fake("far", "z", "a")])
    assert [route.name for route in found] == ["own"]


def test_only_bridges_are_walked_over() -> None:
    assert routes("b", [Fake("half", "b", "c"), Fake("there", "c", "d")])[0].name == "half"
    assert len(routes("b", [Fake("half", "b", "c"), Fake("there", "c", "d")])) == 1


def test_a_route_takes_its_steps_one_after_the_other(tmp_path: Path) -> None:
    (route,) = routes("a", [Fake("a-b", "a", "b", True), Fake("there", "b", "d", precision="bfloat16")])
    made = route.follow(subject(), tmp_path)
    assert made.model == "model>a-b>there"
    assert made.notes == ("a-b", "there")
    assert made.counts == {"a-b": 1.0, "there": 1.0}
    assert (route.precision, route.seconds) == ("bfloat16", 2.0)


def test_int8_is_the_coarsest() -> None:
    (route,) = routes("a", [Fake("a-b", "a", "b", True, "bfloat16"), Fake("there", "b", "d", precision="int8")])
    assert route.precision == "int8"


def test_a_later_step_is_asked_without_the_model() -> None:
    steps = [Fake("a-b", "a", "b", True), Fake("there", "b", "d", reason="no")]
    assert routes("a", steps)[0].refuses(subject()) == "no b None"
    assert routes("a", [steps[0], Fake("fine", "b", "d")])[0].refuses(subject()) == ""


def test_converters_are_chosen_by_name_and_bridges_stay() -> None:
    known = [Fake("a-b", "a", "b", True), Fake("there", "b", "d"), Fake("other", "b", "d")]
    assert chosen(["there"], known) == known[:2]
    assert chosen([], known) == known
    with pytest.raises(UsageError, match="did you mean 'there'"):
        chosen(["thre"], known)


def test_names_are_unique() -> None:
    names = [converter.name for converter in builtin()]
    assert len(names) == len(set(names))
