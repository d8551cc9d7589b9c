from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_modelperf.plugin.settings import read_settings
from pytest_modelperf.plugin.setup import register
from pytest_modelperf.plugin.stash import SETTINGS

Configure = Callable[..., None]


@pytest.fixture
def configure(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Puts an enabled run with these arguments together, as far as it comes: all that are tried here are refused."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def refused(*arguments: str) -> None:
        config = pytester.parseconfig("-p", "modelperf", "--modelperf", *arguments)
        config.stash[SETTINGS] = read_settings(config)
        register(config)

    return refused


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--modelperf-machine=../elsewhere", "--modelperf-machine='../elsewhere' leaves the folder of the baselines; "),
        ("--modelperf-machine=con", "--modelperf-machine='con' is a name that Windows keeps for itself; write letters"),
        (
            "--modelperf-report=jsn:a.json",
            "--modelperf-report=jsn:a.json: there is no report format 'jsn'; did you mean",
        ),
        (
            "--modelperf-report=a.json",
            "--modelperf-report=a.json names no format; write --modelperf-report=json:a.json",
        ),
        (
            "--modelperf-report=json:.",
            "the report . cannot be written: Is a directory; name a file in a folder that you",
        ),
        (
            f"--modelperf-report=json:{__file__}/sub/a.json",
            f"the report {__file__}/sub/a.json cannot be written: Not a directory; name a file in a folder that you",
        ),
        (
            f"--modelperf-export={__file__}",
            f"--modelperf-export={__file__}: nothing can be written there: Not a directory; name a folder that you",
        ),
        ("--modelperf-report=json:", "--modelperf-report=json: names no file; write --modelperf-report=json:PATH"),
        (
            "--modelperf-profile=torhc",
            "--modelperf-profile: there is no source of profiles 'torhc'; did you mean 'torch",
        ),
    ],
)
def test_what_cannot_be_is_refused(configure: Configure, argument: str, words: str) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        configure(argument)
    assert str(caught.value).startswith(words)


def test_where_variants_cannot_be_made_is_told_before_anything_runs(
    configure: Configure, pytester: pytest.Pytester
) -> None:
    (pytester.path / ".modelperf").write_text("no folder", "utf-8")
    with pytest.raises(pytest.UsageError, match=r"makes variants in .*\.modelperf: nothing can be written there"):
        configure("--modelperf-convert=auto")


def test_a_misspelt_setting_of_the_ini_file_is_refused(configure: Configure, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmodelperf_tolerence = 3%\n")
    with pytest.raises(pytest.UsageError, match=r"^ini modelperf_tolerence: .*; did you mean 'modelperf_tolerance'\?"):
        configure()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--modelperf-update", "--modelperf-update accepts this run into stored baselines, which are not read with "),
        ("--modelperf-isolate=no", "--modelperf-isolate=no runs the tests in the pytest process, where there is no "),
        ("--pdb", "--pdb runs the tests in the pytest process, where there is no other side with --modelperf-against"),
    ],
)
def test_what_a_comparison_with_a_commit_is_not_combined_with(configure: Configure, argument: str, words: str) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        configure("--modelperf-against=main", argument)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("argument", ["--modelperf-isolate=no", "--modelperf-against=HEAD"])
def test_what_ranks_cannot_do_is_refused(configure: Configure, monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a run"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(pytest.UsageError, match="does not work with the several processes of torchrun: "):
        configure(argument)
