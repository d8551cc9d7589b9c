from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from measuring.fakes import Clock, FakeBench, FakeSession, FakeYardstick, Machine, lose, ready

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Tensor
from pytest_modelperf.measuring.bench import LocalBench
from pytest_modelperf.measuring.conduct import CaseLost, Conductor, Measured, Progress
from pytest_modelperf.measuring.orders import Block, Count, Prepared, Samples, Tallied
from pytest_modelperf.measuring.schedule import BLOCK_SECONDS, SETTLING_CALLS, schedule
from pytest_modelperf.measuring.state import Observer


def conductor(*benches: Any, **options: Any) -> Conductor:
    return Conductor(benches, **{"seconds": 1.0, "seed": 7, **options})


def states(measured: tuple[Measured, ...]) -> dict[str, tuple[str, str]]:
    return {one.case.key: (one.prepared.status, one.prepared.reason) for one in measured}


def prepares(log: list[str]) -> list[str]:
    return [line.split(" ", 1)[1] for line in log if line.startswith("prepare")]


def fits(largest: int) -> Callable[[int], Prepared]:
    return lambda batch: ready(0.001) if batch <= largest else Prepared("out of memory", "DoesNotFit: no")


class TestMeasuring:
    def test_every_case_is_timed_as_its_schedule_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From the clock to the samples, through a bench of this process."""
        clock = Clock().install(monkeypatch)
        session = FakeSession(clock, lambda batch: 0.001 * batch)
        sweep = [{"batch": batch} for batch in (1, 8, 2)]
        bench = LocalBench(lambda: session, Device("cpu"), {"x": Tensor(("batch",))}, sweep)
        measured = conductor(bench).run()
        turns = schedule(0.001, 1.0).rounds
        assert [one.case.axes for one in measured] == sweep
        assert [one.samples_per_call for one in measured] == [1, 8, 2]
        for one in measured:
            assert one.timing is not None
            batch = one.samples_per_call
            plan = schedule(0.001 * batch, 1.0)
            assert one.timing.rounds_ns == ((batch * 1_000_000,) * plan.calls,) * plan.rounds
            assert one.timing.settling_calls == plan.settling
            assert one.timing.warmup == one.prepared.warmup
            assert one.timing.warmup.settled
            assert one.timing.turns == tuple(turn for turn in range(turns) if plan.takes_part(turn, turns))
            assert (one.timing.yardsticks, one.timing.pipelined) == ({}, ())

    def test_the_smallest_case_is_made_ready_first(self) -> None:
        bench = FakeBench([4, 1, 2])
        measured = conductor(bench, seconds=2.5).run()
        assert prepares(bench.log) == ["cpu 1 for 2.5 s", "cpu 2 for 2.5 s", "cpu 4 for 2.5 s"]
        assert [one.samples_per_call for one in measured] == [4, 1, 2]

    def test_nobody_runs_beside_another(self) -> None:
        log: list[str] = []
        conductor(FakeBench([1, 2], log=log), FakeBench([1, 2], device="cpu:threads=1", log=log)).run()
        for resume, work, pause in zip(log[::3], log[1::3], log[2::3], strict=True):
            name = work.split()[1]
            assert (resume, pause) == (f"resume {name}", f"pause {name}")

    def test_all_cases_are_ready_before_the_first_round(self) -> None:
        log: list[str] = []
        conductor(FakeBench([1, 2], log=log), FakeBench([1], device="cuda:0", log=log)).run()
        kinds = [line.split()[0] for line in log]
        assert max(i for i, kind in enumerate(kinds) if kind == "prepare") < kinds.index("block")

    def test_the_seed_settles_the_order_of_turns(self) -> None:
        def order(seed: int) -> list[str]:
            log: list[str] = []
            conductor(FakeBench([1, 2, 3], log=log), seed=seed).run()
            return log

        assert order(1) == order(1)
        assert order(1) != order(2)

    def test_asynchronous_devices_have_pipelined_blocks(self) -> None:
        bench = FakeBench(
            [1],
            device="cuda:0",
            asynchronous=True,
            answer=lambda order: Samples((1000,) * order.calls, 700 * order.calls),
        )
        (measured,) = conductor(bench).run()
        assert all(order.pipelined for order in bench.orders)
        assert measured.timing is not None
        assert measured.timing.pipelined == ((10, 7_000),) * len(measured.timing.rounds_ns)

    def test_a_slow_model_is_called_three_times(self) -> None:
        bench = FakeBench([1], asynchronous=True, prepare=lambda batch: ready(5.0))
        (measured,) = conductor(bench).run()
        assert bench.orders == [Block(0, 1, 0, pipelined=False)] * 3
        assert measured.timing is not None
        assert measured.timing.calls == 3
        assert measured.timing.pipelined == ()

    def test_nothing_to_time_is_no_error(self) -> None:
        bench = FakeBench([1, 2], prepare=lambda batch: Prepared("failed", "RuntimeError: no"))
        measured = conductor(bench, yardsticks=lambda device, threads: pytest.fail("nobody asked for one")).run()
        assert [one.prepared.status for one in measured] == ["failed", "failed"]
        assert [one.timing for one in measured] == [None, None]


class TestTheSameCaseOnSeveralBenches:
    def test_each_has_as_many_rounds_in_the_same_turns(self) -> None:
        """As many as the slower side has time for."""
        one, other = FakeBench([1]), FakeBench([1], prepare=lambda batch: ready(0.05))
        small = FakeBench([4], prepare=lambda batch: ready(0.0001))
        measured = conductor(one, other, small).run()
        assert [(each.bench, each.case.key) for each in measured] == [
            (0, "cpu batch=1"),
            (1, "cpu batch=1"),
            (2, "cpu batch=4"),
        ]
        first, second = (each.timing for each in measured[:2])
        assert first is not None
        assert second is not None
        assert first.turns == second.turns
        assert len(first.turns) == schedule(0.05, 1.0).rounds
        assert {order.calls for order in one.orders} == {1}

    def test_what_one_bench_has_no_memory_for_another_may_have(self) -> None:
        measured = conductor(FakeBench([1, 2], prepare=fits(0)), FakeBench([1, 2])).run()
        assert [each.prepared.status for each in measured] == ["out of memory", "out of memory", "ok", "ok"]

    def test_a_bench_that_fails_leaves_the_other(self) -> None:
        failing = FakeBench([1], answer=lambda order: Samples(error="ValueError: no"))
        one, other = conductor(FakeBench([1]), failing).run()
        assert one.timing is not None
        assert (other.prepared.status, other.timing) == ("failed", None)


class TestFailing:
    def test_a_block_that_fails_ends_its_case_alone(self) -> None:
        bench = FakeBench([1, 2], answer=lambda order: Samples((1,)) if order.case else Samples(error="ValueError: no"))
        one, two = conductor(bench).run()
        assert (one.prepared.status, one.prepared.reason, one.timing) == ("failed", "ValueError: no", None)
        assert two.timing is not None
        assert len(two.timing.rounds_ns) == schedule(0.002, 1.0).rounds

    def test_memory_may_run_out_in_a_block(self) -> None:
        bench = FakeBench([1], answer=lambda order: Samples(error="DoesNotFit: no", out_of_memory=True))
        assert states(conductor(bench).run()) == {"cpu batch=1": ("out of memory", "DoesNotFit: no")}

    @pytest.mark.parametrize("batches", [[1, 2, 4, 8, 16], [16, 8, 4, 2, 1], [8, 16, 2, 1, 4]])
    def test_what_does_not_fit_spares_what_is_larger(self, batches: list[int]) -> None:
        bench = FakeBench(batches, prepare=fits(2))
        measured = states(conductor(bench).run())
        assert prepares(bench.log) == [f"cpu {batch} for 1 s" for batch in (1, 2, 4)]
        assert (
            measured
            == {
                "cpu batch=1": ("ok", ""),
                "cpu batch=2": ("ok", ""),
                "cpu batch=4": ("out of memory", "DoesNotFit: no"),
                "cpu batch=8": ("out of memory", "not tried: batch=4 did not fit"),
                "cpu batch=16": ("out of memory", "not tried: batch=4 did not fit"),
            }
            | {}
        )
        assert list(measured) == [f"cpu batch={batch}" for batch in batches]

    def test_a_failure_spares_nothing(self) -> None:
        bench = FakeBench([1, 2], prepare=lambda batch: ready(0.001) if batch > 1 else Prepared("failed", "no"))
        assert [state for state, _ in states(conductor(bench).run()).values()] == ["failed", "ok"]

    def test_another_device_is_asked_for_itself(self) -> None:
        small, large = FakeBench([1, 2], prepare=fits(0)), FakeBench([1, 2], device="cuda:0", prepare=fits(2))
        measured = states(conductor(small, large).run())
        assert [state for state, _ in measured.values()] == ["out of memory", "out of memory", "ok", "ok"]

    def test_a_case_known_not_to_fit_is_not_tried(self) -> None:
        bench = FakeBench([1, 2, 4])
        reason = "the system killed its process for lack of memory"
        measured = states(conductor(bench, unfit={"cpu batch=2": reason}).run())
        assert prepares(bench.log) == ["cpu 1 for 1 s"]
        assert measured == {
            "cpu batch=1": ("ok", ""),
            "cpu batch=2": ("out of memory", reason),
            "cpu batch=4": ("out of memory", "not tried: batch=2 did not fit"),
        }


class Uncountable(FakeBench):
    """Its process does not survive being counted."""

    def count(self, order: Count) -> Tallied:
        raise lose(out_of_memory=True)


class TestLosing:
    @pytest.mark.parametrize("out_of_memory", [False, True])
    def test_while_warming_up(self, out_of_memory: bool) -> None:
        def prepare(batch: int) -> Prepared:
            if batch == 2:
                raise lose(out_of_memory)
            return ready(0.001)

        bench = FakeBench([1, 2, 4], prepare=prepare)
        with pytest.raises(CaseLost) as caught:
            conductor(bench).run()
        assert str(caught.value) == ("the runner was killed by signal 11 (SIGSEGV) while warming up batch=2 on cpu")
        assert caught.value.case.key == "cpu batch=2"
        assert caught.value.lost.fate.out_of_memory == out_of_memory
        assert not bench.resumed

    def test_while_timing(self) -> None:
        blocks = iter(range(1000))

        def answer(order: Block) -> Samples:
            if order.case == 1 and next(blocks) == 3:
                raise lose()
            return Samples((1000,) * order.calls)

        with pytest.raises(CaseLost, match=r"while timing batch=2 on cpu with torch$") as caught:
            conductor(FakeBench([1, 2, 4], answer=answer), runtime="torch").run()
        assert caught.value.case.axes == {"batch": 2}

    def test_while_counting(self) -> None:
        with pytest.raises(CaseLost, match=r"while counting the cases from batch=1 on cpu with torch$") as caught:
            conductor(Uncountable([1, 2]), runtime="torch").run()
        assert not caught.value.unfit, "it was timed, and so it fits"

    def test_the_other_side_while_counting_loses_only_its_counts(self) -> None:
        bench, other = FakeBench([1]), Uncountable([1])
        mine, theirs = conductor(bench, other, soaked=1).run()
        assert (mine.counted.counts, theirs.counted.counts) == ({"flops": 100.0}, {})
        assert theirs.timing is not None
        assert not other.resumed

    def test_a_model_without_axes(self) -> None:
        def answer(order: Block) -> Samples:
            raise lose()

        bench = FakeBench([1], answer=answer)
        bench.opened = type(bench.opened)("cuda:0", "a fake", ({},), (1,), 0.5)
        with pytest.raises(CaseLost, match="while timing the model on cuda:0"):
            conductor(bench).run()

    def test_a_yardstick_that_is_lost_leaves_the_others_and_the_cases(self) -> None:
        lost, other = FakeYardstick([], "lost/1"), FakeYardstick([], "other/1", 1)
        lost.player.answer = lambda order: Samples(error=str(lose())) if len(lost.player.orders) > 3 else Samples((1,))
        conducting = conductor(FakeBench([1, 2]), yardsticks=lambda device, threads: [lost, other])
        for measured in conducting.run():
            assert measured.timing is not None
            assert list(measured.timing.yardsticks) == ["other/1"]
        assert len(lost.player.orders) == 4
        assert conducting.lost_yardsticks == {"lost/1": "the runner was killed by signal 11 (SIGSEGV)"}


class TestYardsticks:
    def test_it_plays_as_often_as_its_share_allows_and_is_paired_by_round(self) -> None:
        """The slower case sits rounds out: its rounds are paired with the yardstick's of the same rounds."""
        rounds = iter(range(1000))
        ruler = FakeYardstick([])
        ruler.player.answer = lambda order: Samples((next(rounds),) * order.calls)
        bench = FakeBench([1, 50], prepare=lambda batch: ready(0.001 if batch == 1 else 0.05))
        fast, slow = conductor(bench, yardsticks=lambda device, threads: [ruler]).run()
        turns = schedule(0.001, 1.0).rounds
        assert {(order.calls, order.settling) for order in ruler.player.orders} == {(3, SETTLING_CALLS)}
        assert fast.timing is not None
        assert slow.timing is not None
        played = [turn for turn, calls in enumerate(fast.timing.yardsticks["fake/1"]) if calls]
        assert [calls for calls in fast.timing.yardsticks["fake/1"] if calls] == [(n,) * 3 for n in range(len(played))]
        assert len(fast.timing.yardsticks["fake/1"]) == turns
        plan = schedule(0.05, 1.0)
        taken = [turn for turn in range(turns) if plan.takes_part(turn, turns)]
        expected = tuple((played.index(turn),) * 3 if turn in played else () for turn in taken)
        assert slow.timing.yardsticks == {"fake/1": expected}
        assert slow.timing.turns == tuple(taken)
        assert len(slow.timing.rounds_ns) == len(taken) == plan.rounds

    @pytest.mark.parametrize("panel", [1, 2, 4, 10, 40])
    @pytest.mark.parametrize("call_seconds", [1e-6, 0.001, 0.3])
    def test_together_they_have_a_third_of_the_time_at_most(self, panel: int, call_seconds: float) -> None:
        """Their settling calls included; where not even a call fits, each has one all the same."""
        rulers = [FakeYardstick([], f"fake/{number}") for number in range(panel)]
        bench = FakeBench([1], prepare=lambda batch: ready(call_seconds))
        conductor(bench, yardsticks=lambda device, threads: rulers).run()
        taken = [sum(order.calls + order.settling for order in ruler.player.orders) * 0.001 for ruler in rulers]
        fewest = 5 * 0.001
        plan = schedule(call_seconds, 1.0)
        given = plan.rounds * max(BLOCK_SECONDS, plan.block_seconds(call_seconds))
        assert all(one <= max(given / 2 / panel, fewest) * 1.0001 for one in taken)

    def test_panels_of_several_devices_share_the_third(self) -> None:
        """Two cases of a second: a second for five yardsticks, three of them common."""
        common = [FakeYardstick([], f"common/{number}", number) for number in range(3)]
        own = {device: FakeYardstick([], f"own {device}") for device in ("cpu", "cpu:threads=2")}
        benches = [FakeBench([1], device=device) for device in own]
        measured = conductor(*benches, yardsticks=lambda device, threads: [*common, own[device]]).run()
        everyone = [*common, *own.values()]
        taken = [sum(order.calls + order.settling for order in ruler.player.orders) * 0.001 for ruler in everyone]
        assert taken == pytest.approx([0.2] * 5, rel=0.15)
        assert [list(one.timing.yardsticks) for one in measured if one.timing is not None] == [
            ["common/0", "common/1", "common/2", "own cpu"],
            ["common/0", "common/1", "common/2", "own cpu:threads=2"],
        ]

    def test_a_block_says_which_workload_of_the_process_it_is_for(self) -> None:
        rulers = [FakeYardstick([], f"fake/{number}", number) for number in range(3)]
        conductor(FakeBench([1]), yardsticks=lambda device, threads: rulers).run()
        assert [{order.case for order in ruler.player.orders} for ruler in rulers] == [{0}, {1}, {2}]

    def test_a_device_may_have_none(self) -> None:
        ruler = FakeYardstick([])
        benches = FakeBench([1]), FakeBench([1], device="cuda:0")
        cpu, cuda = conductor(*benches, yardsticks=lambda device, threads: [ruler] if device == "cpu" else []).run()
        assert cpu.timing is not None
        assert cuda.timing is not None
        assert (list(cpu.timing.yardsticks), list(cuda.timing.yardsticks)) == (["fake/1"], [])

    def test_one_that_two_devices_share_plays_once_a_round(self) -> None:
        ruler = FakeYardstick([])
        # A block of either leaves it the time for one of its own.
        devices = "cpu", "cpu:threads=2"
        benches = [FakeBench([1], device=device, prepare=lambda batch: ready(0.01)) for device in devices]
        measured = conductor(*benches, yardsticks=lambda device, threads: [ruler]).run()
        assert len(ruler.player.orders) == schedule(0.01, 1.0).rounds
        assert [list(one.timing.yardsticks) for one in measured if one.timing is not None] == [["fake/1"]] * 2

    def test_they_have_as_many_threads_as_were_seen_computing_in_any_case(self) -> None:
        asked: list[tuple[str, int]] = []

        def none(device: str, threads: int) -> list[FakeYardstick]:
            asked.append((device, threads))
            return []

        several = FakeBench([1, 2], prepare=lambda batch: Prepared("ok", call_seconds=0.001, threads=batch))
        conductor(several, FakeBench([1], device="cuda:0"), yardsticks=none).run()
        assert asked == [("cpu", 2), ("cuda:0", 0)]

    def test_devices_are_asked_for_in_their_order(self) -> None:
        """A set's order differs between processes, and with it the turns that the seed is to repeat."""
        devices = [f"cpu:threads={number}" for number in range(1, 9)]
        asked: list[str] = []

        def none(device: str, threads: int) -> list[FakeYardstick]:
            asked.append(device)
            return []

        conductor(*(FakeBench([1], device=device) for device in devices), yardsticks=none).run()
        assert asked == devices


