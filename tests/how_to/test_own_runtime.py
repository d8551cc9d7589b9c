"""The runtime of docs/how-to/own-runtime.md, as it stands there: through the suite of all runtimes, and in a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from integration.folders import Folder, summary
from runtimes import network
from runtimes.conformance import Conformance, Told

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.errors import ModelError, UsageError
from pytest_modelperf.runtimes.callable import CallableRuntime
from pytest_modelperf.runtimes.protocol import Runtime
from pytest_modelperf.runtimes.registry import builtin, find

jax: Any = pytest.importorskip("jax")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-runtime.md"
_FILE = re.compile(r'^```python title="(\w+\.py)"\n(.*?)^```$', re.M | re.S)
FILES: dict[str, str] = dict(_FILE.findall(PAGE.read_text("utf-8")))


def of_the_page() -> Any:
    module = ModuleType("conftest")
    exec(compile(FILES["conftest.py"], str(PAGE), "exec"), module.__dict__)
    return module


# First: later on JAX has threads, which a fork does without.
@pytest.mark.filterwarnings("ignore:os.fork")
def test_the_page_runs(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "project", tmp_path)
    folder.path.mkdir()
    folder.ini()
    for name, text in FILES.items():
        (folder.path / name).write_text(text, "utf-8")
    result = folder.run("--modelperf-seconds=0.01")
    result.assert_outcomes(passed=1)
    told = summary(result)
    assert "2 new: test_speed.py::test_predict test_speed.predict.<locals>.<lambda> (jax) on cpu, took" in told


def jitted() -> Any:
    """The network as a jitted function."""
    weights = {name: jax.numpy.asarray(weight) for name, weight in network.WEIGHTS.items()}

    def predict(x: Any, shift: Any) -> dict[str, Any]:
        hidden = jax.nn.relu(x @ weights["first"] + weights["first_bias"])
        hidden = jax.nn.relu(hidden @ weights["second"] + weights["second_bias"])
        y = jax.lax.conv_general_dilated(
            hidden, weights["kernel"], (1,), "SAME", dimension_numbers=("NWC", "OIW", "NWC")
        )
        return {"y": y + weights["kernel_bias"] + shift[:, None, :]}

    return jax.jit(predict)


class TestJax(Conformance):
    runtime: ClassVar[Runtime] = of_the_page().JaxRuntime()
    signature = None
    tells_weights = False
    sets_threads = False
    # A function does not say what it takes: the errors are those of its operators.
    mistakes: ClassVar[Mapping[str, Told]] = {"rank": "raises", "too many": "raises"}

    def build(self, folder: Path) -> object:
        return jitted()

    def known(self) -> list[Runtime]:
        return [self.runtime, *builtin()]


def test_without_it_the_function_is_refused_and_the_page_named() -> None:
    runtime, model = find(jitted(), builtin())
    assert isinstance(runtime, CallableRuntime)
    with pytest.raises(ModelError, match=r"returns before its work is done; .*docs/how-to/own-runtime\.md"):
        runtime.open(model, Device("cpu"))


def test_what_jax_makes_another_dtype_of_is_told() -> None:
    session = TestJax.runtime.open(jax.jit(lambda x: x), Device("cpu"))
    wide = Value(network.drawn(1)["x"].array.astype("int64"), "int64")
    with pytest.raises(UsageError, match="input 'x' is int64, which JAX makes int32 of; declare it as int32"):
        session.bind({"x": wide})


def test_halves_are_halves() -> None:
    session = TestJax.runtime.open(jax.jit(lambda x: x), Device("cpu"))
    half = Value(network.drawn(1)["x"].array, "bfloat16")
    assert session.dtypes(session.bind([half])()) == {"0": "bfloat16"}
