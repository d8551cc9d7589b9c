from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.profile import Activity, Profile, Taken
from pytest_modelperf.domain.session import Session
from pytest_modelperf.errors import MetricUnavailable, UsageError
from pytest_modelperf.profiling.cupti import CuptiSource
from pytest_modelperf.profiling.registry import Sources, builtin, chosen
from pytest_modelperf.profiling.torch import TorchSource
from pytest_modelperf.runtimes.callable import CallableRuntime

SESSION: Session = CallableRuntime().open(len, Device("cpu"))


@dataclass
class FakeSource:
    """Cannot look in for the reason `unable`, or sees nothing for the reason `blind`."""

    name: str
    unable: str = ""
    blind: str = ""

    def available(self, session: Session) -> str:
        return self.unable

    def take(self, session: Session, inputs: Mapping[str, Any] | Sequence[Any], *, calls: int, warm: int) -> Taken:
        if self.blind:
            raise MetricUnavailable(self.blind)
        return Taken(Profile(self.name, calls, 0.1, ()))


def test_the_first_that_can_looks_in() -> None:
    sources = Sources([FakeSource("a", unable="no a"), FakeSource("b", blind="dark"), FakeSource("c"), FakeSource("d")])
    assert sources.unable(SESSION) == ""
    assert sources.take(SESSION, [], calls=3, warm=1).profile.source == "c"


def test_where_none_can_all_reasons_are_told() -> None:
    sources = Sources([FakeSource("a", unable="no a"), FakeSource("b", blind="dark")])
    with pytest.raises(MetricUnavailable, match="a: no a; b: dark"):
        sources.take(SESSION, [], calls=3, warm=1)
    session: Any = SimpleNamespace()
    assert Sources(sources.sources[:1]).unable(session) == "a: no a"


def test_of_a_plain_function_one_sentence_is_told_and_what_sources_of_the_user_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TorchSource, "available", lambda self, session: "not imported")
    told = Sources(builtin()).unable(SESSION)
    assert told.startswith("the model is a function, and of those only what torch computes can be seen")
    assert "onnxruntime" not in told
    assert Sources([*builtin(), FakeSource("a", unable="no a")]).unable(SESSION) == f"{told}; a: no a"


def test_what_a_gpu_did_is_told_beside_the_operators_of_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU by name alone: CUPTI is a fake."""
    kernels = (Activity("sgemm", 2, 0.01),)
    seen = Taken(Profile("cupti", 3, 0.1, (), kernels=kernels), b"of cupti")
    monkeypatch.setattr(CuptiSource, "available", lambda self, session: "")
    monkeypatch.setattr(CuptiSource, "take", lambda self, session, inputs, *, calls, warm: seen)
    session = CallableRuntime().open(len, Device("cpu"))
    session.facts = replace(session.facts, hardware="NVIDIA H200")
    taken = Sources([FakeSource("a"), CuptiSource()]).take(session, [], calls=3, warm=1)
    assert (taken.profile.source, taken.profile.kernels, taken.trace) == ("a", kernels, b"of cupti")
    assert Sources([FakeSource("a"), CuptiSource()]).take(SESSION, [], calls=3, warm=1).profile.kernels == ()


def test_sources_are_chosen_by_name_in_the_order_given() -> None:
    assert [source.name for source in chosen((), builtin())] == [source.name for source in builtin()]
    assert [source.name for source in chosen(("torch", "onnxruntime"), builtin())] == ["torch", "onnxruntime"]
    with pytest.raises(UsageError, match="no source of profiles 'torhc'; did you mean 'torch'"):
        chosen(("torhc",), builtin())
