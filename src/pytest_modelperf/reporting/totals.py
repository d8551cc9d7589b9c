"""How many cases have which verdict: for one test, and for the whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..domain.report import TestResult
from ..domain.results import Point
from .findings import BETTER, WORSE, become, style_of
from .tables import OVER, word
from .words import plain, plural

if TYPE_CHECKING:
    from rich.text import Text

# What a case is called, the gravest first, each with its colour. Those of NOT_MEASURED are counted apart.
STYLES: dict[str, str] = {
    "slower": "bold red",
    "slower (accepted)": "yellow",
    "uncertain": "yellow",
    "faster": "bold green",
    "same": "green",
    "new": "cyan",
    "other machine": "cyan",
    "not judged": "cyan",
    "not measured": "magenta",
    "failed": "bold red",
    "out of memory": "magenta",
    "whole test": "magenta",
}
NOT_MEASURED = ("not measured", "failed", "out of memory", "whole test")
OVER_STYLE = "bold red"
# A slowdown that a gate is to see: where it could not, passing says little.
NOTABLE = 0.10
# What stands before the verdicts: none of it is one.
_BESIDE: dict[str, str] = {
    OVER: OVER_STYLE,
    **{word: style_of(word) for word in WORSE},
    **{f"{word} (accepted)": style_of(word, accepted=True) for word in WORSE},
    **{word: style_of(word) for word in BETTER},
}


def called(result: TestResult, point: Point) -> str:
    """What a point is counted as, a key of STYLES."""
    name = word(result, point)
    return f"{name} (accepted)" if name == "slower" and result.accepted else name


def tally(results: Sequence[TestResult]) -> Counter[str]:
    """How many cases of these tests are called what; a test without any case counts as one `whole test`."""
    words = Counter(called(result, point) for result in results for point in result.sweep)
    for result in results:
        found = [word for point in result.sweep for word in become(result.verdicts.get(point.case.key))]
        words.update(f"{word} (accepted)" if word in WORSE and result.accepted else word for word in found)
    words["whole test"] += sum(1 for result in results if not result.sweep.points)
    words[OVER] += len({(result.nodeid, breach.case) for result in results for breach in result.breaches})
    return +words


def counts(words: Counter[str]) -> Text:
    """`"1 over budget, 2 hungrier; 1 slower, 5 same; 2 not measured (1 failed, 1 out of memory)"`.

    A case over budget, or of which there is a finding beside its time, has a verdict too: it is no part of the sum that
    follows.
    """
    from rich.text import Text

    judged = [
        Text(f"{words[name]} {name}", STYLES[name]) for name in STYLES if words[name] and name not in NOT_MEASURED
    ]
    found = [Text(f"{words[name]} {name}", style) for name, style in _BESIDE.items() if words[name]]
    parts = [Text(", ").join(kind) for kind in (found, judged) if kind]
    parts += [Text(_lost(words), STYLES["not measured"])] if _lost(words) else []
    return Text("; ").join(parts)


def uncompared(results: Sequence[TestResult]) -> str:
    """What there is to say of tests that passed, and were compared with nothing of the commit that was asked for."""
    names = [result.uncompared for result in results if result.passed and result.uncompared]
    if not names:
        return ""
    tests = "1 test was" if len(names) == 1 else f"{len(names)} tests were"
    told = f"{tests} not compared with {plain(names[0])}, and passed: the reasons stand above"
    return f"{told}; --modelperf-require-baseline has what is not compared fail"


def unseeing(results: Sequence[TestResult]) -> str:
    """How many comparisons that raise no alarm could not have raised one of a slowdown that is well worth one.

    Not those of who accepts as much.
    """
    verdicts = [found for result in results for found in result.verdicts.values() if found.change is not None]
    asked = [one for one in verdicts if one.word != "slower" and one.tolerance < NOTABLE]
    blind = [one for one in asked if one.detectable is None or one.detectable > NOTABLE]
    if not blind:
        return ""
    share = f"{len(blind)} of {plural(len(verdicts), 'case')} that {'was' if len(verdicts) == 1 else 'were'} compared"
    return f"{share} could not have seen a slowdown of {NOTABLE:.0%}: time them longer, or on a quieter machine"


def _lost(words: Counter[str]) -> str:
    kinds = [name for name in NOT_MEASURED if words[name]]
    if not kinds:
        return ""
    total = f"{sum(words[name] for name in kinds)} not measured"
    if kinds in (["not measured"], ["whole test"]):
        return total
    return f"{total} ({', '.join(f'{words[name]} {name}' for name in kinds if name != 'not measured')})"
