"""The names that `pytest_modelperf` gives: those that docs/reference/api.md lists, each loaded when first used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_modelperf

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "api.md"


def documented() -> set[str]:
    """The names of the page: of its import line, of its headings for a type each, and of its list of errors."""
    # What a conftest.py may add is imported from its home.
    page = re.sub(r"^## What you can add$.*?(?=^## )", "", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    imported = re.findall(r"^from pytest_modelperf import (.+)$", page, re.MULTILINE)
    types = re.findall(r"^::: pytest_modelperf\.[\w.]+\.([A-Z]\w+)$", page, re.MULTILINE)
    errors = re.findall(r"^        - (\w+)$", page, re.MULTILINE)
    return {*", ".join(imported).split(", "), *types, *errors}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh Python has after `statement`."""
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_page_lists_every_name_and_no_other() -> None:
    assert documented() == set(pytest_modelperf.__all__)


def test_dir_offers_every_name() -> None:
    assert set(dir(pytest_modelperf)) == {*pytest_modelperf.__all__, "__version__"}


@pytest.mark.parametrize("name", pytest_modelperf.__all__)
def test_a_name_is_the_thing_of_its_home(name: str) -> None:
    found = pytest_modelperf.__getattr__(name)
    assert getattr(found, "__name__", name) == name


def test_every_error_is_of_one_tree() -> None:
    given = [getattr(pytest_modelperf, name) for name in pytest_modelperf.__all__]
    thrown = [kind for kind in given if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(thrown) > 1
    assert {kind for kind in thrown if not issubclass(kind, pytest_modelperf.ModelPerfError)} == {
        pytest_modelperf.ModelPerfWarning
    }


def test_the_package_alone_loads_nothing_of_it() -> None:
    assert not any(module.startswith("pytest_modelperf.") for module in loaded_by("import pytest_modelperf"))


def test_no_name_brings_a_framework_or_pytest() -> None:
    loaded = loaded_by("from pytest_modelperf import *")
    assert "pytest_modelperf.domain.tensor" in loaded
    assert not loaded & {"torch", "onnx", "onnxruntime", "numpy", "rich", "pytest"}


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'pytest_modelperf' has no attribute 'Tensors'"):
        pytest_modelperf.__getattr__("Tensors")