class TestWatching:
    def test_it_is_told_how_far_it_is(self) -> None:
        seen: list[Progress] = []
        conductor(FakeBench([2, 1]), watch=seen.append).run()
        assert seen[:2] == [Progress("warming up cpu batch=1"), Progress("warming up cpu batch=2")]
        assert seen.pop() == Progress("counting operators")
        turns = schedule(0.001, 1.0).rounds
        assert [(progress.turn, progress.turns) for progress in seen[2:]] == [(n, turns) for n in range(1, turns + 1)]
        assert {progress.case for progress in seen[2:]} == {"2 cases in turn"}
        left = [progress.seconds_left for progress in seen[2:]]
        assert left == sorted(left, reverse=True)
        assert 1.8 < left[0] < 2.0
        assert left[-1] == 0.0

    def test_the_time_left_counts_the_yardsticks(self) -> None:
        """A case of a second, and half a second for the yardsticks."""
        seen: list[Progress] = []
        rulers = [FakeYardstick([])]
        conductor(FakeBench([1]), yardsticks=lambda device, threads: rulers, watch=seen.append).run()
        assert 1.3 < seen[1].seconds_left < 1.5

    def test_only_while_nobody_runs(self) -> None:
        bench = FakeBench([1, 2])
        resumed: list[bool] = []
        conductor(bench, watch=lambda progress: resumed.append(bench.resumed)).run()
        assert not any(resumed)


