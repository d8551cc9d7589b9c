from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_modelperf.baselines.machine import RESERVED
from pytest_modelperf.baselines.paths import baseline_path
from pytest_modelperf.errors import UsageError

ROOT = Path("/repo/perf_baselines")
HASH = r"-[0-9a-f]{10}\.json$"


def path(nodeid: str) -> str:
    return baseline_path(ROOT, "ci", nodeid).relative_to(ROOT / "ci").as_posix()


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("test_vision.py::test_resnet50", "test_vision/test_resnet50.json"),
        ("tests/perf/test_vision.py::test_resnet50", "tests/perf/test_vision/test_resnet50.json"),
        ("test_a.py::test_b[fp16-8]", "test_a/test_b[fp16-8].json"),
        ("test_a.py::test_b[0.5]", "test_a/test_b[0.5].json"),
        ("test_a.py::group::test_b", "test_a/group.test_b.json"),
        ("my-tests/v1.2/test_a.py::test_b", "my-tests/v1.2/test_a/test_b.json"),
    ],
)
def test_plain_names_stay_as_they_are(nodeid: str, expected: str) -> None:
    assert path(nodeid) == expected


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("test_a.py::TestX::test_y", r"test_a/TestX\.test_y"),
        ("test_a.py::TestX::test_y[param]", r"test_a/TestX\.test_y\[param\]"),
        ("Tests/test_a.py::test_b", "Tests/test_a/test_b"),
        ("test_a.py::test_b[FP16]", r"test_a/test_b\[FP16\]"),
        ("test_a.py::test_b[a b]", r"test_a/test_b\[a_b\]"),
        ("test_a.py::test_b[a/b]", r"test_a/test_b\[a_b\]"),
        ("test_a.py::test_b[a::b]", r"test_a/test_b\[a\.b\]"),
        ("test_a.py::test_b[../../x]", r"test_a/test_b\[\.\._\.\._x\]"),
        ("test_a.py::test_b[é]", r"test_a/test_b\[_\]"),
        ("test_a.py::test_b[]", r"test_a/test_b\[\]"),
        ('test_a.py::test_b[<>:"|?*]', r"test_a/test_b\[_\]"),
        ("test_a.py::con", "test_a/_con"),
        ("aux/test_a.py::test_b", "_aux/test_a/test_b"),
        ("nul.py::test_b", "_nul/test_b"),
        ("../x/test_a.py::test_b", "_/x/test_a/test_b"),
        ("/etc/test_a.py::test_b", "_/etc/test_a/test_b"),
        ("C:\\x\\test_a.py::test_b", "C_x_test_a/test_b"),
        (".hidden/test_a.py::test_b", "hidden/test_a/test_b"),
        ("x.json/test_a.py::test_b", "x.json_/test_a/test_b"),
        ("spec.yaml::test_b", "spec.yaml/test_b"),
        ("test_a.py::test_b-0123456789", "test_a/test_b-0123456789"),
        ("test_a.py", "test_a/_"),
        ("", "_/_"),
        ("test_a.py::test_b[\udc80]", r"test_a/test_b\[_\]"),
    ],
)
def test_names_that_had_to_be_changed_or_that_case_could_confuse_have_a_hash(nodeid: str, expected: str) -> None:
    assert re.fullmatch(expected + HASH, path(nodeid))


def test_long_names_are_cut_and_stay_their_own() -> None:
    one, other = (path(f"{'d' * 300}/test_a.py::test_b[{'x' * 5000}{end}]") for end in "ab")
    assert one != other
    assert max(len(component) for component in one.split("/")) <= 200


def test_case_alone_makes_two_files() -> None:
    assert path("test_a.py::test_B").lower() != path("test_a.py::test_b").lower()
    assert path("test_a.py::TestX::test_b").lower() != path("test_a.py::testx::test_b").lower()


@pytest.mark.parametrize("machine", ["..", "a/b", ""])
def test_a_machine_cannot_lead_out_of_the_folder(machine: str) -> None:
    with pytest.raises(UsageError):
        baseline_path(ROOT, machine, "test_a.py::test_b")


PIECES = st.sampled_from(
    [
        "a",
        "A",
        "b",
        ".",
        "..",
        "/",
        "::",
        "[",
        "]",
        "-",
        "_",
        ".py",
        ".json",
        "\\",
        " ",
        "é",
        "e\u0301",
        "con",
        "\0",
        "1",
    ]
)
NODEIDS = st.one_of(
    st.lists(PIECES, max_size=8).map("".join), st.text(max_size=30), st.text(min_size=200, max_size=400)
)
# What pytest gives for most tests.
USUAL = st.builds(
    "{}{}.py::{}{}".format,
    st.sampled_from(["", "tests/", "Tests/", "a/b/"]),
    st.sampled_from(["test_a", "test_A", "a"]),
    st.sampled_from(["test_a", "TestA::test_a", "testa::test_a", "test_A", "test"]),
    st.sampled_from(["", "[a]", "[A]", "[a-1]", "[]", "[a b]", "[a_b]"]),
)
ANY = st.one_of(NODEIDS, USUAL)


@given(st.lists(ANY, min_size=2, max_size=20, unique=True))
@example(["a.py::b", "a::b", "a.py.py::b", "a/b", "a/b.py", "a.json::b", "a.json.py::b"])
def test_different_tests_have_different_files_whatever_the_case(nodeids: list[str]) -> None:
    paths = [path(nodeid).casefold() for nodeid in nodeids]
    assert len(set(paths)) == len(nodeids)
    # No file lies where another test needs a folder.
    assert not {"/".join(one.split("/")[:depth]) for one in paths for depth in range(1, one.count("/") + 1)} & set(
        paths
    )


@given(ANY)
def test_a_file_lies_below_the_root_under_a_name_for_every_system(nodeid: str) -> None:
    found = baseline_path(ROOT, "ci", nodeid)
    assert os.path.normpath(found) == str(found)
    assert found.is_relative_to(ROOT / "ci")
    assert found.suffix == ".json"
    for component in found.relative_to(ROOT).parts:
        assert re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,200}", component)
        assert component not in (".", "..")
        assert not component.endswith(".")
        assert component.partition(".")[0].lower() not in RESERVED


@given(ANY)
def test_a_test_has_the_same_file_every_time(nodeid: str) -> None:
    assert path(nodeid) == path(nodeid)
