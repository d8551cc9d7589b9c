"""Making: a variant of the model that a process holds, proven to answer as the original does."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from ..domain.counting import Count
from ..domain.device import Device
from ..domain.precision import COARSE
from ..domain.spec import RuntimeChoice
from ..domain.variant import EXPORT, NOT_WRITTEN, Candidate, Parity, Permitted, QualityCheck, Rival, Variant
from ..errors import ConversionError, TooSlow, in_one_line, last_line
from ..measuring.answers import WRITES
from ..measuring.bench import LocalBench
from ..measuring.inputs import draw
from ..measuring.memory import available_bytes
from ..measuring.orders import Opened
from ..runtimes.protocol import Runtime
from ..runtimes.registry import find
from .cache import FROM_CACHE, Cache
from .choosing import Choice, Shelf, choose
from .content import content
from .export import Answer, describe, export
from .forms import LIVE, form_of
from .parity import LIMITS, Wrong, coarser, computing, repeats
from .protocol import Converted, Converter, Subject
from .proving import Expected, Prover, fits, unsettled, where
from .routes import Route, routes, unreachable
from .settings import Settings, knobs_of, shown
from .tuning import MARGIN

NONE_WINS = f"no setting that was tried makes it {MARGIN} times as fast"


@dataclass(frozen=True)
class _Proven:
    """What a converter made, open with these settings, how far its answers are off, and its names of the outputs."""

    made: Converted
    bench: LocalBench
    parity: tuple[Parity, ...]
    names: Mapping[str, str]
    settings: Settings = field(default_factory=dict)
    # What the rest of making it took.
    rest_seconds: float = 0.0


@dataclass(frozen=True)
class Making:
    """What was made along a route in a folder, not opened yet, and all that it is to be held to.

    `source` is the hash of the model, "" where it cannot be told, `path` that of one that is a file; `before` is the
    quality of the original, `precision` the coarsest dtype that anything computes in.
    """

    route: Route
    subject: Subject
    folder: Path
    source: str
    path: str
    expected: Sequence[Expected]
    before: float
    precision: str
    made: Converted
    build_seconds: float


@dataclass(frozen=True)
class Maker:
    """Makes variants of one model, which has these `inputs` and is asked for these `cases`."""

    model: object
    inputs: Any
    cases: Sequence[Mapping[str, int]]
    runtimes: Sequence[Runtime]
    converters: Sequence[Converter]
    permitted: Permitted | None = None
    quality: QualityCheck | None = None
    count: Count | None = None
    start_bytes: int = 0
    cache: Cache | None = None
    exports: bool = False
    # What the test asks for: what runs in the same has its options, too.
    runtime: RuntimeChoice | None = None
    # Whether the converters were named: none of them is passed over without a word then.
    named: bool = False

    def routes(self) -> list[Route]:
        """The ways to variants that there are from such a model."""
        form = form_of(self.model)
        return routes(form, self.converters) if form is not None else []

    def candidates(self, device: Device) -> tuple[Candidate, ...]:
        """The variants that could be made of it on this device, and of named converters those that cannot."""
        subject = self._subject(device)
        missed = unreachable(subject.form, self.converters) if self.named else []
        return (
            *(self._candidate(route, subject) for route in self.routes()),
            *(Candidate(one.name, one.what, (one.name,), one.seconds, why) for one, why in missed),
        )

    def _candidate(self, route: Route, subject: Subject) -> Candidate:
        steps = tuple(step.name for step in route.steps)
        refused, alone = _refusal(route, subject), any(getattr(step, "alone", False) for step in route.steps)
        kin = str(getattr(route.steps[-1], "kin", "")) if subject.device.kind == "cpu" else ""
        permitted, kept = LIMITS.get(route.precision, COARSE), self.cache is not None and route.gives not in LIVE
        return Candidate(route.name, route.what, steps, route.seconds, refused, permitted, alone, kept, kin)

    def check(self, original: LocalBench) -> None:
        """Raises ConversionError for a model of which no variant could be proven."""
        axes, precision = min(self.cases, key=lambda axes: math.prod(axes.values())), computing(original.opened)
        # Drawn anew: a model may write into what it is given.
        first = original.ask(draw(self.inputs, axes))
        second, again = original.ask_twice(draw(self.inputs, axes))
        if not repeats(first, second, precision):
            raise ConversionError("the original answers equal inputs differently: nothing can be compared with it")
        if not repeats(second, again, precision):
            raise ConversionError(WRITES)

    def convert(
        self,
        name: str,
        original: LocalBench,
        device: Device,
        folder: Path,
        answered: Callable[[], None] = lambda: None,
    ) -> Making:
        """Ask the original, which is the model on this device, for its answers, close it, and make this variant.

        `answered` is called in between: who computes with all threads is slow beside another that does.
        Raises ConversionError, and whatever a framework raises.
        """
        route = next(route for route in self.routes() if route.name == name)
        prover = self._prover()
        expected = prover.expected(original)
        before = prover.measured(original)
        # A model that is kept in a half, or computed with in TF32, is no more exact than that, whatever computes it.
        precision = coarser(route.precision, computing(original.opened))
        path = original.opened.path
        original.release()
        answered()
        subject = self._subject(device)
        # Now: converters change a live model.
        source = content(subject) if self.exports or self.cache is not None else ""
        start = perf_counter()
        made = self._configured(route.follow(subject, folder, self.cache, source))
        return Making(route, subject, folder, source, path, expected, before, precision, made, perf_counter() - start)

    def prove(
        self, making: Making, seconds: float = math.inf, rival: Rival | None = None
    ) -> tuple[LocalBench, Variant]:
        """Open what was made, compare answers, and choose the settings of its runtime.

        It may take `seconds`; settings are searched in the first half of them. Raises ConversionError for one that is
        beaten by its rival, or does not answer as the original does, and whatever a framework raises.
        """
        searched = perf_counter() + seconds / 2
        prover, route, subject = self._prover(rival), making.route, making.subject
        check = partial(self._checked, making=making, prover=prover)
        build_seconds = making.build_seconds
        try:
            proven = check(making.made)
        except TooSlow:
            raise
        except Exception:
            if self.cache is None or not any(note.endswith(FROM_CACHE) for note in making.made.notes):
                raise
            # What was kept may be damaged, or hang on what no key tells: what is made now decides.
            start, anew = perf_counter(), replace(self.cache, renews=True)
            made = self._configured(route.follow(subject, making.folder / "anew", anew, making.source))
            build_seconds = perf_counter() - start
            proven = check(made)
        build_seconds += proven.made.saved_seconds + proven.rest_seconds
        proven = self._tuned(proven, subject.device, check, route.key(making.source), making.source, searched)
        made, bench = proven.made, proven.bench
        try:
            quality = prover.kept(bench, made, making.before)
            exported: tuple[str, ...] = ()
            if self.exports:
                answers = [answer.named(proven.names) for answer in prover.answers(making.expected, made.fixed)]
                write = partial(_written, made, route, subject, answers, making.source)
                exported = _exported(write, check, making.folder / EXPORT)
        except BaseException:
            bench.release()
            raise
        variant = _described(route, made, bench.opened)
        return bench, replace(
            variant,
            build_seconds=build_seconds,
            notes=(*made.notes, *exported),
            parity=proven.parity,
            quality=quality,
            settings=shown(proven.settings),
        )

    def _tuned(
        self,
        proven: _Proven,
        device: Device,
        check: Callable[[Converted], _Proven],
        variant: str,
        source: str,
        searched: float,
    ) -> _Proven:
        """With the settings of its runtime that suit it, opened and proven anew where these are not the defaults.

        Raises ConversionError for what is no variant without any.
        """
        made = proven.made
        choice = self._choice(proven, device, variant, source, searched)
        if choice.settings:
            proven.bench.release()
            try:
                return replace(check(self._set(made, choice.settings)), settings=choice.settings)
            except Exception:  # noqa: BLE001 - whatever a framework raises: it is right without them
                proven = check(made)
        if made.unchanged:
            proven.bench.release()
            why = f"no setting was tried: {choice.untried}" if choice.untried else NONE_WINS
            raise ConversionError(why)
        return proven

    def _choice(self, proven: _Proven, device: Device, variant: str, source: str, searched: float) -> Choice:
        """The settings of its runtime that suit it, of those that neither the test nor the converter has settled."""
        made, bench = proven.made, proven.bench
        name, given = self._runs(made)
        some = knobs_of(name, device, given) if made.tunable else []
        if not some:
            return Choice({}, "there is none here that the test does not settle itself")
        if self.cache is None or not variant:
            return Choice({}, "its content cannot be told, so what is found could not be kept for it")
        asked = self.runtime if self.runtime is not None and self.runtime.name == name else RuntimeChoice(name)
        return choose(
            bench,
            some,
            Shelf.of(self.cache, variant, source, RuntimeChoice(name, given), asked, some),
            lambda settings: self._opened(self._set(made, settings), device),
            searched,
            fits=bench.opened.counts.get("size_bytes", 0.0) * 2 < available_bytes(),
        )

    def _prover(self, rival: Rival | None = None) -> Prover:
        return Prover(self.inputs, self.cases, self.permitted, self.quality, rival)

    def _runs(self, made: Converted) -> tuple[str, Mapping[str, object]]:
        """The name of the runtime that runs it, and its options."""
        name = find(made.model, self.runtimes, made.runtime)[0].name
        return name, made.runtime.options if made.runtime is not None else {}

    def _set(self, made: Converted, settings: Settings) -> Converted:
        name, given = self._runs(made)
        return replace(made, runtime=RuntimeChoice(name, {**given, **settings}))

    def _subject(self, device: Device) -> Subject:
        form = form_of(self.model)
        assert form is not None
        smallest_first = sorted(self.cases, key=lambda axes: math.prod(axes.values()))
        drawn = partial(draw, self.inputs)
        return Subject(self.model, form, device, self.inputs, smallest_first, drawn, runtime=self.runtime)

    def _configured(self, made: Converted) -> Converted:
        """With the options of the test where the same runtime runs it: with other threads nothing is compared."""
        if self.runtime is None or not self.runtime.options:
            return made
        name, own = self._runs(made)
        if name != self.runtime.name:
            note = f"runs in {name}, without what the test asks of its runtime: {self.runtime}"
            return replace(made, notes=(*made.notes, note))
        return replace(made, runtime=RuntimeChoice(name, {**self.runtime.options, **own}))

    def _opened(self, made: Converted, device: Device) -> LocalBench:
        runtime, model = find(made.model, self.runtimes, made.runtime)
        inputs = unsettled(self.inputs, made.settled)
        cases = [dict(axes) for axes in self.cases if fits(axes, made.fixed)]
        if not cases:
            raise ConversionError(f"it is made for {where(made.fixed or {})}, which the sweep does not have")
        return LocalBench(
            lambda: runtime.open(model, device),
            device,
            inputs,
            cases,
            runtime=str(made.runtime or ""),
            start_bytes=self.start_bytes,
            count=self.count,
        )

    def _checked(self, made: Converted, making: Making, prover: Prover) -> _Proven:
        """The variant opened and proven. Raises Wrong, and what a framework raises."""
        bench, notes, seconds = self._opened(made, making.subject.device), made.notes, 0.0

        def finish() -> None:
            nonlocal notes, seconds
            if made.rest is not None:
                start = perf_counter()
                notes = (*notes, *made.rest())
                seconds = perf_counter() - start

        try:
            parity, names = prover.parity(bench, made, making.expected, making.precision, finish)
        except BaseException:
            bench.release()
            raise
        return _Proven(replace(made, notes=notes), bench, parity, names, rest_seconds=seconds)


def _described(route: Route, made: Converted, opened: Opened) -> Variant:
    """What is known of a variant before it is proven."""
    return Variant(
        name=route.name,
        what=route.what,
        device=opened.device,
        steps=tuple(step.name for step in route.steps),
        precision=route.precision,
        description=opened.description,
        build_seconds=0.0,
        load_seconds=opened.load_seconds,
        fixed=made.fixed,
        counts=made.counts,
        options=dict(made.runtime.options) if made.runtime is not None else {},
    )


def _refusal(route: Route, subject: Subject) -> str:
    try:
        return route.refuses(subject)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises; the other routes are none the worse
        return f"whether it applies cannot be told: {in_one_line(error)}"


def _written(
    made: Converted, route: Route, subject: Subject, answers: Sequence[Answer], source: str, folder: Path
) -> Converted:
    """Write the variant into the folder; gives what can be opened there."""
    written = export(made, route.steps[-1], subject, answers, folder)
    describe(made, subject.form, source, tuple(step.name for step in route.steps), folder)
    return written


def _exported(
    write: Callable[[Path], Converted], check: Callable[[Converted], _Proven], folder: Path
) -> tuple[str, ...]:
    """Write the variant into the folder, and prove what is there; gives notes, among them the reason why not."""
    try:
        written = write(folder)
        check(written).bench.release()
    except Exception as error:  # noqa: BLE001 - whatever a framework raises; the variant is none the worse
        shutil.rmtree(folder, ignore_errors=True)
        wrong = isinstance(error, Wrong)
        what = f"the file gives other answers: {last_line(error)}" if wrong else in_one_line(error)
        return (f"{NOT_WRITTEN}: {what}",)
    return written.notes