class TestInterruption:
    """A Ctrl-C keeps what has been measured."""

    def test_between_rounds(self) -> None:
        def watch(progress: Progress) -> None:
            if progress.turn == 3:
                raise KeyboardInterrupt

        conducting = conductor(FakeBench([1, 2]), yardsticks=lambda device, threads: [FakeYardstick([])], watch=watch)
        with pytest.raises(KeyboardInterrupt):
            conducting.run()
        fast, slow = conducting.results()
        assert fast.timing is not None
        assert len(fast.timing.rounds_ns) == len(fast.timing.yardsticks["fake/1"]) == 3
        assert fast.timing.turns == (0, 1, 2)
        assert fast.prepared.status == slow.prepared.status == "ok"

    def test_in_a_block_of_a_yardstick(self) -> None:
        """The last round is cut short: who had its turn before the yardstick keeps its round, without a yardstick's."""
        ruler = FakeYardstick([])
        ruler.call_seconds = 0.0001
        played: list[int] = []

        def rule(order: Block) -> Samples:
            if len(ruler.player.orders) == 5:
                raise KeyboardInterrupt
            return Samples((1,) * order.calls)

        def answer(order: Block) -> Samples:
            played.append(order.case)
            return Samples((1000,) * order.calls)

        ruler.player.answer = rule
        bench = FakeBench([1, 2, 3, 4], prepare=lambda batch: ready(0.001), answer=answer)
        conducting = conductor(bench, yardsticks=lambda device, threads: [ruler])
        with pytest.raises(KeyboardInterrupt):
            conducting.run()
        before = set(played[4 * 4 :])
        assert 0 < len(before) < 4, "choose another seed: the yardstick's fifth turn must come between the cases'"
        for case, measured in enumerate(conducting.results()):
            assert measured.timing is not None
            assert len(measured.timing.rounds_ns) == (5 if case in before else 4)
            assert [bool(calls) for calls in measured.timing.yardsticks["fake/1"]] == (
                [True] * 4 + [False] * (case in before)
            )

    def test_a_case_that_had_no_round(self) -> None:
        def answer(order: Block) -> Samples:
            raise KeyboardInterrupt

        conducting = conductor(FakeBench([1], answer=answer))
        with pytest.raises(KeyboardInterrupt):
            conducting.run()
        assert states(conducting.results()) == {"cpu batch=1": ("failed", "interrupted before its first round")}

    def test_while_warming_up(self) -> None:
        """What is ready and was never timed is no result; what was not tried is not told."""

        def prepare(batch: int) -> Prepared:
            if batch == 4:
                raise KeyboardInterrupt
            return ready(0.001) if batch == 1 else Prepared("failed", "RuntimeError: no")

        bench = FakeBench([1, 2, 4, 8], prepare=prepare)
        conducting = conductor(bench)
        with pytest.raises(KeyboardInterrupt):
            conducting.run()
        assert not bench.resumed
        assert states(conducting.results()) == {
            "cpu batch=1": ("failed", "interrupted before its first round"),
            "cpu batch=2": ("failed", "RuntimeError: no"),
        }

    def test_before_anything_there_is_nothing(self) -> None:
        assert conductor(FakeBench([1])).results() == ()


