"""The bureau: what the examinations of a process share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ...baselines.store import Store
from ...domain.advice import Rule
from ...domain.host import Host
from ...domain.report import TestResult
from ...judging.experience import Experiences
from ...judging.scale import Experience
from ...measuring.soak import Soaker
from ...reporting.progress import Progress
from ..settings import Settings
from ..trees.tree import Tree
from .meters import Meters
from .peaks import Peaks
from .yardsticks import Yardsticks

if TYPE_CHECKING:
    from .examination import Examination

# What a test's isolation is called where it runs in a runner, as a condition of the run.
ISOLATED = "runner"


@dataclass
class Bureau:
    """What the examinations of a process share.

    `level` is the chance of a false alarm that one case may have, `planned` how many cases each test has by its marks;
    they are set when all tests are collected. `tree` is the other side of all comparisons (None: stored baselines).
    `stopped` collects what was measured of tests that were interrupted, `notes` what the summary is to say of the run
    as a whole. `rules` gives those of advice. `processes` measure with this one, on this machine: the other ranks'
    coordinators. `seed` settles the order of turns in this run.
    """

    settings: Settings
    store: Store
    host: Host
    yardsticks: Yardsticks
    progress: Progress
    isolation: str
    level: float = 0.05
    planned: Mapping[str, int] = field(default_factory=dict)
    tree: Tree | None = None
    experiences: Experiences | None = None
    stopped: list[TestResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    processes: tuple[int, ...] = ()
    peaks: Peaks = field(default_factory=Peaks)
    rules: Callable[[], Sequence[Rule]] = lambda: ()
    meters: Meters = field(default_factory=Meters)
    seed: int = field(default_factory=lambda: secrets.randbits(32))

    @cached_property
    def soaker(self) -> Soaker | None:
        """What reads meters while cases are called in a loop; None where the user wants no soak."""
        return Soaker(self.settings.soak, self.meters.of) if self.settings.soak else None

    def level_of(self, nodeid: str, cases: int) -> float:
        """The chance that each of the `cases` of a test may have: they share what those had that were collected."""
        return self.level * min(1.0, self.planned.get(nodeid, cases) / max(1, cases))

    def experience(self, nodeid: str) -> Experience:
        """What the baselines of the machine's other tests tell of how far its runs spread."""
        if self.experiences is None:
            self.experiences = Experiences(self.store.all())
        return self.experiences.of(nodeid)

    def interrupted(self, examination: Examination) -> None:
        """Keep what has been measured of a test that is stopped in the middle."""
        result = examination.partial()
        if result is not None:
            self.stopped.append(result)
