"""Who is to blame: what differs between two profiles of a case, and how much of its slowdown that explains.

How often an operator is called, and in what form, repeats exactly; how long it took does not. So what is called
otherwise is told by its time, and what is called alike only where it stands out among the others.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..domain.blame import MOST_KEPT, Blame, Cause, Use, Uses
from ..domain.profile import Place, Profile
from ..domain.units import count_change, format_quantity, significant
from .wording import OF_THE_ANSWERS

# What is called alike counts as slower beyond this factor, over what all such operators have become together: shares
# of the same operator in two profiles of an unchanged model differ by less, but for those that take next to nothing.
STANDS_OUT = 1.25
# Operators below this share of a call tell nothing of what all have become.
TELLING_SHARE = 0.005
# Fewer operators than this do not tell what is common to them.
FEWEST_ALIKE = 3
# A cause is named that explains this much of the slowdown.
LEAST_PART = 0.05
# What is called otherwise goes before what is called alike and took up to so much longer: the former is certain.
CERTAIN = 3.0
# A rest of this much of the slowdown is said to be unexplained.
UNEXPLAINED = 0.4
MOST_CAUSES = 4
# Operators of one cause that are named beside the first.
MOST_WITH = 2

# Counters that are named before the operators, and the part of the slowdown, on the log scale, that each has grown by.
MOST_COUNTED = 2
LEAST_GROWTH = 0.5
# Counters, those first that say most of why there is more to do: others mostly follow from them.
_TELLING = (
    *("fallback_nodes", "graph_breaks", "host_device_copies", "synchronisations", "reduced_precision_nodes"),
    *("fused_operators", "parameters", "flops", "kernels", "nodes", "operator_calls", "compiled_regions"),
    *("host_device_bytes", "cuda_api_calls", "size_bytes", "allocated_bytes", "allocations"),
)
# Of these, the sums of what profiles tell one by one: where operators that are called otherwise explain the slowdown,
# it is their calls that are named, which are counted as well.
_SUMS = ("kernels", "nodes", "operator_calls", "compiled_regions", "cuda_api_calls", "allocated_bytes", "allocations")
# Of these, what costs time when it is less.
_BETTER_MORE = ("reduced_precision_nodes", "fused_operators")

OUTSIDE = "outside of operators"
# What torch.compile has compiled, by its name in profiles, which numbers it; and what tells that it compiles less.
_REGION = "Torch-Compiled Region"
_BREAKS = "graph_breaks"
# Operators by what the places of a profile tell of them (`Place.kind`).
_PLACED = {
    **dict.fromkeys(("aten::_to_copy", "aten::to"), "cast"),
    **dict.fromkeys(("aten::clone", "aten::contiguous", "aten::constant_pad_nd", "aten::pad"), "copy"),
    **dict.fromkeys(("aten::item", "aten::_local_scalar_dense", "aten::is_nonzero"), "read"),
}
_AS_BEFORE = "nothing is called otherwise than before: look at threads, clocks, memory and versions"
# Lines of code that a cause names.
MOST_PLACES = 2


def explaining(changed: Mapping[str, tuple[float, float]], change: float) -> list[str]:
    """The counters that explain a slowdown by this factor, the most telling first; MOST_COUNTED at most.

    `changed` are those that changed, each with what it was and has become. What grew much less than the time is no
    cause of it; what goes with others that are more telling is left to the notes.
    """
    least = max(1.0, change) ** LEAST_GROWTH
    enough = [name for name, sides in changed.items() if _more_work(name, *sides) >= least]
    return by_telling(enough)[:MOST_COUNTED]


def by_telling(counters: Iterable[str]) -> list[str]:
    """The counters, those first that say most of why there is more or less to do."""
    return sorted(counters, key=lambda name: _TELLING.index(name) if name in _TELLING else len(_TELLING))


def uses(profile: Profile) -> Uses:
    """What a baseline keeps of a profile."""
    kept = profile.operators[:MOST_KEPT]
    operators = {one.name: Use(round(one.calls, 3), round(one.share, 3), one.form) for one in kept}
    return Uses(profile.source, operators, dict(profile.settings))


def blame(
    then: Uses,
    now: Uses,
    before_s: float,
    after_s: float,
    counters: Mapping[str, tuple[float, float]] = {},
    places: Sequence[Place] = (),
) -> Blame:
    """What explains that a call takes `after_s` where it took `before_s`, both in seconds.

    `counters` are those that explain it, by name, each with what it was and has become; they are named first. `places`
    are the lines of code that the profile of now tells of.
    """
    seconds = after_s - before_s
    if _name(then.source) != _name(now.source):
        return Blame(
            seconds, of_counters(counters), f"it was profiled by {then.source} before, and by {now.source} now"
        )
    compared = _Compared(then, now, before_s, after_s)
    told = _ranked([*compared.called_otherwise(), *compared.standing_out()], seconds)[:MOST_CAUSES]
    broken = tuple(_broken(then, now, counters, places))
    # The operators of a model that is compiled otherwise are called otherwise for it.
    summed = _SUMS if broken or any(one.certain for one in told) else ()
    told_already = (*summed, *(_BREAKS,) * len(broken))
    alone = of_counters({name: sides for name, sides in counters.items() if name not in told_already})
    named = (Cause(one.what, one.seconds, _where(one.names, then, places)) for one in told)
    otherwise = (*broken, *alone, *_set_otherwise(then, now))
    causes = (*otherwise, *named)
    rest = compared.rest(told, seconds, explained=bool(causes))
    if told and not otherwise and not any(one.certain or not one.names for one in told):
        # What takes longer is no reason why.
        rest = rest or _AS_BEFORE
    return Blame(seconds, causes, rest)


def of_counters(counters: Mapping[str, tuple[float, float]]) -> tuple[Cause, ...]:
    """What counters tell by themselves, each with what it was and has become."""
    return tuple(Cause(count_change(name, *sides)) for name, sides in counters.items())


@dataclass(frozen=True)
class _Found:
    """A cause, and the operators that it is about."""

    what: str
    seconds: float
    certain: bool
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Change:
    """An operator on both sides: its use, and the seconds of a call that it has. `hidden`: it may have been used."""

    name: str
    then: Use
    now: Use
    before_s: float
    after_s: float
    hidden: bool = False

    @property
    def seconds(self) -> float:
        return self.after_s - self.before_s

    @property
    def alike(self) -> bool:
        return self.then.calls == self.now.calls and self.then.form == self.now.form


class _Compared:
    """All operators of two profiles, side by side."""

    def __init__(self, then: Uses, now: Uses, before_s: float, after_s: float) -> None:
        self._changes = [
            _Change(
                name,
                a := then.operators.get(name, _NONE),
                b := now.operators.get(name, _NONE),
                a.share * before_s,
                b.share * after_s,
                _hidden(name, then) or _hidden(name, now),
            )
            for name in {**then.operators, **now.operators}
        ]
        rest = [max(0.0, 1.0 - sum(use.share for use in side.operators.values())) for side in (then, now)]
        self._outside = _Change(OUTSIDE, Use(1, rest[0]), Use(1, rest[1]), rest[0] * before_s, rest[1] * after_s)
        telling = [one.after_s / one.before_s for one in self._alike() if one.then.share >= TELLING_SHARE]
        # What every operator has become, if all have: threads, clocks and memory slow all down.
        self._common = max(1.0, statistics.median(telling)) if len(telling) >= FEWEST_ALIKE else 1.0

    def called_otherwise(self) -> Iterator[_Found]:
        """Operators that are called more or less often, or in another form; those that changed alike are one cause."""
        alike: dict[tuple[float, float], list[_Change]] = defaultdict(list)
        for one in self._changes:
            if one.then.calls != one.now.calls and not one.hidden:
                alike[one.then.calls, one.now.calls].append(one)
            elif one.then.form != one.now.form and _NONE not in (one.then, one.now):
                what = f"{_calls(one.now.calls)} of `{one.name}` {_forms(one)}"
                yield _Found(what, one.seconds, certain=True, names=(one.name,))
        while alike:
            (before, after), changed = alike.popitem()
            # What went away as often as something else came has been replaced by it.
            replaced = alike.pop((after, before), []) if 0 in (before, after) else []
            came, went = (changed, replaced) if after else (replaced, changed)
            yield _of_calls(came, went)

    def standing_out(self) -> Iterator[_Found]:
        """What is called as before and takes longer than the others explain."""
        for one in self._alike():
            if one.after_s > STANDS_OUT * self._common * one.before_s:
                times = significant(one.after_s / one.before_s, 2)
                take = "takes" if one.now.calls == 1 else "take"
                what = f"the same {_calls(one.now.calls)} of `{one.name}` {take} {times} times as long"
                yield _Found(what, one.seconds, certain=False, names=(one.name,))
        one = self._outside
        if one.after_s > STANDS_OUT * self._common * one.before_s:
            yield _Found(f"time {OUTSIDE} (Python, waiting)", one.seconds, certain=False)

    def rest(self, told: Sequence[_Found], seconds: float, *, explained: bool) -> str:
        """What is left to say."""
        left = seconds - sum(one.seconds for one in told)
        if left < UNEXPLAINED * seconds:
            return ""
        if told:
            return f"the profiles do not explain the other +{format_quantity(left, 's', 2)}"
        alike = f"the same operators are called as often as before{'' if explained else ', in the same form'}"
        if self._common > 1.0:
            return f"{alike}, and all take longer: look at threads, clocks, memory and versions"
        return f"{alike}, and none stands out: the profiles do not explain it"

    def _alike(self) -> Iterator[_Change]:
        return (one for one in self._changes if one.alike and one.before_s > 0.0)


_NONE = Use(0, 0.0)


def _ranked(found: Sequence[_Found], seconds: float) -> list[_Found]:
    """The largest first; what explains next to nothing is none."""
    large = [one for one in found if one.seconds >= LEAST_PART * seconds]
    return sorted(large, key=lambda one: (-one.seconds * (CERTAIN if one.certain else 1.0), one.what))


def _more_work(name: str, before: float, after: float) -> float:
    """By what factor there is more to do; what is wrong with answers costs no time."""
    if name in OF_THE_ANSWERS:
        return 0.0
    if name in _BETTER_MORE:
        before, after = after, before
    return after / before if before else math.inf


def _hidden(name: str, side: Uses) -> bool:
    """Whether an operator that is not among those kept may have been used all the same."""
    return name not in side.operators and len(side.operators) >= MOST_KEPT


def _of_calls(came: Sequence[_Change], went: Sequence[_Change]) -> _Found:
    seconds = sum(one.seconds for one in (*came, *went))
    changed = sorted(came or went, key=lambda one: (-abs(one.seconds), one.name))
    first, others = changed[0], [one.name for one in changed[1:]]
    what = f"`{first.name}` {_number(first.then.calls)} → {_calls(first.now.calls)}"
    if others:
        named = ", ".join(f"`{name}`" for name in others[:MOST_WITH])
        more = f" and {len(others) - MOST_WITH} more" if len(others) > MOST_WITH else ""
        what += f" (with {named}{more})"
    if came and went:
        what += f", in place of `{max(went, key=lambda one: one.before_s).name}`"
    return _Found(what, seconds, certain=True, names=tuple(one.name for one in changed))


def _forms(one: _Change) -> str:
    return f"now as {one.now.form or 'unknown'}, before as {one.then.form or 'unknown'}"


def _broken(
    then: Uses, now: Uses, counters: Mapping[str, tuple[float, float]], places: Sequence[Place]
) -> Iterator[Cause]:
    """Where torch.compile could not go on, if it compiles otherwise than before."""
    breaks = [one for one in places if one.kind == "break"]
    sides = counters.get(_BREAKS)
    if sides is not None or (breaks and _regions(then) != _regions(now)):
        began = not sides[0] if sides is not None else bool(_regions(then))
        what = "new graph break" if began else "graph breaks"
        regions = f"{len(_regions(then))} → {len(_regions(now))} compiled regions"
        into = count_change(_BREAKS, *sides) if sides is not None else regions
        yield Cause(f"{what}, {into}", None, _told(breaks))


def _regions(side: Uses) -> dict[str, float]:
    return {name: use.calls for name, use in side.operators.items() if name.startswith(_REGION)}


def _where(names: Sequence[str], then: Uses, places: Sequence[Place]) -> str:
    """The lines that call these operators, where all that call them, or do as they do, must be new."""
    known = {name for name, use in then.operators.items() if use.calls}
    kinds = {_PLACED[name] for name in names if name in _PLACED} - {_PLACED[name] for name in known if name in _PLACED}
    # Those that take the longest first.
    new = {name: number for number, name in enumerate(names) if name not in known}
    found = [one for one in places if one.kind in kinds or one.operator in new]
    return _told(sorted(found, key=lambda one: new.get(one.operator, 0)))


def _told(places: Sequence[Place]) -> str:
    """`"net.py:41 `return x.double()`"`, "" for none."""
    lines = list(dict.fromkeys(one.told for one in places))
    more = [f"{len(lines) - MOST_PLACES} more"] if len(lines) > MOST_PLACES else []
    return ", ".join([*lines[:MOST_PLACES], *more])


def _set_otherwise(then: Uses, now: Uses) -> Iterator[Cause]:
    for name in sorted({*then.settings} & {*now.settings}):
        if then.settings[name] != now.settings[name]:
            yield Cause(f"{name} {then.settings[name]} → {now.settings[name]}")


def _calls(number: float) -> str:
    return f"{_number(number)} {'call' if number == 1 else 'calls'}"


def _number(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else significant(number)


def _name(source: str) -> str:
    return source.partition(" ")[0]
