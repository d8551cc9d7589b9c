from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Listener
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from measuring.children import Ask, Told, command

from pytest_modelperf.errors import UsageError
from pytest_modelperf.measuring import cgroups, memory, peer
from pytest_modelperf.measuring.peer import Fate, Lost, Peer
from pytest_modelperf.measuring.processes import wait_ended

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX")

Start = Callable[..., Peer[Told]]
PATIENCE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Every test ends its processes, zombies too, and its threads."""
    processes, threads = children(), set(threading.enumerate())
    yield
    assert children() == processes
    assert set(threading.enumerate()) == threads


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a child; what still runs when the test ends is killed."""
    started: list[Peer[Told]] = []

    def starter(function: str = "serve", **options: Any) -> Peer[Told]:
        child: Peer[Told] = Peer("the child", command(function), Told, **{"timeout_s": PATIENCE_SECONDS, **options})
        started.append(child)
        return child

    yield starter
    for child in started:
        child.kill()


@pytest.fixture
def output() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        yield file


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def said(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode()


def status(pid: int) -> str:
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return "gone"


def becomes(pid: int, *wanted: str) -> bool:
    """Whether the process comes to be in one of these states before patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while status(pid) not in wanted:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def ends(pid: int) -> bool:
    # Who reaps an orphan is the system's affair.
    return becomes(pid, "gone", psutil.STATUS_ZOMBIE)


@contextlib.contextmanager
def started(arguments: list[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process and what it writes; it is killed in the end, with all that it started."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        try:
            yield process, process.stdout
        finally:
            for descendant in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    descendant.kill()
            process.kill()


class TestConversation:
    def test_a_question_is_answered(self, start: Start) -> None:
        child = start()
        assert child.ask(Ask("echo", 3)) == Told("xxx")
        assert child.alive
        child.close()
        assert not child.alive

    def test_long_messages(self, start: Start) -> None:
        assert start().ask(Ask("echo", 5_000_000)) == Told("x" * 5_000_000)

    def test_answers_wait_until_they_are_received(self, start: Start) -> None:
        child = start()
        child.send(Ask("echo", 1))
        child.send(Ask("echo", 2))
        assert [child.receive(), child.receive()] == [Told("x"), Told("xx")]

    def test_folder_environment_and_output(self, start: Start, tmp_path: Path, output: IO[bytes]) -> None:
        child = start(env={**os.environ, "MODELPERF_TEST": "here"}, cwd=str(tmp_path), output=output)
        assert child.ask(Ask("where")) == Told(f"{tmp_path} here")
        child.close(Ask("bye"))
        assert said(output) == "goodbye\n"

    @pytest.mark.skipif(sys.platform != "linux", reason="only there it looks who its parent is")
    def test_one_that_a_script_starts_says_so(self, output: IO[bytes]) -> None:
        script = ["sh", "-c", '"$@"; exit $?', "sh", *command("serve")]
        with pytest.raises(Lost, match="ended with exit code 1"):
            Peer("the child", script, Told, timeout_s=PATIENCE_SECONDS, output=output)
        assert "where a script starts it, write `exec` before the command" in said(output)

    @pytest.mark.parametrize("given", [False, True])
    def test_coverage_does_not_start_in_it(self, start: Start, given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it times must not run under a tracer."""
        monkeypatch.setenv("COVERAGE_PROCESS_START", "/not/there")
        monkeypatch.setenv("MODELPERF_TEST", "kept")
        child = start(env=os.environ if given else None)
        assert child.ask(Ask("variables")) == Told("MODELPERF_TEST")

    def test_standard_input_is_empty(self, start: Start) -> None:
        """The pipe that the child hangs on is not for its code to read."""
        assert start().ask(Ask("standard input")) == Told("''")

    def test_it_leads_a_group_of_its_own(self, start: Start) -> None:
        """A Ctrl-C on the terminal is the parent's to handle."""
        child = start()
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)

    def test_many_in_a_row_leave_no_file_open(self, start: Start) -> None:
        start().close()
        before = psutil.Process().num_fds()
        for _ in range(3):
            start().close()
        assert psutil.Process().num_fds() == before


