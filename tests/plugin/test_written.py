from __future__ import annotations

import pytest

from pytest_modelperf.domain.spec import Spec
from pytest_modelperf.errors import UsageError
from pytest_modelperf.plugin import converters, runtimes, written

HEADER = """
import pytest
from pytest_modelperf import Tensor

X = {"x": Tensor(("batch", 4))}
WIDE = Tensor(("batch", "seq"))
"""
TEST = """
@pytest.mark.modelperf({marker})
def test_{number}(modelperf, model=None, given={{}}):
    {body}
"""
REFUSED = {
    # The call
    ("inputs=X", 'modelperf(model, runtime="onx")'): "there is no runtime 'onx'; did you mean 'onnxruntime'?",
    ("inputs=X", 'assert modelperf(model, runtime=("onx", {})).best'): "there is no runtime 'onx'; ",
    ("inputs=X", "modelperf(model, sweeps=given)"): "the marker modelperf has no argument 'sweeps'; did you mean 'swee",
    ("inputs=X", 'modelperf(model, sweep={"batch": [0]})'): "sweep of 'batch' has 0; a size is at least 1",
    ("inputs=X", 'modelperf(model, converters=["bf61"])'): "converters: there is no converter 'bf61'; did you mean ",
    ("inputs=X", 'modelperf(model, sweep={"bach": [2]})'): (
        "sweep gives values to 'bach', but the Tensors name 'batch'; did you mean 'batch'?"
    ),
    ("inputs=X", "modelperf()"): "modelperf() is given no model; write modelperf(model)",
    (
        "inputs=X",
        "modelperf(model, X)",
    ): "modelperf(model, …) takes the model alone without a name; write the others as",
    # The marker, which no call completes
    ('inputs=X, sweep={"bach": [2]}', "modelperf(model, seconds=2)"): "sweep gives values to 'bach', but ",
    ('inputs=[Tensor(("batch", 4))], sweep={"size": [2]}', "modelperf(model)"): (
        "sweep gives values to 'size', but the Tensors name 'batch'; write the axis into a Tensor's shape"
    ),
    ('inputs={"x": WIDE}', "modelperf(model)"): (
        "input 'x' has the axis 'seq' without values; add it: sweep={'seq': [128]}"
    ),
}
LEFT = (
    # Another input may have the axis, by the model's signature.
    ('inputs=X, sweep={"size": [2]}', "modelperf(model)"),
    # What the call says is told by running it alone.
    ('inputs={"x": WIDE}', "modelperf(model, sweep=given)"),
    ('inputs={"x": WIDE}', "modelperf(model, **given)"),
    ('inputs={"x": WIDE}', 'modelperf(model, sweep={"seq": [8]})'),
    ('inputs={"x": WIDE}', "measured(modelperf)"),
    ("inputs=X", "modelperf(model=given)"),
    ("inputs=X", "modelperf(*given)"),
    ("inputs=X", "modelperf(**given)"),
    ('sweep={"bach": [2]}', "modelperf(model)"),
    # The name has another meaning.
    ('inputs={"x": WIDE}', "modelperf = functools.partial(modelperf, sweep=given); modelperf(model)"),
    ("inputs=X", "(lambda modelperf: modelperf())(measured)"),
    # The test waits for the error.
    ("inputs=X", 'with contextlib.suppress(ValueError): modelperf(model, runtime="onx")'),
    ("inputs=X", 'with pytest.raises(ValueError): modelperf(model, runtime="onx")'),
)


@pytest.fixture
def items(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> list[pytest.Item]:
    """A test for each marker and body, in their order."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.plugins = ["modelperf"]
    tests = (
        TEST.format(number=number, marker=marker, body=body) for number, (marker, body) in enumerate([*REFUSED, *LEFT])
    )
    return pytester.getitems("\n".join([HEADER, *tests]))


def test_what_is_written_out_and_cannot_be_is_told_before_the_test_runs_and_the_rest_is_left_to_it(
    items: list[pytest.Item],
) -> None:
    for item, told in zip(items, REFUSED.values(), strict=False):
        with pytest.raises(UsageError) as caught:
            written.check(item, runtimes.check_asked, converters.check_asked)
        assert f"::{item.name}: {told}" in str(caught.value)
    for item in items[len(REFUSED) :]:
        written.check(item, runtimes.check_asked, converters.check_asked)


def test_a_function_without_source_is_looked_at_by_its_markers(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.plugins = ["modelperf"]
    item = pytester.getitem("exec('def test_it(modelperf): modelperf(None, sweeps=1)')", "test_it")
    assert list(written.specs(item)) == [Spec()]


def test_a_marker_of_the_same_name_is_no_call(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.plugins = ["modelperf"]
    marked = "modelperf = pytest.mark.modelperf\n\n@modelperf(inputs=X)\ndef test_it(modelperf):\n    modelperf(None)\n"
    (item,) = pytester.getitems(HEADER + marked)
    written.check(item, runtimes.check_asked, converters.check_asked)


def test_a_fixture_over_ours_takes_what_it_likes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.plugins = ["modelperf"]
    own = "@pytest.fixture\ndef modelperf(modelperf):\n    return modelperf\n\n"
    marked = "@pytest.mark.modelperf(inputs=X)\ndef test_it(modelperf):\n    modelperf(None, X, tag=1)\n"
    (item,) = pytester.getitems(HEADER + own + marked)
    written.check(item, runtimes.check_asked, converters.check_asked)
