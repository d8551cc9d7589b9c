"""Advice: what would make a case faster, the rules that find it, and what they look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .host import Host
from .peak import Peak
from .profile import Operator, Profile
from .results import Point, Sweep
from .units import scale_of, significant


@dataclass(frozen=True)
class Advice:
    """What would make a case (`Case.key`) faster, found by the rule of this name.

    `evidence` has the figures that fired the rule, `expected` what following it is worth and what that is known from
    ("at most 2.1 ms of 6.3 ms"), `do` an exact option or line of code where there is one. `gain` is the same as
    `expected`, as a share of the time of a call: advice is ranked by it. A rule leaves its name and the case to who
    asks it.
    """

    evidence: str
    expected: str
    do: str
    gain: float
    rule: str = ""
    case: str = ""


@dataclass(frozen=True)
class Seen:
    """One case that ran, as rules see it: its point, beside those of its whole sweep.

    `runtime` is the name of what executes the model, `precision` the least precise float of its weights ("" unknown);
    `profile` is None where nobody has looked into the case, `peak` where the peak of its device is not known;
    `environment` are the variables of the run.
    """

    point: Point
    sweep: Sweep
    host: Host
    runtime: str = ""
    precision: str = ""
    profile: Profile | None = None
    peak: Peak | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The median time of a call, 0 where it was not timed."""
        return float(self.point.figures.get("latency.p50", 0.0))

    @property
    def operators(self) -> tuple[Operator, ...]:
        """Those of the profile, the longest first; none where there is no profile."""
        return self.profile.operators if self.profile is not None else ()

    def named(self, *names: str) -> tuple[Operator, ...]:
        """The operators of these names."""
        return tuple(one for one in self.operators if one.name in names)

    def share(self, *names: str) -> float:
        """The share of a call's time that operators of these names take together, as the profile tells."""
        return sum(one.share for one in self.named(*names))

    def at_most(self, share: float, evidence: str, do: str) -> Advice:
        """Advice that can save no more than this share of a call's time."""
        return Advice(evidence, f"at most {self.part(share)}", do, share)

    def part(self, share: float) -> str:
        """`"2.1 ms of 6.3 ms"`: a share of the time of a call."""
        unit, size = scale_of(self.seconds, "s")
        part, whole = (significant(seconds / size, 2) for seconds in (share * self.seconds, self.seconds))
        return f"{part} {unit} of {whole} {unit}"


@dataclass(frozen=True)
class Rule:
    """A row of the table of rules.

    `look` gives the advice that there is for a case, none where the rule does not fire. The rest is for readers:
    `fires` says when it does, `needs` what must have been looked at for that, `remedy` what it advises. A rule that
    cannot tell stays silent: false advice is worse than none.
    """

    name: str
    needs: str
    fires: str
    remedy: str
    look: Callable[[Seen], Iterable[Advice]]