class TestStart:
    def test_a_stranger_with_a_wrong_key_is_turned_away(self, start: Start, output: IO[bytes]) -> None:
        child = start("stranger", output=output)
        assert child.ask(Ask("echo", 1)) == Told("x")
        assert said(output) == "turned away\n"

    @pytest.mark.parametrize("function", ["serve", "dead"])
    def test_its_socket_is_nobody_elses_and_does_not_stay(
        self, start: Start, function: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        modes = []
        connected = Peer._connected

        def looked_at(child: Peer[Told]) -> Any:
            modes.append(os.stat(os.path.dirname(child._listener.address)).st_mode & 0o777)
            return connected(child)

        monkeypatch.setattr(Peer, "_connected", looked_at)
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            monkeypatch.setattr(tempfile, "tempdir", folder)
            with contextlib.suppress(Lost):
                start(function)
            assert modes == [0o700]
            assert os.listdir(folder) == []

    def test_a_long_path_of_the_temporary_folder(
        self, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Longer than the address of a socket may be."""
        folder = tmp_path / ("long" * 40)
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        assert start().ask(Ask("echo", 1)) == Told("x")

    def test_a_temporary_folder_that_is_gone(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/not/there")
        with pytest.raises(UsageError, match=r"no socket can be made in /not/there .* TMPDIR"):
            start()

    @pytest.mark.parametrize("function", ["endless", "silent"])
    def test_who_does_not_connect_in_time_is_killed(self, start: Start, function: str) -> None:
        with pytest.raises(Lost) as caught:
            start(function, timeout_s=0.5)
        assert str(caught.value) == "the child did not start within 0.5 s"

    def test_who_dies_before_it_connects_is_told_by_its_exit_code(self, start: Start) -> None:
        with pytest.raises(Lost) as caught:
            start("dead")
        assert str(caught.value) == "the child ended with exit code 7"
        assert caught.value.fate == Fate("ended with exit code 7")

    def test_a_program_that_is_not_there(self) -> None:
        with pytest.raises(FileNotFoundError):
            Peer("the child", ["/not/there"], Told, timeout_s=1.0)

    def test_a_connection_that_this_process_cannot_take(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_more(listener: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(Listener, "accept", no_more)
        with pytest.raises(Lost) as caught:
            start("endless")
        words = "could not be spoken to (Too many open files); allow this user more open files (ulimit -n)"
        assert str(caught.value) == f"the child {words}"

    def test_an_interruption_leaves_no_process(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Peer, "_accepted", interrupt)
        with pytest.raises(KeyboardInterrupt):
            start("endless")

    def test_started_by_hand_it_says_so(self) -> None:
        by_hand = subprocess.run(command("serve"), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert by_hand.returncode == 1
        assert by_hand.stderr == "this process is started by pytest-modelperf, not by hand\n"

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
    def test_who_is_an_orphan_already_does_not_connect(self) -> None:
        line = b'{"address": "/not/there", "key": "00", "parent": -1}\n'
        orphan = subprocess.run(command("serve"), input=line, capture_output=True)
        assert (orphan.returncode, orphan.stderr) == (1, b"")


class TestFate:
    @pytest.mark.parametrize(
        ("number", "what"),
        [
            (signal.SIGSEGV, "was killed by signal 11 (SIGSEGV)"),
            (signal.SIGKILL, "was killed by signal 9 (SIGKILL)"),
            (40, "was killed by signal 40"),
        ],
    )
    def test_a_crash(self, start: Start, number: int, what: str) -> None:
        child = start()
        with pytest.raises(Lost) as caught:
            child.ask(Ask("crash", number))
        assert caught.value.fate == Fate(what)
        assert str(caught.value) == f"the child {what}"

    @pytest.mark.parametrize("code", [0, 3])
    def test_an_exit(self, start: Start, code: int, output: IO[bytes]) -> None:
        child = start(output=output)
        with pytest.raises(Lost, match=f"^the child ended with exit code {code}$"):
            child.ask(Ask("exit", code))

    def test_a_hang_is_killed(self, start: Start, output: IO[bytes]) -> None:
        """Before that it may be asked where it is."""
        seen: list[tuple[bool, Peer[Told]]] = []
        child = start(before_kill=lambda hung: seen.append((hung.alive, hung)), output=output)
        with pytest.raises(Lost) as caught:
            child.ask(Ask("hang"), timeout_s=0.3)
        assert seen == [(True, child)]
        assert str(caught.value) == "the child gave no answer for 0.3 s and was killed"
        assert not child.alive

    def test_a_remedy_is_named_where_the_time_limit_is_the_peers_own(self, start: Start) -> None:
        child = start(remedy="give it longer")
        child.timeout_s = 0.3
        with pytest.raises(Lost) as caught:
            child.ask(Ask("hang"))
        assert str(caught.value) == "the child gave no answer for 0.3 s and was killed; give it longer"
        told = caught.value.told("while timing")
        assert told == "the child gave no answer for 0.3 s and was killed while timing; give it longer"
        with pytest.raises(Lost, match=r"for 0\.3 s and was killed$"):
            start(remedy="give it longer").ask(Ask("hang"), timeout_s=0.3)
        with pytest.raises(Lost, match=r"did not start within 0\.5 s; give it longer$"):
            start("endless", remedy="give it longer", timeout_s=0.5)

    def test_the_time_limit_is_the_peers_own_where_none_is_given(self, start: Start) -> None:
        child = start()
        child.timeout_s = 0.3
        with pytest.raises(Lost, match=r"gave no answer for 0\.3 s"):
            child.ask(Ask("hang"))

    def test_a_signal_reaches_the_child(self, start: Start) -> None:
        child = start()
        child.signal(signal.SIGTERM)
        with pytest.raises(Lost, match="was killed by signal 15"):
            child.receive()
        child.signal(signal.SIGTERM)

    def test_nonsense(self, start: Start) -> None:
        child = start()
        with pytest.raises(Lost, match=r"^the child answered nonsense .* and was killed$"):
            child.ask(Ask("babble"))
        assert not child.alive

    def test_a_message_that_it_must_not_send(self, start: Start) -> None:
        child = start()
        with pytest.raises(Lost, match=r"answered nonsense .*Invalid value 'Ask'.* and was killed"):
            child.ask(Ask("repeat"))
        assert not child.alive

    def test_a_dead_line(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(peer, "ENDING_SECONDS", 0.2)
        child = start()
        with pytest.raises(Lost, match="closed its connection without ending and was killed"):
            child.ask(Ask("mute"))

    def test_what_is_gone_stays_gone(self, start: Start, output: IO[bytes]) -> None:
        child = start(output=output)
        child.send(Ask("exit", 3))
        assert ends(child.pid)
        for _ in range(2):
            with pytest.raises(Lost, match="ended with exit code 3"):
                child.ask(Ask("echo"))
        child.pause()
        child.resume()
        child.close()


class TestOutOfMemory:
    def test_a_kill_that_the_system_counts_is_for_lack_of_memory(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kills = iter([4, 5])
        monkeypatch.setattr(memory, "kills", lambda: next(kills))
        child = start()
        with pytest.raises(Lost) as caught:
            child.ask(Ask("crash", signal.SIGKILL))
        assert caught.value.fate == Fate(
            "was killed by the system for lack of memory (SIGKILL by the out-of-memory killer)", out_of_memory=True
        )

    def test_another_ones_end_is_not_for_lack_of_memory(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        kills = iter([4, 5])
        monkeypatch.setattr(memory, "kills", lambda: next(kills, 5))
        child = start()
        with pytest.raises(Lost, match="SIGSEGV") as caught:
            child.ask(Ask("crash", signal.SIGSEGV))
        assert not caught.value.fate.out_of_memory

    def test_a_real_one(self, start: Start, small_group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # As if we were in the child's group ourselves: outside of this test it inherits ours.
        (tmp_path / "cgroup").write_text(f"4:memory:/{small_group.name}\n")
        monkeypatch.setattr(cgroups, "_OWN", tmp_path / "cgroup")
        child = start()
        (small_group / "cgroup.procs").write_text(str(child.pid))
        with pytest.raises(Lost) as caught:
            child.ask(Ask("allocate", 256))
        assert caught.value.fate.out_of_memory, str(caught.value)

    @pytest.fixture
    def small_group(self) -> Iterator[Path]:
        """A control group with 64 MiB, where we may make one (version 1, root)."""
        group = Path("/sys/fs/cgroup/memory", f"modelperf-test-{os.getpid()}")
        try:
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text(str(64 * 2**20))
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")
        with contextlib.suppress(OSError):
            (group / "memory.memsw.limit_in_bytes").write_text(str(64 * 2**20))
        yield group
        group.rmdir()


class TestPause:
    def test_who_is_paused_is_stopped(self, start: Start) -> None:
        child = start()
        for _ in range(2):
            child.pause()
            assert child.stopped
            assert status(child.pid) == psutil.STATUS_STOPPED
            child.resume()
            assert not child.stopped
            assert child.ask(Ask("echo", 1)) == Told("x")

    def test_what_it_started_is_stopped_with_it(self, start: Start) -> None:
        child = start()
        grandchild = int(child.ask(Ask("spawn")).text)
        child.pause()
        assert becomes(grandchild, psutil.STATUS_STOPPED)
        child.resume()
        assert becomes(grandchild, psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING)

    def test_what_it_started_in_another_session_is_killed_with_it(self, start: Start) -> None:
        child = start()
        grandchild = int(child.ask(Ask("spawn apart")).text)
        child.kill()
        assert ends(grandchild)

    def test_who_cannot_be_stopped_is_killed(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        child = start()
        monkeypatch.setattr(peer, "wait_stopped", lambda process, timeout_s: False)
        with pytest.raises(Lost) as caught:
            child.pause()
        assert str(caught.value) == f"the child could not be stopped within {child.timeout_s:g} s and was killed"
        assert not child.alive

    def test_pausing_twice_is_pausing_once(self, start: Start) -> None:
        child = start()
        child.pause()
        child.pause()
        child.resume()
        assert child.ask(Ask("echo", 1)) == Told("x")

    def test_a_busy_process_is_stopped_too(self, start: Start) -> None:
        child = start()
        child.ask(Ask("spin"))
        child.pause()
        spent = psutil.Process(child.pid).cpu_times().user
        time.sleep(0.1)
        assert psutil.Process(child.pid).cpu_times().user == spent

    def test_the_dead_are_not_waited_for(self, start: Start, output: IO[bytes]) -> None:
        child = start(output=output)
        child.send(Ask("exit"))
        assert ends(child.pid)
        child.pause()
        with pytest.raises(Lost, match="exit code 0"):
            child.receive()

    def test_a_paused_process_can_be_killed(self, start: Start) -> None:
        child = start()
        child.pause()
        child.kill()
        assert not child.alive

    def test_where_there_are_no_signals_it_goes_on_waiting(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(peer, "_HAS_STOP", False)
        child = start()
        child.pause()
        assert not child.stopped
        assert child.ask(Ask("echo", 1)) == Told("x")


class TestEnd:
    @pytest.mark.parametrize("paused", [False, True])
    def test_a_farewell_is_heard(self, start: Start, output: IO[bytes], paused: bool) -> None:
        child = start(output=output)
        if paused:
            child.pause()
        child.close(Ask("bye", 0))
        assert said(output) == "goodbye\n"
        assert not child.alive

    def test_without_one_the_end_of_the_line_is_the_farewell(self, start: Start, output: IO[bytes]) -> None:
        child = start(output=output)
        child.close()
        assert said(output) == ""
        assert child._process.returncode == 0

    def test_after_a_farewell_the_line_stays_until_it_has_ended(self, start: Start, output: IO[bytes]) -> None:
        """A teardown may take as long as it is given, and tell of itself."""
        for farewell in (Ask("bye slowly"), Ask("bye at length", 5_000_000)):
            child = start("hasty", output=output)
            child.close(farewell)
            assert child._process.returncode == 0
        assert said(output) == "goodbye\n" * 2

    def test_who_does_not_hear_it_is_killed(self, start: Start) -> None:
        child = start()
        child.send(Ask("hang"))
        child.close(Ask("bye"), timeout_s=0.2)
        assert child._process.returncode == -signal.SIGKILL

    def test_an_interruption_does_not_leave_it_running(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        child = start()
        child.send(Ask("hang"))

        def interrupted(*arguments: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(peer, "wait_ended", interrupted)
        with pytest.raises(KeyboardInterrupt):
            child.close()
        assert not child.alive

    def test_closing_and_killing_again_is_harmless(self, start: Start) -> None:
        child = start()
        for _ in range(2):
            child.close(Ask("bye"))
        child.kill()

    def test_once_reaped_it_gets_no_signal(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its id, and its group's, may be another's by then."""
        child = start()
        child.kill()
        for name in ("kill", "killpg"):
            monkeypatch.setattr(os, name, lambda *arguments: pytest.fail(f"signal {arguments}"))
        child.signal(signal.SIGTERM)
        child.pause()
        child.resume()
        child.close(Ask("bye"))
        child.kill()

    @pytest.mark.parametrize("way", ["close", "kill", "lost", "gone"])
    def test_what_it_started_ends_with_it(self, start: Start, way: str) -> None:
        child = start()
        grandchild = int(child.ask(Ask("spawn")).text)
        assert status(grandchild) != "gone"
        if way == "gone":
            child.send(Ask("exit"))
            assert wait_ended(child._process, PATIENCE_SECONDS)
            # Nobody has reaped it, so the group is still its own.
            assert not child.alive
            assert status(child.pid) == psutil.STATUS_ZOMBIE
            way = "kill"
        if way == "lost":
            with pytest.raises(Lost):
                child.ask(Ask("crash", signal.SIGABRT))
        else:
            getattr(child, way)()
        assert ends(grandchild)


class TestParent:
    """A peer never outlives who started it, however that one ends."""

    @pytest.mark.parametrize(
        ("state", "child"),
        [
            ("waiting", "serve"),
            ("spinning", "serve"),
            ("stopped", "serve"),
            ("waiting", "pipe_only"),
            ("spinning", "pipe_only"),
        ],
    )
    def test_a_killed_parent_takes_it_along(self, state: str, child: str) -> None:
        with started(command("parent", state, child)) as (parent, output):
            pid = int(output.readline())
            assert becomes(pid, *STATES[state])
            parent.kill()
            assert ends(pid)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has foster parents")
    def test_a_foster_parent_does_not_keep_it_stopped(self) -> None:
        """Some shells and containers' first processes are such: the end of a stopped process is the kernel's to see."""
        with started(command("foster", "stopped", "serve")) as (_, output):
            parent, pid = int(output.readline()), int(output.readline())
            assert becomes(pid, psutil.STATUS_STOPPED)
            os.kill(parent, signal.SIGKILL)
            assert ends(pid)


STATES = {
    "waiting": (psutil.STATUS_SLEEPING,),
    "spinning": (psutil.STATUS_RUNNING, psutil.STATUS_SLEEPING),
    "stopped": (psutil.STATUS_STOPPED,),
}
