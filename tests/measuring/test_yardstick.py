from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from measuring.fakes import Clock, FakeYardstick

from pytest_modelperf.domain.workload import Workload
from pytest_modelperf.measuring import workloads, yardstick
from pytest_modelperf.measuring.host import cpu_count
from pytest_modelperf.measuring.orders import Block
from pytest_modelperf.measuring.pinning import Pins
from pytest_modelperf.measuring.schedule import Schedule
from pytest_modelperf.measuring.yardstick import YardstickProcess

pytestmark = pytest.mark.skipif(os.name != "posix", reason="who waits is stopped by a signal")
TIMEOUT_SECONDS = 30.0
WORKLOADS = "pytest_modelperf.measuring.workloads"


def start(*kinds: str, threads: int = 1) -> YardstickProcess:
    return YardstickProcess(WORKLOADS, str(threads), *kinds, timeout_s=TIMEOUT_SECONDS, threads=threads)


def child(ruler: YardstickProcess) -> psutil.Process:
    return psutil.Process(ruler._peer.pid)


@pytest.mark.parametrize(
    ("call_seconds", "seconds", "rounds", "calls"),
    [
        (0.0003, 1.0, 100, 8),
        (0.0003, 0.14, 40, 8),
        (0.001, 0.11, 20, 3),
        (0.001, 0.0, 1, 3),
        (0.5, 1.0, 1, 3),
    ],
)
def test_it_sits_turns_out_where_it_would_take_more_than_its_share(
    call_seconds: float, seconds: float, rounds: int, calls: int
) -> None:
    """What is no call of a turn included: half a millisecond."""
    ruler = FakeYardstick([])
    ruler.call_seconds = call_seconds
    assert ruler.schedule(100, seconds) == Schedule(rounds, calls, 2)


@pytest.mark.parametrize(
    ("call_ms", "calls", "timed"), [(0.2, 20, 20), (1, 2, 2), (3, 20, 3), (1.5, 20, 6), (1600, 20, 3), (1600, 1, 1)]
)
def test_on_a_busy_machine_a_block_ends_early(
    call_ms: float, calls: int, timed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 6 ms, looked at after every third call."""
    clock = Clock().install(monkeypatch)
    workload = Workload("fake/1", lambda: clock.work(call_ms * 1e-3))
    assert yardstick._block(workload, Block(0, calls, 2)) == (round(call_ms * 1_000_000),) * timed


def test_what_is_queued_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock().install(monkeypatch)
    workload = Workload("fake/1", lambda: None, wait=lambda: clock.work(0.001))
    assert yardstick._block(workload, Block(0, 4, 2)) == (1_000_000,) * 4


@pytest.mark.parametrize(
    ("first", "seconds", "called"),
    [
        pytest.param((), 0.003, 30, id="slow: called so often"),
        pytest.param((), 0.0001, 501, id="fast: called for so long"),
        pytest.param((0.02,) * 5, 0.001, 30, id="the first calls are slower"),
        # Whatever others do to the calls, one of them met a free machine.
        pytest.param((0.1,) * 3 + (0.02,), 0.001, 30, id="beside others"),
        pytest.param((), 0.2, 3, id="very slow: called no longer than need be"),
    ],
)
def test_it_is_warm_when_it_has_been_called_for_a_while(
    monkeypatch: pytest.MonkeyPatch, first: tuple[float, ...], seconds: float, called: int
) -> None:
    clock = Clock().install(monkeypatch)
    calls: list[float] = []

    def call() -> None:
        calls.append([*first, *[seconds] * 1000][len(calls)])
        clock.work(calls[-1])

    fastest, pins = yardstick._warm(Workload("fake/1", call))
    assert fastest == pytest.approx(seconds)
    assert pins == Pins()
    assert len(calls) == pytest.approx(called, abs=2)


def test_threads_that_share_all_cores_are_pinned_in_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two threads of a product may share a core, and make it 80 times as slow."""
    answers: Iterator[dict[int, float]] = iter([{1: 0.0, 2: 0.0}, {1: 1.0, 2: 1.0}])
    monkeypatch.setattr(yardstick, "thread_seconds", lambda: next(answers))
    monkeypatch.setattr(yardstick, "pins", lambda before, after: Pins(dict.fromkeys(after, frozenset({0}))))
    assert yardstick._warm(Workload("fake/1", lambda: None))[1] == Pins({1: frozenset({0}), 2: frozenset({0})})


def test_each_workload_takes_blocks_and_is_stopped_in_between(capfd: pytest.CaptureFixture[str]) -> None:
    process = start("calls", "single")
    try:
        one, two = process.yardsticks
        assert [one.name, two.name] == [workloads.name("calls", 1), workloads.name("single", 1)]
        assert min(one.call_seconds, two.call_seconds) > 0
        assert child(process).status() == psutil.STATUS_STOPPED
        # So few are made on a busy machine too.
        for each, calls in ((one, 3), (two, 1), (one, 1)):
            each.resume()
            samples = each.block(Block(each.index, calls, 2))
            each.pause()
            assert child(process).status() == psutil.STATUS_STOPPED
            assert len(samples.samples_ns) == calls
            assert min(samples.samples_ns) > 0
            assert not samples.error
    finally:
        process.close()
    assert not process.alive
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(cpu_count() < 2, reason="one CPU has one thread")
def test_it_has_the_threads_that_it_is_given() -> None:
    threads = []
    for number in (1, 2):
        process = start("threads", threads=number)
        threads.append(child(process).num_threads())
        process.close()
    assert threads[1] - threads[0] == 1


@pytest.mark.parametrize("threads", [1, None])
def test_what_tunes_a_models_libraries_does_not_tune_its_yardstick(
    monkeypatch: pytest.MonkeyPatch, threads: int | None
) -> None:
    """It would be divided out, and nobody would see it."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    process = YardstickProcess(WORKLOADS, "1", timeout_s=TIMEOUT_SECONDS, threads=threads)
    given = child(process).environ()
    process.close()
    assert not {"ONEDNN_MAX_CPU_ISA", "OMP_WAIT_POLICY"} & given.keys()
    assert given.get("OMP_NUM_THREADS") == (str(threads) if threads else None)
    assert given["PATH"] == os.environ["PATH"]


def test_a_process_may_have_no_workloads() -> None:
    process = start()
    assert process.yardsticks == ()
    process.close()


def test_interrupted_in_a_block_it_ends_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    ruler = start("single")
    process = child(ruler)
    ruler.resume()
    ruler._peer.send(Block(0, 100, 2))
    ruler.close()
    assert not process.is_running()
    assert capfd.readouterr() == ("", "")


def test_lost_it_says_so() -> None:
    ruler = start("single")
    child(ruler).send_signal(signal.SIGKILL)
    (one,) = ruler.yardsticks
    one.resume()
    for _ in range(2):
        said = one.block(Block(0, 1, 0))
        assert said.error == "the yardstick's process was killed by signal 9 (SIGKILL)"
        one.pause()
        one.resume()
    assert not ruler.alive
    ruler.close()


def test_a_device_without_room_for_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "crowded.py"
    module.write_text(
        "from pytest_modelperf.errors import MetricUnavailable\n"
        "def workloads(device):\n    raise MetricUnavailable(f'{device} is full')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = YardstickProcess("crowded", "cuda:0", timeout_s=TIMEOUT_SECONDS)
    assert (process.yardsticks, process.reason) == ((), "cuda:0 is full")
    process.close()
