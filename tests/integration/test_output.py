"""What pytest's options of output do for marked tests: as for any other."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from integration.projects import Both, Project, section, shown

# Writes a line for each pytest that is configured: the user's own, and every runner.
COUNTING_CONFTEST = """
import os

def pytest_configure(config):
    with open(os.path.join(os.path.dirname(__file__), "pytests.txt"), "a") as file:
        file.write("a runner\\n" if hasattr(config, "workerinput") else "pytest\\n")
"""
# Ends before its model is asked for: a run of it takes the least time.
FAILING = """
# As torch's, which has an event for each step of a compilation.
events = logging.getLogger("torch.__trace")
events.propagate = False
events.setLevel("DEBUG")

@pytest.fixture
def talks():
    print("fixture up")
    yield
    print("fixture down")

@perf
def test_fail(modelperf, talks):
    print("printed")
    sys.stderr.write("written to stderr\\n")
    logging.getLogger("mine").warning("logged")
    logging.getLogger("torch.mine").warning("logged by torch")
    events.debug("an event")
    assert [1, 2] == [1, 3], "not equal"
"""
SPEED = """
@perf
def test_speed(modelperf):
    modelperf(double)
"""
WARNINGS = """
class Mine(UserWarning): ...

warnings.warn("at import")

@pytest.fixture
def warns():
    warnings.warn("in the set-up")
    yield
    warnings.warn("in the teardown")

@perf
def test_warns(modelperf, warns):
    warnings.warn(Mine("of my own"))
    for _ in range(3):
        warnings.warn("three times")

def test_unmarked():
    warnings.warn("in pytest's process")
