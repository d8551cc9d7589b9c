from __future__ import annotations

import pytest

from pytest_modelperf.domain.spec import Spec
from pytest_modelperf.errors import UsageError
from pytest_modelperf.plugin.runtimes import check_asked

OWN = """
class Mine:
    name = "mine"

def pytest_modelperf_runtimes():
    return [Mine()]
"""


@pytest.fixture
def item(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Item:
    """A test beside a conftest.py with a runtime of the user's own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.plugins = ["modelperf"]
    pytester.makeconftest(OWN)
    return pytester.getitem("def test_it(modelperf): ...", "test_it")


@pytest.mark.parametrize("runtime", [None, "torch", "callable", "mine", ("mine", {"depth": 3})])
def test_runtimes_of_ours_and_of_the_user_are_known(item: pytest.Item, runtime: object) -> None:
    check_asked(item, Spec().override({"runtime": runtime}))


@pytest.mark.parametrize(
    ("runtime", "meant"),
    [("onnxrt", "onnxruntime"), ("onx", "onnxruntime"), ("mien", "mine")],
)
def test_another_is_answered_with_the_nearest_which_may_be_the_users_own(
    item: pytest.Item, runtime: str, meant: str
) -> None:
    with pytest.raises(UsageError, match=rf"^there is no runtime '{runtime}'; did you mean '{meant}'\?"):
        check_asked(item, Spec().override({"runtime": runtime}))
