"""The line about the machine: what others did to it while a test was measured, where that matters."""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.host import MachineState
from ..domain.units import significant
from .words import listed, plain, plural

_GHZ = 1e9


def machine_text(state: MachineState) -> str:
    """`"other processes used 61% of a core during 4 of 12 rounds; the CPU ran at 1.9–3.1 GHz"`; "" for nothing."""
    return "; ".join([*_taken(state), *_clock(state), *_held_back(state)])


def _taken(state: MachineState) -> Iterator[str]:
    if state.matters(state.others.rounds):
        yield f"other processes used {_share(state.others.share)} {_during(state, state.others.rounds)}"
    if state.steal is not None and state.matters(state.steal.rounds):
        yield f"the hypervisor withheld {_share(state.steal.share)} {_during(state, state.steal.rounds)} (steal)"


def _clock(state: MachineState) -> Iterator[str]:
    if state.clock_hz is not None and state.clock_varied:
        low, high = (significant(clock / _GHZ, 2) for clock in state.clock_hz)
        yield f"the CPU ran at {low}–{high} GHz"
    if state.saves_power:
        yield f"its governor is {plain(state.governor)}: set it to performance"


def _held_back(state: MachineState) -> Iterator[str]:
    if state.heat:
        yield f"the CPU slowed down for heat {plural(state.heat, 'time')}"
    if state.waited_for_quota:
        waited = significant(state.quota_seconds, 2)
        yield f"the container's quota of CPU time kept it waiting for {waited} s: raise it, or use fewer threads"
    reasons = {reason: rounds for reason, rounds in state.gpu.items() if state.matters(rounds)}
    if reasons:
        most = _during(state, max(reasons.values()))
        yield f"the GPU ran slower than it can ({listed(list(map(plain, reasons)))}) {most}"


def _share(share: float) -> str:
    """Of one core; more than one are counted."""
    return f"{share:.0%} of a core" if share < 0.995 else f"{significant(share, 2)} cores"


def _during(state: MachineState, rounds: int) -> str:
    return f"during {rounds} of {plural(state.rounds, 'round')}"