"""


@pytest.fixture(scope="module")
def warned(new_project: Callable[[], Project]) -> Both:
    project = new_project()
    project.write("test_model.py", WARNINGS)
    return project.run_both()


@pytest.mark.parametrize(
    "options",
    [
        ["-q", "--tb=line"],
        ["-vv", "--tb=no", "-rN"],
        ["--showlocals", "--tb=long"],
    ],
    ids=" ".join,
)
def test_more_or_less_of_it_is_as_in_place(project: Project, options: list[str]) -> None:
    project.write("test_model.py", FAILING)
    both = project.run_both(*options)
    assert shown(both.there) == shown(both.here)
    both.there.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("what", "sections"),
    [
        ("no", []),
        ("log", ["log call"]),
    ],
)
def test_show_capture_chooses_what_is_shown(project: Project, what: str, sections: list[str]) -> None:
    project.write("test_model.py", FAILING)
    result = project.run(f"--show-capture={what}")
    assert re.findall(r"^-+ Captured (.*?) -+$", result.stdout.str(), re.M) == sections
    logged = ["WARNING  mine:", "WARNING  torch.mine:"] if sections else []
    assert re.findall(r"^[A-Z]+ +[\w.]+:(?=test_model)", result.stdout.str(), re.M) == logged, "no events"


def test_without_capture_output_comes_as_it_is_written(project: Project) -> None:
    project.write("test_model.py", FAILING)
    result = project.run("-s")
    result.stdout.fnmatch_lines(["test_model.py fixture up", "printed", "fixture down", "F*"])
    result.stdout.no_fnmatch_line("*Captured stdout*")
    assert result.stderr.str().count("written to stderr") == 1


def test_tee_shows_output_at_once_and_captured(project: Project) -> None:
    project.write("test_model.py", FAILING)
    result = project.run("--capture=tee-sys")
    assert result.stdout.str().count("printed\n") == 2
    assert "printed" in section(result, "- Captured stdout call")


def test_verbose_lines_name_each_test_once(project: Project) -> None:
    project.write("test_model.py", FAILING + "@perf\n@pytest.mark.skip\ndef test_skip(modelperf): ...\n")
    lines = project.run("-v").outlines
    assert [line.split("  ")[0] for line in lines if line.startswith("test_model.py::")] == [
        "test_model.py::test_fail FAILED",
        "test_model.py::test_skip SKIPPED (unconditional skip)",
    ]


def test_durations_are_those_of_the_phases(project: Project) -> None:
    project.write(
        "test_model.py",
        """
        @pytest.fixture
        def slow():
            time.sleep(0.3)
            yield
            time.sleep(0.2)

        @perf
        def test_slow(modelperf, slow):
            time.sleep(0.4)
            pytest.skip("enough")
        """,
    )
    lines = section(project.run("--durations=0", "--durations-min=0.1"), "= slowest durations")
    found = [re.fullmatch(r"([\d.]+)s (\w+) +test_model.py::test_slow", line) for line in lines if line]
    seconds = {match[2]: float(match[1]) for match in found if match}
    # The longest first: on a busy machine that may be any.
    assert list(seconds.values()) == sorted(seconds.values(), reverse=True)
    assert seconds.keys() == {"call", "setup", "teardown"}
    assert seconds["call"] >= 0.4
    assert seconds["setup"] >= 0.3
    assert seconds["teardown"] >= 0.2


class TestWarnings:
    def test_they_are_as_in_place(self, warned: Both) -> None:
        assert section(warned.there, "= warnings summary") == section(warned.here, "= warnings summary")

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("test_model.py:N", "UserWarning: at import"),
            ("test_model.py::test_warns", "UserWarning: in the set-up"),
            ("test_model.py::test_warns", "Mine: of my own"),
            ("test_model.py::test_warns", "UserWarning: three times"),
            ("test_model.py::test_warns", "UserWarning: in the teardown"),
            ("test_model.py::test_unmarked", "UserWarning: in pytest's process"),
        ],
    )
    def test_each_is_there_once(self, warned: Both, line: str, words: str) -> None:
        lines = [re.sub(r"py:\d+", "py:N", shown) for shown in section(warned.there, "= warnings summary")]
        places = [index for index, shown in enumerate(lines) if shown.endswith(words)]
        assert len(places) == 1
        assert lines[places[0] - 1].startswith(line)


def test_warnings_as_errors_fail_the_test_in_its_runner(project: Project) -> None:
    project.write("test_model.py", WARNINGS.replace('warnings.warn("at import")', ""))
    both = project.run_both("-W", "error")
    assert shown(both.there) == shown(both.here)
    both.there.stdout.fnmatch_lines(["ERROR test_model.py::test_warns - UserWarning: in the set-up"])


def test_a_filter_of_the_test_itself_holds_in_the_runner(project: Project) -> None:
    marks = '@pytest.mark.filterwarnings("error:of my own")\n@pytest.mark.filterwarnings("ignore:in the set-up")\n@perf'
    project.write("test_model.py", WARNINGS.replace("@perf", marks))
    result = project.run()
    result.stdout.fnmatch_lines(["FAILED test_model.py::test_warns - *Mine: of my own"])
    result.stdout.no_fnmatch_line("*UserWarning: in the set-up*")


class TestNothingRuns:
    """Options under which pytest shows something: no runner is started for it."""

    @pytest.fixture
    def counting(self, project: Project) -> Project:
        project.write("conftest.py", COUNTING_CONFTEST)
        project.write("test_model.py", SPEED)
        return project

    def test_collect_only_prints_the_plan(self, counting: Project) -> None:
        result = counting.run("--collect-only")
        assert result.ret == 0
        result.stdout.fnmatch_lines(
            [
                "1 case  0.0 s  test_model.py::test_speed",
                "1 marked test, 1 case, about 0.0 s of measuring, start-up apart*",
                "  <Module test_model.py>",
                "    <Function test_speed>",
            ]
        )
        _nothing_was_measured(counting, result)

    def test_setup_plan_shows_the_fixtures(self, counting: Project) -> None:
        result = counting.run("--setup-plan")
        result.stdout.fnmatch_lines(
            ["*SETUP    F modelperf", "*test_model.py::test_speed (fixtures used: modelperf, *"]
        )
        _nothing_was_measured(counting, result)

    def test_fixtures_shows_what_modelperf_is(self, counting: Project) -> None:
        result = counting.run("--fixtures", "-v")
        result.stdout.fnmatch_lines(
            [
                "modelperf -- *marked.py:*",
                "    Measure a model: `sweep = modelperf(model)`.",
                "    `model` is a module, a file's path, an ONNX model or a function of arrays*",
            ]
        )
        _nothing_was_measured(counting, result)


def test_a_run_starts_one_runner_for_a_file(project: Project) -> None:
    project.write("conftest.py", COUNTING_CONFTEST)
    project.write("test_model.py", FAILING + FAILING.replace("test_fail", "test_another"))
    project.run().assert_outcomes(failed=2)
    assert project.lines("pytests.txt") == ["pytest", "a runner"]


def test_help_shows_every_option(project: Project) -> None:
    result = project.run_disabled("--help")
    for option in (
        *("--modelperf ", "--modelperf-device=DEVICES", "--modelperf-seconds=SECONDS", "--modelperf-baselines=DIR"),
        *(
            "--modelperf-machine=NAME",
            "--modelperf-update ",
            "--modelperf-accept=NODEID",
            "--modelperf-require-baseline",
        ),
        *("--modelperf-tolerance=FRACTION", "--modelperf-isolate=YES|NO", "--modelperf-timeout=SECONDS"),
        *("--modelperf-report=FORMAT:PATH", "--modelperf-confirm="),
    ):
        assert re.search(rf"^  {re.escape(option)}", result.stdout.str(), re.M), option
    for setting in ("modelperf_uncertain (string)", "modelperf_counters (string)", "modelperf (bool)"):
        assert re.search(rf"^  {re.escape(setting)}", result.stdout.str(), re.M), setting


def test_setup_show_measures_in_place(project: Project) -> None:
    project.write("test_model.py", SPEED)
    result = project.run("--setup-show")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*SETUP    F modelperf",
            "*test_model.py::test_speed (fixtures used: modelperf, request*",
            "*TEARDOWN F modelperf",
        ]
    )
    result.stdout.fnmatch_lines(["1 new: test_model.py::test_speed"])


def test_junit_has_the_figures_as_flat_numbers(project: Project) -> None:
    project.write(
        "test_model.py",
        """
        @pytest.mark.modelperf(inputs=INPUTS, sweep={"batch": [1, 8]}, seconds=0.01)
        def test_speed(modelperf, record_property):
            record_property("mine", "my own")
            sweep = modelperf(double)
            with open("figures.txt", "w") as file:
                file.write("\\n".join(repr(float(point.latency.p50)) for point in sweep))
        """,
    )
    project.run("--junitxml=junit.xml").assert_outcomes(passed=1)
    cases = project.junit()
    assert list(cases) == ["test_speed"]
    properties = {found.attrib["name"]: found.attrib["value"] for found in cases["test_speed"].iter("property")}
    kinds = ("status", "latency.p50", "latency.p99", "throughput", "memory.peak", "verdict")
    assert list(properties) == ["mine", *(f"modelperf.batch={batch}.{kind}" for batch in (1, 8) for kind in kinds)]
    assert properties["mine"] == "my own"
    for batch, figure in zip((1, 8), project.lines("figures.txt"), strict=True):
        assert properties[f"modelperf.batch={batch}.status"] == "ok"
        assert properties[f"modelperf.batch={batch}.verdict"] == "new"
        assert float(properties[f"modelperf.batch={batch}.latency.p50"]) == float(figure)
        assert float(properties[f"modelperf.batch={batch}.throughput"]) > 0


def _nothing_was_measured(project: Project, result: pytest.RunResult) -> None:
    assert project.lines("pytests.txt") == ["pytest"]
    assert "nothing was measured" not in result.stdout.str()
    assert not (project.path / "perf_baselines").exists()
