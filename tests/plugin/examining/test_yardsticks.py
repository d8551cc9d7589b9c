from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_modelperf.errors import UsageError
from pytest_modelperf.measuring.host import cpu_count
from pytest_modelperf.measuring.orders import Block
from pytest_modelperf.measuring.peer import Fate, Lost
from pytest_modelperf.measuring.yardstick import Yardstick
from pytest_modelperf.plugin.examining import yardsticks as module
from pytest_modelperf.plugin.examining.yardsticks import Yardsticks

pytestmark = pytest.mark.skipif(os.name != "posix", reason="who waits is stopped by a signal")


@pytest.fixture(scope="module")
def yardsticks() -> Iterator[Yardsticks]:
    started = Yardsticks(timeout_s=60.0)
    yield started
    started.close()


def kinds(panel: tuple[Yardstick, ...]) -> list[str]:
    return [yardstick.name.partition("/")[0] for yardstick in panel]


def test_devices_share_what_one_thread_does(yardsticks: Yardsticks) -> None:
    one, two = yardsticks.of("cpu:threads=1"), yardsticks.of("cpu:threads=2")
    assert kinds(one) == ["calls", "single", "memory"]
    assert kinds(two) == ["calls", "single", "memory", "threads"]
    assert two[:3] == one
    assert two[3].name.endswith(" threads=2")


def test_models_of_torch_have_a_yardstick_of_torch_where_threads_wait_for_each_other(yardsticks: Yardsticks) -> None:
    one, two = (yardsticks.of(f"cpu:threads={threads}", torch=True) for threads in (1, 2))
    assert kinds(one) == ["calls", "single", "memory"]
    assert kinds(two) == ["calls", "single", "memory", "threads", "layers"]
    assert two[:4] == yardsticks.of("cpu:threads=2")


def test_a_cpu_without_a_number_has_all_threads(yardsticks: Yardsticks) -> None:
    assert yardsticks.of("cpu") == yardsticks.of(f"cpu:threads={cpu_count()}")


@pytest.mark.skipif(cpu_count() < 2, reason="one thread is all that there are")
def test_it_has_as_many_as_were_seen_computing_unless_the_device_says_how_many(yardsticks: Yardsticks) -> None:
    one, two = (yardsticks.of(f"cpu:threads={threads}") for threads in (1, 2))
    assert yardsticks.of("cpu", threads=1) == one
    assert yardsticks.of("cpu:threads=2", threads=1) == two
    assert yardsticks.of("cpu", threads=10_000) == yardsticks.of("cpu"), "no more than there are CPUs"


def test_one_that_was_lost_is_started_again(yardsticks: Yardsticks) -> None:
    (*single, _), process = yardsticks.of("cpu:threads=2"), yardsticks._processes[2]
    assert process is not None
    process._peer.kill()
    *same, threads = yardsticks.of("cpu:threads=2")
    assert same == single
    threads.resume()
    assert len(threads.block(Block(threads.index, 1, 0)).samples_ns) == 1
    threads.pause()


def test_an_accelerator_that_nothing_has_workloads_for_has_none(
    yardsticks: Yardsticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert yardsticks.of("npu:0") == ()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert yardsticks.of("cuda:99") == ()


@pytest.mark.parametrize("how", ["it dies at its start", "it has no room", "it has no socket"])
def test_one_that_cannot_be_is_left_out_with_a_note_and_tried_again(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        yardsticks, reason = (), "the device has no room for another process"

        def close(self) -> None:
            closed.append(True)

    def start(*arguments: str, **options: float) -> Full:
        started.append(arguments[-1])
        if how == "it dies at its start":
            raise Lost("the yardstick's process", Fate("ended with exit code 1"))
        if how == "it has no socket":
            raise UsageError("the temporary folder takes no more files")
        return Full()

    started: list[str] = []
    closed: list[bool] = []
    monkeypatch.setattr(module, "YardstickProcess", start)
    rulers = Yardsticks(60.0)
    assert rulers.of("cuda:0") == rulers.of("cuda:0") == ()
    assert started == ["cuda:0", "cuda:0"]
    (note,) = rulers.notes()
    assert note.startswith("no yardstick on cuda:0: the ")
    assert rulers.notes() == ()
    assert rulers.of("cpu:threads=1") == ()
    assert rulers.notes()[0].startswith("no yardstick on 1 threads: ")
    assert bool(closed) == (how == "it has no room")
    rulers.close()


def test_an_accelerator_is_asked_once(yardsticks: Yardsticks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has no workloads for it has ended."""
    assert yardsticks.of("cuda:98") == ()
    monkeypatch.setattr(module, "YardstickProcess", lambda *arguments, **options: pytest.fail("asked again"))
    assert yardsticks.of("cuda:98") == ()
