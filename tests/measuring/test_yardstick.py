from __future__ import annotations

import os
import signal

import numpy as np
import psutil
import pytest
from measuring.fakes import Clock, FakeYardstick

from pytest_modelperf.measuring import yardstick
from pytest_modelperf.measuring.host import cpu_count
from pytest_modelperf.measuring.orders import Block
from pytest_modelperf.measuring.peer import Lost
from pytest_modelperf.measuring.yardstick import Yardstick

pytestmark = pytest.mark.skipif(os.name != "posix", reason="who waits is stopped by a signal")
TIMEOUT_SECONDS = 30.0


def test_another_workload_needs_another_version() -> None:
    """Baselines hold ratios to it: who changes the workload must increase the version, and then this line."""
    assert (yardstick.VERSION, yardstick.SIZE, yardstick.PRODUCTS) == (1, 256, 4)


def test_the_name_tells_what_the_arithmetic_depends_on() -> None:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    library = f"{blas['name']}={blas['version']}"
    assert yardstick.name(3) == f"matmul/1 numpy={np.__version__} {library} threads=3"


def test_the_workload_can_be_repeated() -> None:
    call = yardstick.work()
    assert call() is None
    assert call() is None


@pytest.mark.parametrize(("call_seconds", "calls"), [(0.001, 20), (0.0061, 3), (0.5, 1)])
def test_a_block_is_half_a_block_of_a_case(call_seconds: float, calls: int) -> None:
    ruler = FakeYardstick([])
    ruler.call_seconds = call_seconds
    assert ruler.calls == calls


@pytest.mark.parametrize(
    ("call_ms", "calls", "timed"), [(1, 20, 20), (1, 2, 2), (9, 20, 3), (6, 20, 6), (1600, 20, 3), (1600, 1, 1)]
)
def test_on_a_busy_machine_a_block_ends_early(
    call_ms: int, calls: int, timed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 20 ms, looked at after every third call."""
    clock = Clock().install(monkeypatch)
    samples = yardstick._block(lambda: clock.work(call_ms * 1e-3), Block(0, calls, 2))
    assert samples == (call_ms * 1_000_000,) * timed


def test_it_takes_blocks_and_is_stopped_in_between(capfd: pytest.CaptureFixture[str]) -> None:
    before = set(psutil.Process().children())
    ruler = Yardstick(1, TIMEOUT_SECONDS)
    (process,) = set(psutil.Process().children()) - before
    try:
        assert ruler.name == yardstick.name(1)
        assert ruler.call_seconds > 0
        assert process.status() == psutil.STATUS_STOPPED
        # So few are made on a busy machine too.
        for calls in (3, 1):
            ruler.resume()
            samples = ruler.block(Block(0, calls, 2))
            ruler.pause()
            assert process.status() == psutil.STATUS_STOPPED
            assert len(samples.samples_ns) == calls
            assert min(samples.samples_ns) > 0
            assert not samples.error
    finally:
        ruler.close()
    assert not process.is_running()
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(cpu_count() < 2, reason="one CPU has one thread")
def test_it_has_the_threads_that_it_is_given() -> None:
    threads = []
    for number in (1, 2):
        before = set(psutil.Process().children())
        ruler = Yardstick(number, TIMEOUT_SECONDS)
        (process,) = set(psutil.Process().children()) - before
        threads.append(process.num_threads())
        ruler.close()
    assert threads[1] - threads[0] == 1


def test_interrupted_in_a_block_it_ends_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    before = set(psutil.Process().children())
    ruler = Yardstick(1, TIMEOUT_SECONDS)
    (process,) = set(psutil.Process().children()) - before
    ruler.resume()
    ruler._peer.send(Block(0, 100, 2))
    ruler.close()
    assert not process.is_running()
    assert capfd.readouterr() == ("", "")


def test_lost_it_says_so() -> None:
    before = set(psutil.Process().children())
    ruler = Yardstick(1, TIMEOUT_SECONDS)
    (process,) = set(psutil.Process().children()) - before
    process.send_signal(signal.SIGKILL)
    ruler.resume()
    with pytest.raises(Lost, match=r"^the yardstick's process was killed by signal 9 \(SIGKILL\)$"):
        ruler.block(Block(0, 1, 0))
    ruler.close()
