from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from measuring.fakes import Machine

from pytest_modelperf.domain.host import MachineState, TakenTime
from pytest_modelperf.measuring.state import NoObserver, Observer

# Five of them are a window.
BLOCK_SECONDS = 0.0201


def observed(
    machine: Machine, loads: Sequence[tuple[float, float]], *, seconds: float = BLOCK_SECONDS, players: str = "a"
) -> Observer:
    """Each player has a block in every turn; `loads` are what others took and what was stolen in a turn."""
    observer = Observer(lambda: machine)
    observer.begin()
    for turn, (others, steal) in enumerate(loads):
        for player in players:
            machine.work(seconds, others=others, steal=steal)
            observer.after_block(player, turn)
    observer.end()
    return observer


CALM, SHARED, WITHHELD = (0.05, 0.0), (0.6, 0.0), (0.0, 0.3)


def test_on_a_calm_machine_nothing_is_disturbed() -> None:
    observer = observed(Machine(), [CALM] * 20)
    assert observer.disturbed("a") == set()
    assert (observer.state.rounds, observer.state.others, observer.state.steal) == (20, TakenTime(), TakenTime())


@pytest.mark.parametrize("load", [SHARED, WITHHELD])
def test_the_blocks_of_a_window_share_its_fate(load: tuple[float, float]) -> None:
    """Of four windows the second and the fourth are disturbed."""
    observer = observed(Machine(), [CALM] * 5 + [load] * 5 + [CALM] * 5 + [load] * 5)
    assert observer.disturbed("a") == {*range(5, 10), *range(15, 20)}


def test_how_much_others_took_while_they_did() -> None:
    observer = observed(Machine(), [CALM] * 5 + [(0.5, 0.0)] * 5 + [(1.0, 0.0)] * 5)
    assert observer.state.others.share == pytest.approx(0.75)
    assert observer.state.others.rounds == 10
    assert observer.state.steal == TakenTime()


def test_stolen_time_is_no_other_process() -> None:
    observer = observed(Machine(), [CALM] * 5 + [WITHHELD] * 5)
    assert observer.state.steal is not None
    assert observer.state.steal.share == pytest.approx(0.3)
    assert observer.state.steal.rounds == 5
    assert observer.state.others == TakenTime()


def test_a_system_may_not_tell_what_was_stolen() -> None:
    assert observed(Machine(tells_steal=False), [CALM] * 5 + [SHARED] * 5).state.steal is None


def test_a_long_block_is_a_window_of_its_own() -> None:
    observer = observed(Machine(), [CALM, SHARED, CALM], seconds=5.0)
    assert observer.disturbed("a") == {1}


def test_a_short_disturbance_in_a_long_block_does_not_matter() -> None:
    """A second of another process in ten seconds is a tenth of a core."""
    assert observed(Machine(), [(0.1, 0.0)] * 3, seconds=10.0).disturbed("a") == set()


def test_players_are_told_apart() -> None:
    """Windows end between blocks: of a turn one player's may be disturbed and the other's not."""
    machine = Machine()
    observer = Observer(lambda: machine)
    observer.begin()
    for turn in range(4):
        for player, others in (("a", 0.0), ("b", 0.6 if turn == 2 else 0.0)):
            machine.work(0.101, others=others)
            observer.after_block(player, turn)
    observer.end()
    assert (observer.disturbed("a"), observer.disturbed("b")) == (frozenset(), frozenset({2}))
    assert observer.state.others.rounds == 1
    assert observer.state.rounds == 4


def test_what_follows_the_last_whole_window_makes_one_with_it() -> None:
    """Over a few milliseconds the ticks of the counters tell nothing."""
    observer = observed(Machine(), [CALM] * 10 + [SHARED] * 4)
    assert observer.disturbed("a") == set(range(5, 14))
    assert observer.state.rounds == 14


def test_without_a_whole_window_nothing_is_looked_at() -> None:
    observer = observed(Machine(), [SHARED] * 4)
    assert observer.disturbed("a") == set()
    assert observer.state.rounds == 0


def test_what_a_quota_leaves_to_others_they_may_have() -> None:
    """In a cluster the counters are the node's: of 64 CPUs others have 40, and of two that are granted nobody any."""
    machine = Machine(cpus=64, granted=2.0)
    observer = observed(machine, [(40.0, 0.0)] * 5 + [(63.0, 0.0)] * 5)
    assert observer.disturbed("a") == set(), "1.6 of 64 may pass"
    loads = [(2.0, 0.0)] * 5 + [(3.0, 0.0)] * 5
    assert observed(Machine(cpus=4, granted=2.0), loads).disturbed("a") == set(range(5, 10))


