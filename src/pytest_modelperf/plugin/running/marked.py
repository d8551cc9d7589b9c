"""A marked test where it runs: the fixture `modelperf`, and what happens around the test's body."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from _pytest.unittest import TestCaseFunction

from ...errors import (
    BaselineError,
    DeviceMissing,
    ModelPerfError,
    ModelPerfWarning,
    NotMeasured,
    UsageError,
    in_one_line,
)
from ..marker import is_marked, meant, own_id, spec_of
from ..stash import DESK, FIXTURE, RESULT, SETTINGS, START_BYTES
from .subject import subject_of

if TYPE_CHECKING:
    from ...domain.results import Sweep
    from .desk import Desk


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
    fixture = item.stash[FIXTURE] = ModelPerfFixture(item, desk)
    return fixture


class ModelPerfFixture:
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
            spec = spec_of(self._item).override(overrides)
            subject = subject_of(self._item, spec, model)
            return self._desk.measure(subject.terms(self._item), subject)
        except DeviceMissing as missing:
            from .absent_devices import REMEDY, required

            # A model that tells its inputs on its own device alone (TensorRT).
            reason = f"no device to measure on: {missing}"
            settings = self._item.config.stash[SETTINGS]
            named = any(device.kind == "cuda" for device in spec.devices or settings.devices)
            if required(["cuda"], settings, named=named):
                _fail_unmeasured(self._item, f"{reason}; {REMEDY}")
            pytest.skip(reason)
        except (BaselineError, NotMeasured) as error:
            _fail_unmeasured(self._item, str(error))
        except ModelPerfError as error:
            # It says what is wrong with what the test wrote: frames of ours would only hide that.
            raise error.with_traceback(None) from error.__cause__


class MarkedTests:
    """Hooks around the tests marked `modelperf`, in the process that runs their bodies."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # Of one test there may be several tries (pytest-rerunfailures): each is a measurement of its own.
        if is_marked(item):
            from ...measuring.memory import resident_bytes

            _forget(item)
            item.stash[START_BYTES] = resident_bytes()
            self._desk.begin(own_id(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        __tracebackhide__ = True
        if not is_marked(item):
            yield
            return
        try:
            yield
        except BaseException as error:
            self._judge_failed(item, error)
            raise
        caught = _caught_by_unittest(item)
        if caught is not None:
            self._judge_failed(item, caught)
            return
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

    def _judge_failed(self, item: pytest.Item, error: BaseException) -> None:
        """Have the sweep judged, if there was one, of a body that has raised."""
        self._judge(item, passed=False)
        if isinstance(error, Exception):
            # An assert says first what is not so, and then where it comes from.
            _note_unmeasured(item, in_one_line(error, line=0))

    def _judge(self, item: pytest.Item, *, passed: bool) -> str:
        """Have the sweep judged, if there was one; gives the text of the failure, "" for none."""
        __tracebackhide__ = True
        fixture = item.stash.get(FIXTURE, None)
        if fixture is None or not fixture.asked:
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
        fixture = item.stash.get(FIXTURE, None)
        if fixture is None or not fixture.asked:
            gets_none = isinstance(item, TestCaseFunction)
            write = (
                "a method of unittest.TestCase gets no fixtures: write a function, or a method of another class"
                if gets_none
                else "take the argument modelperf and write modelperf(model)"
            )
            _fail_unmeasured(
                item, f"{item.nodeid} is marked modelperf and never called the fixture; {write}, or remove the marker"
            )


def _caught_by_unittest(item: pytest.Item) -> BaseException | None:
    """What the body of a TestCase has raised: unittest keeps that for the report, and nothing comes out of the call."""
    caught = item._excinfo if isinstance(item, TestCaseFunction) else None
    return caught[0].value if caught else None


def _forget(item: pytest.Item) -> None:
    """Nothing of an earlier try of the test is told of the one that begins."""
    if FIXTURE in item.stash:
        del item.stash[FIXTURE]
    if RESULT in item.stash:
        del item.stash[RESULT]
    item.user_properties[:] = [one for one in item.user_properties if not one[0].startswith("modelperf.")]


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
    from ...domain.codec import to_json
    from ...domain.report import TestResult
    from ...domain.results import Sweep

    if RESULT not in item.stash:
        item.stash[RESULT] = to_json(TestResult(own_id(item), Sweep(()), unmeasured=reason, passed=False))
