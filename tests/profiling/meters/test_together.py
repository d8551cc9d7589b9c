from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_modelperf.profiling.meters.together import Together


@dataclass
class Fake:
    description: str
    stands_at: float | None = 1.0
    reads: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] | None = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def units(self) -> Mapping[str, str]:
        return dict.fromkeys(("power", "utilisation", "sm_clock", "temperature"), "")

    def joules(self) -> float | None:
        return self.stands_at

    def read(self) -> Mapping[str, float]:
        return self.reads

    def held_back(self) -> tuple[str, ...] | None:
        return self.reasons

    def close(self) -> None:
        raise AssertionError("who has opened it closes it")


def test_devices_are_told_as_one() -> None:
    first = Fake("a", 2.0, {"power": 100.0, "utilisation": 0.5, "sm_clock": 2e9, "temperature": 40.0}, ("heat",))
    second = Fake("b", 3.0, {"power": 300.0, "utilisation": 1.0, "sm_clock": 1e9, "temperature": 60.0}, None)
    gauge = Together([first, second])
    assert (gauge.description, gauge.joules()) == ("a, b", 5.0)
    assert gauge.read() == {"power": 400.0, "utilisation": 0.75, "sm_clock": 1e9, "temperature": 60.0}
    assert gauge.held_back() == frozenset({"heat"})
    gauge.close()


def test_what_one_of_them_does_not_tell_is_not_told_of_all() -> None:
    gauge = Together([Fake("a", 2.0, {"power": 1.0}), Fake("b", None, {}, missing={"energy": "no counter"})])
    assert gauge.joules() is None
    assert gauge.read() == {}
    assert gauge.missing == {"energy": "no counter"}
    assert Together([Fake("a", reasons=None)]).held_back() is None
