"""Routes: how a model of one form comes to a converter that takes another, found from what converters take and give."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..domain.precision import loosest
from .cache import Cache, key
from .protocol import Converted, Converter, Subject, converted

# What quantized values are permitted is not told by their dtype (`domain.precision`): they are the coarsest there are.
_INT8 = "int8"


@dataclass(frozen=True)
class Route:
    """Converters one after the other: bridges, and the one that gives the route its name."""

    name: str
    steps: tuple[Converter, ...]

    @property
    def what(self) -> str:
        return self.steps[-1].what

    @property
    def gives(self) -> str:
        return self.steps[-1].gives

    @property
    def precision(self) -> str:
        """The coarsest dtype that a step computes in."""
        dtypes = [step.precision for step in self.steps]
        return _INT8 if _INT8 in dtypes else loosest(dtypes)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    def refuses(self, subject: Subject) -> str:
        """Why it cannot be tried with this model: the reason of the first step that refuses; "" where none does."""
        first, *others = self.steps
        reasons = [first.refuses(subject)]
        reasons += [step.refuses(replace(subject, model=None, form=step.takes)) for step in others]
        return next(filter(None, reasons), "")

    def key(self, source: str) -> str:
        """The key of the variant of a model with this hash; "" where one cannot be told."""
        for step in self.steps:
            source = key(source, step) if source else ""
        return source

    def follow(self, subject: Subject, folder: Path, cache: Cache | None = None, known: str = "") -> Converted:
        """The variant. Each step has a folder of its own in `folder`, and what it wrote before comes from the cache.

        `known` is the hash of the model: without one nothing is kept. Raises what a step raises.
        """
        made = Converted(subject.model)
        for number, step in enumerate(self.steps, 1):
            own = folder / f"{number}-{step.name}"
            own.mkdir(parents=True)
            known = key(known, step) if known else ""
            given = replace(subject, model=made.model, form=step.takes)
            made = added(
                made, cache.follow(known, step, given, own) if cache and known else converted(step, given, own)
            )
        return made


def routes(form: str, converters: Sequence[Converter]) -> list[Route]:
    """A route from `form` to each converter that is no bridge and can be reached, in their order.

    The shortest; of several equally short ones that of the bridges which are named first.
    """
    paths = _bridged(form, converters)
    return [
        Route(converter.name, (*paths[converter.takes], converter))
        for converter in converters
        if converter.takes in paths and not converter.is_bridge
    ]


def unreachable(form: str, converters: Sequence[Converter]) -> list[tuple[Converter, str]]:
    """Those to which no route leads from `form`, with the reason."""
    paths = _bridged(form, converters)
    return [
        (converter, f"takes {converter.takes}; this model is {form}, and nothing leads there")
        for converter in converters
        if converter.takes not in paths and not converter.is_bridge
    ]


def added(before: Converted, made: Converted) -> Converted:
    """What a step made, with what is known from the steps before it."""
    return replace(
        made,
        fixed=made.fixed or before.fixed,
        settled=tuple(dict.fromkeys((*before.settled, *made.settled))),
        counts={**before.counts, **made.counts},
        notes=(*before.notes, *made.notes),
        saved_seconds=before.saved_seconds + made.saved_seconds,
    )


def _bridged(form: str, converters: Sequence[Converter]) -> dict[str, tuple[Converter, ...]]:
    """The shortest way by bridges from a form to each that can be reached, itself with none."""
    found: dict[str, tuple[Converter, ...]] = {form: ()}
    waiting = deque([form])
    while waiting:
        here = waiting.popleft()
        for bridge in converters:
            if bridge.is_bridge and bridge.takes == here and bridge.gives not in found:
                found[bridge.gives] = (*found[here], bridge)
                waiting.append(bridge.gives)
    return found