class TestTheMachine:
    """What others did to it is told for each block."""

    def machine(self, bench: FakeBench, *rulers: FakeYardstick, disturb: Callable[[str, int], bool]) -> Observer:
        """A machine whose every block takes a second, in which others have a core where `disturb` says so."""
        machine = Machine()
        turns: dict[str, int] = {}
        for name, player in {"case": bench, **{ruler.name: ruler.player for ruler in rulers}}.items():

            def answer(order: Block, name: str = name) -> Samples:
                turns[name] = turns.get(name, -1) + 1
                machine.work(1.0, others=1.0 if disturb(name, turns[name]) else 0.0)
                return Samples((1000,) * order.calls)

            player.answer = answer
        return Observer(lambda: machine)

    def test_disturbed_rounds_are_marked(self) -> None:
        bench, ruler = FakeBench([1]), FakeYardstick([])
        observer = self.machine(bench, ruler, disturb=lambda name, turn: turn in {"case": (0, 3), "fake/1": (5,)}[name])
        (one,) = conductor(bench, yardsticks=lambda device, threads: [ruler], observer=observer).run()
        assert one.timing is not None
        assert one.timing.disturbed == (0, 3)
        played = [number for number, calls in enumerate(one.timing.yardsticks["fake/1"]) if calls]
        assert one.timing.disturbed_yardsticks == {"fake/1": (played[5],)}
        assert observer.state.others.share == pytest.approx(1.0)

    def test_nobody_need_look(self) -> None:
        (one,) = conductor(FakeBench([1]), yardsticks=lambda device, threads: [FakeYardstick([])]).run()
        assert one.timing is not None
        assert (one.timing.disturbed, one.timing.disturbed_yardsticks) == ((), {"fake/1": ()})

    def test_what_was_seen_until_an_interruption_is_told(self) -> None:
        def watch(progress: Progress) -> None:
            if progress.turn == 3:
                raise KeyboardInterrupt

        bench = FakeBench([1])
        observer = self.machine(bench, disturb=lambda name, turn: turn == 1)
        conducting = conductor(bench, observer=observer, watch=watch)
        with pytest.raises(KeyboardInterrupt):
            conducting.run()
        (one,) = conducting.results()
        assert one.timing is not None
        assert one.timing.disturbed == (1,)
        assert observer.state.rounds == 3
        assert observer.state.preemptions == 0.0


