"""An Outcome: whether a test fails after its body has passed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "failed",
    "budget",
    "wrong",
    "slower",
    "hungrier",
    "larger",
    "slower to start",
    "slower at times",
    "uncertain",
    "counters",
    "no baseline",
    "not measured",
]


@dataclass(frozen=True)
class Reason:
    """One kind of reason to fail, and the `Case.key`s it holds for; none where it holds for the test as a whole.

    `"failed"`: the case raised or did not fit; `"budget"`: it breaks a budget; `"slower"`: than the baseline, and
    nobody accepted it; `"wrong"`, `"hungrier"`, `"larger"`, `"slower to start"`, `"slower at times"`: in the same way;
    `"uncertain"`: with `modelperf_uncertain = fail`; `"counters"`: a counter changed, with `modelperf_counters = fail`;
    `"no baseline"`: with `--modelperf-require-baseline`; `"not measured"`: no figures.
    """

    kind: Kind
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """All reasons to fail, the gravest first, and why a slowdown is not among them ("" where it did not matter)."""

    reasons: tuple[Reason, ...]
    accepted: str = ""

    @property
    def fails(self) -> bool:
        """Whether the test fails."""
        return bool(self.reasons)
