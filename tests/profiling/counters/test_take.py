from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from pytest_modelperf.domain.counting import Bind, Counted, CounterSource, Room, Tally, Wanted
from pytest_modelperf.domain.session import Session
from pytest_modelperf.profiling.counters.take import CALLS, MOST_SECONDS, CounterSources

ROOM = Room(load_seconds=0.1, size_bytes=100, free_bytes=1e9)


class FakeSession:
    """A session of which nothing is asked but how to take an error."""

    trimmed = 0

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)

    def trim(self) -> None:
        self.trimmed += 1


@dataclass
class Source:
    """A source that tells these tallies, one after the other."""

    told: list[Tally] = field(default_factory=list)
    name: str = "a source"
    counters: tuple[str, ...] = ("flops", "operator_calls")
    opens_again: bool = False
    fits: bool = True
    reason: str = ""
    error: Exception | None = None
    asked: list[bool] = field(default_factory=list)

    def applies(self, session: Session) -> bool:
        return self.fits

    def available(self, session: Session) -> str:
        return self.reason

    def count(self, session: Session, calls: Sequence[Bind], *, last: bool) -> Sequence[Tally]:
        self.asked += [last] * len(calls)
        if self.error is not None:
            raise self.error
        return [self.told.pop(0) for _ in calls]


def wanted(call_seconds: float = 0.01) -> Wanted:
    def bind(session: Session) -> Callable[[], Any]:
        return lambda: None

    return Wanted(bind, call_seconds)


def count(*sources: Source, cases: int = 1, room: Room = ROOM, call_seconds: float = 0.01) -> list[Counted]:
    counters = CounterSources(cast(Sequence[CounterSource], sources))
    return counters.count(cast(Session, FakeSession()), [wanted(call_seconds)] * cases, room)


def twice(**counts: float) -> list[Tally]:
    return [Tally(counts, {"mm": 3})] * CALLS


class TestAgreement:
    def test_what_both_calls_agree_on_is_kept_with_its_source(self) -> None:
        (found,) = count(Source(twice(flops=128.0)))
        assert found == Counted({"flops": 128.0}, {"mm": 3}, {"flops": "a source"})

    def test_what_they_do_not_agree_on_has_both_as_its_reason(self) -> None:
        first, second = Tally({"allocations": 3.0, "flops": 1.0}, {"mm": 1, "t": 2}), Tally({"flops": 1.0}, {"mm": 1})
        (found,) = count(Source([first, second]))
        assert (found.counts, found.operators) == ({"flops": 1.0}, {"mm": 1})
        assert found.unavailable == {"counters.allocations": "two equal calls gave 3 and none"}

    @pytest.mark.parametrize("endless", [math.inf, math.nan])
    def test_what_is_no_finite_number_is_no_counter(self, endless: float) -> None:
        for told in (twice(flops=1.0, share=endless), [Tally({"flops": 1.0}), Tally({"flops": 1.0, "share": endless})]):
            (found,) = count(Source(told))
            assert found.counts == {"flops": 1.0}
            reason = f"a source gave {endless}, which is no finite number"
            assert found.unavailable == {"counters.share": reason}

    def test_a_tally_may_name_what_has_counted(self) -> None:
        told = [Tally({"flops": 1.0, "nodes": 2.0}, counted_by={"flops": "formulas"})] * CALLS
        assert count(Source(told))[0].counted_by == {"flops": "formulas", "nodes": "a source"}

    def test_what_a_source_could_not_tell_keeps_its_reason(self) -> None:
        (found,) = count(Source([Tally(missing={"flops": "no formula"})] * CALLS))
        assert found.unavailable == {"counters.flops": "no formula"}

    def test_each_case_has_its_own(self) -> None:
        found = count(Source([*twice(flops=1.0), *twice(flops=2.0)]), cases=2)
        assert [one.counts["flops"] for one in found] == [1.0, 2.0]


class TestSources:
    def test_the_first_that_tells_a_counter_is_believed(self) -> None:
        first, second = Source(twice(nodes=3.0), "first"), Source(twice(nodes=9.0, flops=5.0), "second")
        (found,) = count(first, second)
        assert found.counts == {"nodes": 3.0, "flops": 5.0}
        assert found.counted_by == {"nodes": "first", "flops": "second"}

    def test_no_reason_stays_for_what_another_has_told(self) -> None:
        (found,) = count(Source(reason="no"), Source(twice(flops=5.0)))
        assert found.unavailable == {"counters.operator_calls": "no"}

    def test_one_that_does_not_know_the_model_says_nothing(self) -> None:
        assert count(Source(fits=False)) == [Counted()]

    def test_one_that_cannot_count_gives_its_reason_for_all_its_counters(self) -> None:
        (found,) = count(Source(reason="another profiler is on"))
        assert found.unavailable == dict.fromkeys(
            ("counters.flops", "counters.operator_calls"), "another profiler is on"
        )

    @pytest.mark.parametrize("last", [False, True])
    def test_it_is_told_whether_anything_is_timed_after_it(self, last: bool) -> None:
        source = Source(twice(flops=1.0))
        count(source, room=replace(ROOM, last=last))
        assert source.asked == [last] * CALLS

    def test_a_failure_is_a_reason(self) -> None:
        (found,) = count(Source(error=ValueError("no such thing\nat all")))
        assert found.unavailable["counters.flops"] == "counting failed: ValueError: no such thing"

    def test_memory_that_did_not_suffice_is_given_back(self) -> None:
        session = FakeSession()
        counters = CounterSources([cast(CounterSource, Source(error=MemoryError()))])
        counters.count(cast(Session, session), [wanted()], ROOM)
        assert session.trimmed == 1


class TestLimits:
    def test_a_case_whose_calls_take_too_long_is_left_out_with_the_reason(self) -> None:
        source = Source(twice(flops=1.0))
        (found,) = count(source, call_seconds=MOST_SECONDS)
        assert source.asked == []
        assert found.unavailable["counters.flops"] == "2 more calls would take 10.0 s, more than 5 s"
        assert found.notes == ("not counted: 2 more calls would take 10.0 s, more than 5 s",)

    def test_the_other_cases_are_counted(self) -> None:
        source = Source(twice(flops=1.0))
        cases = [wanted(MOST_SECONDS), wanted(0.001)]
        slow, fast = CounterSources([cast(CounterSource, source)]).count(cast(Session, FakeSession()), cases, ROOM)
        assert ("flops" in slow.counts, fast.counts) == (False, {"flops": 1.0})

    @pytest.mark.parametrize(
        ("room", "reason"),
        [
            (replace(ROOM, load_seconds=8.0), "the model would be opened once more, which took 8.00 s, more than 5 s"),
            (replace(ROOM, size_bytes=2**30, free_bytes=2.0**30), "which may need 2.00 GiB, and 1.00 GiB are free"),
        ],
    )
    def test_a_model_is_not_opened_again_without_time_or_memory_for_it(self, room: Room, reason: str) -> None:
        (found,) = count(Source(twice(flops=1.0), opens_again=True), room=room)
        assert reason in found.unavailable["counters.flops"]
        assert count(Source(twice(flops=1.0)), room=room)[0].counts == {"flops": 1.0}