class TestCounting:
    def test_it_comes_after_all_timing_and_belongs_to_its_case(self) -> None:
        log: list[str] = []
        first, second = FakeBench([1, 2], log=log), FakeBench([1], device="cpu:threads=1", log=log)
        measured = conductor(first, second).run()
        counting = [number for number, line in enumerate(log) if line.startswith("count")]
        assert [log[number] for number in counting] == ["count cpu 1, 2", "count cpu:threads=1 1"]
        assert not any(line.startswith("block") for line in log[counting[0] :])
        assert [one.counted.counts for one in measured] == [{"flops": 100.0}, {"flops": 200.0}, {"flops": 100.0}]

    def test_a_case_that_did_not_run_is_not_counted(self) -> None:
        bench = FakeBench([1, 2, 4], prepare=fits(2))
        measured = conductor(bench).run()
        assert "count cpu 1, 2" in bench.log
        assert measured[2].counted.counts == {}

    def test_nothing_is_asked_where_nothing_ran_or_nobody_wants_it(self) -> None:
        for bench, counts in ((FakeBench([1], prepare=fits(0)), True), (FakeBench([1]), False)):
            conductor(bench, counts=counts).run()
            assert not any(line.startswith("count") for line in bench.log)

    def test_a_bench_is_told_whether_anything_is_timed_after_it(self) -> None:
        for last in (True, False):
            bench = Watched([1])
            conductor(bench, last=last).run()
            assert bench.counted == [Count((0,), (0.001,), last)]


class Watched(FakeBench):
    """Keeps what it is asked to count."""

    def __init__(self, batches: Sequence[int]) -> None:
        super().__init__(batches)
        self.counted: list[Count] = []

    def count(self, order: Count) -> Tallied:
        self.counted.append(order)
        return super().count(order)