def test_what_a_quota_kept_waiting_is_disturbed() -> None:
    machine = Machine()
    observer = Observer(lambda: machine)
    observer.begin()
    for turn in range(15):
        machine.work(BLOCK_SECONDS)
        machine.quota += 0.01 if turn == 7 else 0.0
        observer.after_block("a", turn)
    observer.end()
    assert observer.disturbed("a") == set(range(5, 10))
    assert observer.state.quota_seconds == pytest.approx(0.01)


def test_the_more_counters_are_added_up_the_longer_is_a_window() -> None:
    machine = Machine(sums=4)
    observed(machine, [CALM] * 20)
    assert machine.read_at == pytest.approx([100.0, 100.201, 100.402])


def test_on_a_large_machine_it_takes_more_to_disturb() -> None:
    """64 CPUs: a whole one that others use is a sixty-fourth of the machine."""
    observer = observed(Machine(cpus=64), [(1.0, 0.0)] * 5 + [(4.0, 0.0)] * 5 + [(0.0, 1.0)] * 5)
    assert observer.disturbed("a") == set(range(5, 10))


def test_several_measurements_are_told_together() -> None:
    """Each pair of fresh processes has turns of the same numbers; their players are others."""
    machine = Machine()
    observer = Observer(lambda: machine)
    for player, others in (("a", 0.0), ("b", 0.6)):
        observer.begin()
        for turn in range(10):
            machine.work(BLOCK_SECONDS, others=others)
            observer.after_block(player, turn)
        machine.heat += 2
        machine.quota += 0.25
        machine.preemptions = (machine.preemptions or 0) + 20
        observer.end()
        # What happens between them is nobody's.
        machine.work(3.0, others=1.0)
        machine.heat += 100
    state = observer.state
    assert (state.rounds, state.others.rounds) == (20, 10)
    assert state.others.share == pytest.approx(0.6)
    assert (observer.disturbed("a"), observer.disturbed("b")) == (frozenset(), frozenset(range(10)))
    assert (state.heat, state.governor) == (4, "powersave")
    assert state.quota_seconds == pytest.approx(0.5)
    assert state.preemptions == pytest.approx(40 / 0.402)


def test_threads_that_have_ended_took_their_counts_with_them() -> None:
    machine = Machine()
    observer = Observer(lambda: machine)
    observer.begin()
    machine.work(1.0)
    machine.preemptions = 3
    observer.end()
    assert observer.state.preemptions == 0.0


def test_where_preemptions_are_not_told() -> None:
    assert observed(Machine(preemptions=None), [CALM] * 5).state.preemptions is None


@pytest.mark.parametrize(
    ("clocks", "between"),
    [
        ([], None),
        ([None] * 20, None),
        ([3e9], (3e9, 3e9)),
        ([1e9, *[2.0e9] * 10, *[3.0e9] * 8, 4e9], (2e9, 3e9)),
    ],
)
def test_the_clock_is_read_now_and_then(clocks: list[float | None], between: tuple[float, float] | None) -> None:
    """Every half second; a tenth of the readings is left out at each end."""
    machine = Machine(clocks=iter(clocks))
    assert observed(machine, [CALM] * (25 * max(1, len(clocks)) + 24)).state.clock_hz == between


def test_why_a_gpu_is_slow() -> None:
    told: Callable[[], frozenset[str]] = iter(
        [frozenset(), frozenset({"heat"}), frozenset({"heat", "power cap"})]
    ).__next__
    machine = Machine()
    observer = Observer(lambda: machine, gpu=told)
    observer.begin()
    for turn in range(15):
        machine.work(BLOCK_SECONDS)
        observer.after_block("a", turn)
    observer.end()
    assert observer.state.gpu == {"heat": 10, "power cap": 5}
    assert observer.disturbed("a") == set(), "a model brings this upon itself: who leaves it out would flatter it"


def test_before_anything_was_measured() -> None:
    assert Observer().state == MachineState()


def test_nobody_looks() -> None:
    observer = NoObserver()
    observer.begin()
    observer.after_block("a", 0)
    observer.end()
    assert observer.disturbed("a") == set()
