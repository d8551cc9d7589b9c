"""Reports: everything a run found, as data. Reporters read it and compute nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .advice import Advice
from .baseline import Run
from .host import Host
from .profile import Profile
from .results import Sweep
from .variant import Suggestions
from .verdict import Breach, Verdict


@dataclass(frozen=True)
class TestResult:
    """What one marked test gave. It travels as one JSON string on the report of the test's call phase.

    `verdicts` are by `Case.key`; `run` is what a baseline update would accept (None when nothing was measured);
    `accepted` says why a slowdown did not fail the test ("" where it did not matter); `failure` is the text of the
    failure the plugin raised ("" for none); `unmeasured` why the test, as a whole, gave no figures; `model` describes
    the model and its runtime; `best` and `knee` are `Case.key`s ("" for none); `seconds` the time that the whole
    sweep took. `profiles` tell where the time of calls goes, by `Case.key`, `profiles_then` where it went in the commit
    that was compared with; there are none of cases that nobody has looked into. `advice` is what may make cases faster,
    the largest gain first; `advised`: the user has asked for all that there is. `suggestions` are what converters came
    to (None: nobody asked), `convertible` whether there are any that take such a model.
    """

    __test__ = False

    nodeid: str
    sweep: Sweep
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    breaches: tuple[Breach, ...] = ()
    run: Run | None = None
    baseline: str = ""
    accepted: str = ""
    failure: str = ""
    unmeasured: str = ""
    model: str = ""
    best: str = ""
    knee: str = ""
    tolerance: float = 0.0
    seconds: float = 0.0
    passed: bool = True
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    profiles_then: Mapping[str, Profile] = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()
    advised: bool = False
    suggestions: Suggestions | None = None
    convertible: bool = False

    @property
    def uncompared(self) -> str:
        """The commit that no case could be compared with, though not all are new there; "" where that is not so."""
        keys = [point.case.key for point in self.sweep if point.ok]
        ran = [self.verdicts[key] for key in keys if key in self.verdicts]
        words = {verdict.word for verdict in ran}
        return ran[0].against if "not measured" in words and words <= {"not measured", "new"} else ""


@dataclass(frozen=True)
class Report:
    """A whole run: the results in the order of the tests, the machine, and what happened to files.

    `machine` is the name of the baseline folder; `written` are the files that were written, each with what it is;
    `notes` are lines for the reader (baselines left as they are and why, an interrupted run). `skipped` are marked
    tests that were, by node id, each with the reason; `waited` is for how many seconds processes of the run have waited
    until others had measured on a device, by device.
    """

    results: tuple[TestResult, ...]
    host: Host
    machine: str
    created: str = ""
    commit: str = ""
    interrupted: bool = False
    written: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    waited: Mapping[str, float] = field(default_factory=dict)
