"""The subject of a marked test: its model, what executes it, on which inputs, and all that measuring it needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ...errors import UsageError
from ..stash import SETTINGS, START_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...converting.making import Maker
    from ...converting.protocol import Converter
    from ...domain.counting import Count
    from ...domain.device import Device
    from ...domain.spec import Spec
    from ...measuring.bench import LocalBench, Profiler
    from ...runtimes.protocol import Runtime
    from ..settings import Settings
    from ..twins.messages import Terms


@dataclass(frozen=True)
class Subject:
    """What is measured: a model, the runtime that executes it, its inputs and the cases."""

    model: object
    runtime: Runtime
    spec: Spec
    inputs: Any
    cases: tuple[dict[str, int], ...]
    # The memory that the process had before the test began.
    start_bytes: int
    profiler: Profiler
    count: Count
    runtimes: Sequence[Runtime]
    # Gives those that there are, and imports them; and the names of those that are asked for.
    converters: Callable[[], Sequence[Converter]]
    asked: tuple[str, ...]
    # Where conversions are kept.
    cache: Path
    # Whether variants are written, too.
    exports: bool

    def maker(self, path: str = "") -> Maker:
        from ...converting.cache import Cache
        from ...converting.making import Maker
        from ...converting.registry import chosen
        from ...domain.variant import AUTO

        names = [name for name in self.asked if name != AUTO]
        return Maker(
            Path(path) if path else self.model,
            self.inputs,
            self.cases,
            self.runtimes,
            chosen(names, self.converters()),
            permitted=self.spec.parity,
            quality=self.spec.quality,
            count=self.count,
            start_bytes=self.start_bytes,
            cache=Cache(self.cache),
            exports=self.exports,
            runtime=self.spec.runtime,
            named=bool(names),
        )

    def open(self, device: Device, path: str = "") -> LocalBench:
        from ...measuring.bench import LocalBench
        from .cards import card_of, held_on

        model = Path(path) if path else self.model
        return LocalBench(
            lambda: self.runtime.open(model, device),
            device,
            self.inputs,
            list(self.cases),
            runtime=str(self.spec.runtime or ""),
            start_bytes=self.start_bytes,
            profiler=self.profiler,
            count=self.count,
            path=str(model.absolute()) if isinstance(model, Path) else "",
            card=card_of(device),
            held=held_on(device),
        )

    def terms(self, item: pytest.Item) -> Terms:
        from ..converters import may_convert
        from ..twins.messages import Terms
        from .absent_devices import required
        from .cards import bus_ids

        settings = item.config.stash[SETTINGS]
        devices, narrowed = self._devices(settings)
        named = bool(self.spec.devices or settings.devices)
        return Terms(
            devices=devices,
            narrowed=narrowed,
            budget=self.spec.budget,
            tolerance=settings.tolerance if self.spec.tolerance is None else self.spec.tolerance,
            allow_failed=self.spec.allow_failed,
            seconds=settings.seconds if self.spec.seconds is None else self.spec.seconds,
            runtime=self.runtime.name,
            converters=self.asked,
            goal=self.spec.goal,
            convertible=may_convert(item.config, self.model),
            bus_ids=bus_ids(devices),
            required=required(devices, settings, named=named),
            by_default=not named,
        )

    def _devices(self, settings: Settings) -> tuple[tuple[str, ...], dict[str, str]]:
        """The devices to try, and those of the marker that the command line leaves out, with the reason."""
        wanted, allowed = self.spec.devices, settings.devices
        if wanted is None:
            return tuple(map(str, allowed or (self.runtime.default_device(self.model),))), {}
        left_out = [device for device in wanted if allowed and device not in allowed]
        reason = f"not among --modelperf-device={','.join(map(str, allowed))}"
        kept = tuple(str(device) for device in wanted if device not in left_out)
        return kept, {str(device): reason for device in left_out}


def subject_of(item: pytest.Item, spec: Spec, given: object) -> Subject:
    """What a test that hands over `given` measures. Raises UsageError, ModelError."""
    from ...domain.axes import cases, resolve_sweep
    from ...profiling.counters.take import CounterSources
    from ...runtimes.protocol import Placed
    from ...runtimes.registry import find
    from ..converters import all_converters, asked_converters
    from ..examining.profiles import sources
    from ..runtimes import all_runtimes

    settings = item.config.stash[SETTINGS]
    more = all_runtimes(item.config)
    runtime, model = find(given, more, spec.runtime)
    if isinstance(runtime, Placed):
        wanted = spec.devices or settings.devices or ()
        # Not on one that the command line leaves out.
        runtime = runtime.placed([one for one in wanted if not settings.devices or one in settings.devices])
    inputs = _completed(spec, runtime, model)
    counters = CounterSources([source for some in item.config.hook.pytest_modelperf_counters() for source in some])
    return Subject(
        model,
        runtime,
        spec,
        inputs,
        cases=tuple(dict(case.axes) for case in cases("", resolve_sweep(inputs, spec.sweep))),
        start_bytes=item.stash.get(START_BYTES, 0),
        profiler=sources(item.config),
        count=counters.count,
        runtimes=more,
        converters=partial(all_converters, item.config),
        asked=asked_converters(settings.convert, spec.converters),
        cache=settings.aside / "cache",
        exports=settings.export is not None,
    )


def _completed(spec: Spec, runtime: Runtime, model: object) -> Any:
    """The inputs declared, completed by the model's own signature."""
    if isinstance(spec.inputs, (list, tuple)):
        return spec.inputs
    signature = runtime.signature(model)
    if signature is not None:
        return signature.complete(spec.inputs)
    if spec.inputs is None:
        raise UsageError(
            "the marker gives no inputs, and the model does not tell them; write for example "
            'inputs={"x": Tensor(("batch", 3, 224, 224))}, or inputs=() for a model that takes none'
        )
    return spec.inputs
