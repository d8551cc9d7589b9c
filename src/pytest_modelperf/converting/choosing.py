"""Choosing: the settings that a variant runs with, searched once and kept.

A variant is made several times, by a second pair of processes and in later runs: each time with the same settings. And
variants of one model in one runtime mostly want the same: what was found for the first is tried with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..measuring.bench import LocalBench
from .cache import Cache
from .content import hashed, versions
from .settings import Knob, Settings
from .tuning import challenged, tune


@dataclass(frozen=True)
class Shelf:
    """Where settings are kept: those of one variant, and those that were found for its model in the same runtime."""

    cache: Cache
    own: str
    shared: str

    @classmethod
    def of(cls, cache: Cache, variant: str, source: str, runtime: str) -> Shelf:
        """For the variant of this key, of the model with this hash."""
        known = [f"{name} {version}" for name, version in versions().items()]
        return cls(cache, hashed(["settings", variant, runtime]), hashed(["settings of all", source, runtime, *known]))


def settings(
    bench: LocalBench,
    knobs: Sequence[Knob],
    shelf: Shelf,
    opens: Callable[[Settings], LocalBench],
    has_time: Callable[[], bool],
) -> Settings:
    """Those for a variant that is open with its runtime's defaults.

    Those that were found for it before; else those of another variant, if they are faster here, too; else what a search
    finds.
    """
    kept = shelf.cache.find_settings(shelf.own)
    if kept is not None:
        return kept
    others = shelf.cache.find_settings(shelf.shared)
    if others is None:
        found = tune(bench, knobs, opens, has_time)
        shelf.cache.keep_settings(shelf.shared, found)
    else:
        known = {knob.option for knob in knobs}
        found = _if_faster(bench, {name: value for name, value in others.items() if name in known}, opens, has_time)
    shelf.cache.keep_settings(shelf.own, found)
    return found


def _if_faster(
    bench: LocalBench, others: Settings, opens: Callable[[Settings], LocalBench], has_time: Callable[[], bool]
) -> Settings:
    winner = challenged(bench, others, opens, has_time) if others else None
    if winner is None:
        return {}
    winner.release()
    return others
