"""Choosing: the settings that a variant runs with, searched once and kept.

A variant is made several times, by a second pair of processes and in later runs: each time with the same settings, once
a search had its time. And variants of one model in one runtime mostly want the same: what was found for the first is
tried with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from ..domain.spec import RuntimeChoice
from ..measuring.bench import LocalBench
from .cache import Cache
from .content import hashed, versions
from .settings import Knob, Settings
from .tuning import SECONDS, challenged, tune


@dataclass(frozen=True)
class Shelf:
    """Where settings are kept: those of one variant, and those that were found for its model in the same runtime."""

    cache: Cache
    own: str
    shared: str

    @classmethod
    def of(
        cls, cache: Cache, variant: str, source: str, given: RuntimeChoice, asked: RuntimeChoice, knobs: Sequence[Knob]
    ) -> Shelf:
        """For the variant of this key, of the model with this hash.

        With other options and with other values to try, as other CPUs have them, others are kept: those of the variant
        are `given`, and the test has `asked` for those of all its variants in this runtime.
        """
        known = [f"{name} {version}" for name, version in versions().items()]
        tried = [repr(knob) for knob in knobs]
        own = ["settings", variant, str(given), *tried]
        return cls(cache, hashed(own), hashed(["settings of all", source, str(asked), *tried, *known]))


@dataclass(frozen=True)
class Choice:
    """The settings of a variant, none for its runtime's defaults; and why none was tried, "" where some were."""

    settings: Settings
    untried: str = ""


NO_TIME = Choice({}, "there was no time left to try one to the end")
NO_MEMORY = Choice({}, "there is no memory for it twice")


def choose(
    bench: LocalBench,
    knobs: Sequence[Knob],
    shelf: Shelf,
    opens: Callable[[Settings], LocalBench],
    latest: float,
    *,
    fits: bool,
) -> Choice:
    """Those for a variant that is open with its runtime's defaults, and that `fits` twice into memory.

    Those that were found for it before; else those of another variant, if they are faster here, too; else what a search
    finds until that time of `perf_counter` at the latest. What it had no time for another search may find: it is not
    kept.
    """
    kept = shelf.cache.find_settings(shelf.own)
    if kept is not None:
        return Choice(kept)
    # Both are in memory while they take turns.
    if not fits:
        return NO_MEMORY
    until = min(latest, perf_counter() + SECONDS)

    def has_time() -> bool:
        return perf_counter() < until

    others = shelf.cache.find_settings(shelf.shared)
    if others is not None:
        return _if_faster(bench, others, shelf, opens, has_time)
    found = tune(bench, knobs, opens, has_time)
    if found.ended or (found.tried and until < latest):
        shelf.cache.keep_settings(shelf.shared, found.settings)
        shelf.cache.keep_settings(shelf.own, found.settings)
    return Choice(found.settings) if found.ended or found.tried else NO_TIME


def _if_faster(
    bench: LocalBench,
    others: Settings,
    shelf: Shelf,
    opens: Callable[[Settings], LocalBench],
    has_time: Callable[[], bool],
) -> Choice:
    winner = challenged(bench, others, opens, has_time) if others else None
    if winner is not None:
        winner.release()
    elif others and not has_time():
        return NO_TIME
    found = others if winner is not None else {}
    shelf.cache.keep_settings(shelf.own, found)
    return Choice(found)
