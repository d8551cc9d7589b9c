"""A marked test where it runs: the fixture `modelperf`, and what happens around the test's body."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from ..errors import (
    BaselineError,
    DeviceMissing,
    ModelPerfError,
    ModelPerfWarning,
    NotMeasured,
    UsageError,
    in_one_line,
)
from .marker import is_marked, meant, own_id, spec_of
from .stash import DESK, MEASUREMENT, RESULT, SETTINGS, START_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..converting.making import Maker
    from ..converting.protocol import Converter
    from ..domain.counting import Count
    from ..domain.device import Device
    from ..domain.results import Sweep
    from ..domain.spec import Spec
    from ..measuring.bench import LocalBench, Profiler
    from ..runtimes.protocol import Runtime
    from .desk import Desk
    from .messages import Terms
    from .settings import Settings


class ModelPerfFailure(pytest.fail.Exception):  # type: ignore[misc, name-defined]
    """The plugin's verdict as a failure of the test: its text is shown without a traceback."""

    __module__ = "builtins"

    def __init__(self, text: str) -> None:
        super().__init__(text, pytrace=False)


@pytest.fixture
def modelperf(request: pytest.FixtureRequest) -> Callable[..., Sweep]:
    """Measure a model: `sweep = modelperf(model)`.

    `model` is a module, a file's path, an ONNX model or a function of arrays; keyword arguments override those of the
    marker for this test. Returns a `Sweep`. Needs the marker `modelperf` on the test, its class or its module.
    """
    item = request.node
    if not is_marked(item):
        # Without a traceback: of the mistake the plugin's source tells nothing.
        pytest.fail(f"{item.nodeid} uses the fixture modelperf without the marker; {meant(item)}", pytrace=False)
    desk = request.config.stash.get(DESK, None)
    if desk is None:
        pytest.skip("the tests marked modelperf run with --modelperf")
    measurement = Measurement(item, desk)
    item.stash[MEASUREMENT] = measurement
    return measurement


class Measurement:
    """The fixture's value: measures the one model of a test, once."""

    def __init__(self, item: pytest.Item, desk: Desk) -> None:
        self._item, self._desk = item, desk
        self.asked = False

    def __call__(self, model: object, **overrides: Any) -> Sweep:
        __tracebackhide__ = True
        if self.asked:
            raise UsageError(
                f"{self._item.nodeid} calls modelperf twice; one test measures one model: "
                "write a second test, or parametrize this one"
            )
        self.asked = True
        try:
            subject = _subject(self._item, spec_of(self._item).override(overrides), model)
            return self._desk.measure(subject.terms(self._item), subject)
        except DeviceMissing as missing:
            # A model that tells its inputs on its own device alone (TensorRT).
            pytest.skip(f"no device to measure on: {missing}")
        except BaselineError as error:
            _fail_unmeasured(self._item, str(error))
        except ModelPerfError as error:
            # It says what is wrong with what the test wrote: frames of ours would only hide that.
            raise error.with_traceback(None) from error.__cause__


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
        from ..converting.cache import Cache
        from ..converting.making import Maker
        from ..converting.registry import chosen
        from ..domain.variant import AUTO

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
        from ..measuring.bench import LocalBench

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
        )

    def terms(self, item: pytest.Item) -> Terms:
        from .converters import may_convert
        from .messages import Terms

        settings = item.config.stash[SETTINGS]
        devices, narrowed = self._devices(settings)
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


class MarkedTests:
    """Hooks around the tests marked `modelperf`, in the process that runs their bodies."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if is_marked(item):
            from ..measuring.memory import resident_bytes

            item.stash[START_BYTES] = resident_bytes()
            self._desk.begin(own_id(item))
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        __tracebackhide__ = True
        if not is_marked(item):
            yield
            return
        try:
            yield
        except BaseException as error:
            self._judge(item, passed=False)
            if isinstance(error, Exception):
                # An assert says first what is not so, and then where it comes from.
                _note_unmeasured(item, in_one_line(error, line=0))
            raise
        self._check_asked(item)
        failure = self._judge(item, passed=True)
        if failure:
            _fail(failure)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and RESULT in item.stash:
            report.modelperf = item.stash[RESULT]  # type: ignore[attr-defined]
        return report

    def _judge(self, item: pytest.Item, *, passed: bool) -> str:
        """Have the sweep judged, if there was one; gives the text of the failure, "" for none."""
        __tracebackhide__ = True
        measurement = item.stash.get(MEASUREMENT, None)
        if measurement is None or not measurement.asked:
            return ""
        judged = self._desk.judge(passed)
        if judged.result:
            item.stash[RESULT] = judged.result
        item.user_properties.extend(judged.properties.items())
        if judged.warning:
            path, line, _ = item.location
            warnings.warn_explicit(judged.warning, ModelPerfWarning, path, (line or 0) + 1)
        return judged.failure

    def _check_asked(self, item: pytest.Item) -> None:
        measurement = item.stash.get(MEASUREMENT, None)
        if measurement is None or not measurement.asked:
            _fail_unmeasured(
                item,
                f"{item.nodeid} is marked modelperf and never called the fixture; take the argument modelperf and "
                "write modelperf(model), or remove the marker",
            )


def _fail_unmeasured(item: pytest.Item, reason: str) -> NoReturn:
    """Fail the test, whose body is here, for this reason, and have the summary count it."""
    __tracebackhide__ = True
    _note_unmeasured(item, reason)
    raise ModelPerfFailure(str(NotMeasured(f"not measured: {reason}"))) from None


def _fail(text: str) -> NoReturn:
    # A frame that is not hidden: of a failure without any pytest says that all of them are.
    raise ModelPerfFailure(text)


def _note_unmeasured(item: pytest.Item, reason: str) -> None:
    """Have the summary count a test that ended before it was measured."""
    from ..domain.codec import to_json
    from ..domain.report import TestResult
    from ..domain.results import Sweep

    if RESULT not in item.stash:
        item.stash[RESULT] = to_json(TestResult(own_id(item), Sweep(()), unmeasured=reason, passed=False))


def _subject(item: pytest.Item, spec: Spec, given: object) -> Subject:
    from ..domain.axes import cases, resolve_sweep
    from ..profiling.counters.take import Counters
    from ..runtimes.registry import find
    from .converters import all_converters, asked_converters
    from .profiles import sources
    from .runtimes import all_runtimes

    more = all_runtimes(item.config)
    runtime, model = find(given, more, spec.runtime)
    inputs = _completed(spec, runtime, model)
    axes = [dict(case.axes) for case in cases("", resolve_sweep(inputs, spec.sweep))]
    start_bytes = item.stash.get(START_BYTES, 0)
    counters = Counters([source for some in item.config.hook.pytest_modelperf_counters() for source in some])
    return Subject(
        model,
        runtime,
        spec,
        inputs,
        tuple(axes),
        start_bytes,
        sources(item.config),
        counters.count,
        more,
        partial(all_converters, item.config),
        asked_converters(item.config.stash[SETTINGS].convert, spec.converters),
        item.config.stash[SETTINGS].traces / "cache",
        item.config.stash[SETTINGS].export is not None,
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
