from __future__ import annotations

import pytest

from pytest_modelperf.errors import UsageError
from pytest_modelperf.plugin.runtimes import check_marked

OWN = """
class Mine:
    name = "mine"

def pytest_modelperf_runtimes():
    return [Mine()]
"""
TEST = """
import pytest

@pytest.mark.modelperf(runtime={runtime!r})
def test_it(modelperf): ...
"""


@pytest.fixture
def item(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> pytest.Item:
    """A test whose marker names the runtime of the parameter, beside a conftest.py with one of the user's own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.plugins = ["modelperf"]
    pytester.makeconftest(OWN)
    return pytester.getitem(TEST.format(runtime=request.param), "test_it")


@pytest.mark.parametrize("item", [None, "torch", "callable", "mine", ("mine", {"depth": 3})], indirect=True)
def test_runtimes_of_ours_and_of_the_user_are_known(item: pytest.Item) -> None:
    check_marked(item)


@pytest.mark.parametrize("item", ["onnxrt"], indirect=True)
def test_another_is_answered_with_the_nearest(item: pytest.Item) -> None:
    with pytest.raises(UsageError, match=r"::test_it: there is no runtime 'onnxrt'; did you mean 'onnxruntime'\?"):
        check_marked(item)


@pytest.mark.parametrize("item", ["mien"], indirect=True)
def test_the_nearest_may_be_the_users_own(item: pytest.Item) -> None:
    with pytest.raises(UsageError, match="did you mean 'mine'"):
        check_marked(item)
