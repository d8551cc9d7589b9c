from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.plugin.options import OPTIONS, check_disabled
from pytest_modelperf.plugin.settings import AGAINST_TOLERANCE, Settings, read_settings

Configured = Callable[..., pytest.Config]


@pytest.fixture
def configured(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Configured:
    """The config of a run with these arguments and lines of its ini file, which nothing is done with."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def make(*arguments: str, ini: Sequence[str] = ()) -> pytest.Config:
        pytester.makeini("\n".join(["[pytest]", *ini]))
        return pytester.parseconfig("-p", "modelperf", *arguments)

    return make


@pytest.fixture
def read(configured: Configured) -> Callable[..., Settings]:
    return lambda *arguments, **options: read_settings(configured(*arguments, **options))


@pytest.mark.parametrize(
    ("argument", "name", "value"),
    [
        ("--modelperf-seconds=20 ms", "seconds", 0.02),
        ("--modelperf-device=cpu, cuda:0,cpu", "devices", (Device("cpu"), Device("cuda", 0))),
        ("--modelperf-confirm=0", "confirm", 0),
        ("--modelperf-pairs=9", "pairs", 9),
        ("--modelperf-soak=0", "soak", 0.0),
        ("--modelperf-isolate=NO", "isolate", False),
        ("--modelperf-profile=none", "profile", None),
        ("--modelperf-profile=auto", "profile", ()),
        ("--modelperf-profile=torch, openvino", "profile", ("torch", "openvino")),
        ("--modelperf-convert=fp16,fp16", "convert", ("fp16",)),
        ("--modelperf-tolerance=3%", "tolerance", 0.03),
    ],
)
def test_what_an_option_says(read: Callable[..., Settings], argument: str, name: str, value: Any) -> None:
    assert getattr(read(argument), name) == value


def test_sides_that_are_measured_in_turn_are_held_to_less_unless_the_user_says(read: Callable[..., Settings]) -> None:
    assert read("--modelperf-against=main").tolerance == AGAINST_TOLERANCE
    assert read("--modelperf-against=main", ini=["modelperf_tolerance = 5%"]).tolerance == 0.05


@pytest.mark.parametrize(
    ("ci", "ini", "missing", "fails"),
    [
        ("", [], "", False),
        ("false", [], "", False),
        ("true", [], "", True),
        ("true", ["modelperf_missing_device = skip"], "skip", True),
        ("", ["modelperf_missing_device = fail"], "fail", False),
    ],
)
def test_what_a_test_without_its_device_is(
    read: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, ci: str, ini: list[str], missing: str, fails: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    found = read(ini=ini)
    assert (found.missing_device, found.in_ci) == (missing, fails)


def test_a_default_can_be_written_down_but_where_its_row_says_what_is_lost(read: Callable[..., Settings]) -> None:
    against = "--modelperf-against=main"
    plain = read(against)
    written = {option.ini: read(against, ini=[f"{option.ini} = {option.default}"]) for option in OPTIONS}
    changed = {name for name, settings in written.items() if settings != plain}
    assert changed == {option.ini for option in OPTIONS if option.unset}


def test_of_several_increases_each_has_its_own(read: Callable[..., Settings]) -> None:
    found = read("--modelperf-memory-tolerance=none", ini=["modelperf_size_tolerance = 2%"]).tolerances
    assert (found.memory, found.size, found.cold_start) == (None, 0.02, 0.5)


def test_an_empty_setting_of_the_ini_file_is_none(read: Callable[..., Settings], pytester: pytest.Pytester) -> None:
    found = read(ini=["modelperf_baselines =", "modelperf_seconds ="])
    assert found == read()
    assert found.baselines == pytester.path / "perf_baselines"


def test_the_command_line_comes_before_the_ini_file(read: Callable[..., Settings]) -> None:
    assert read("--modelperf-seconds=7", ini=["modelperf_seconds = 5"]).seconds == 7
    assert read(ini=["modelperf_seconds = 5"]).seconds == 5


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--modelperf-seconds=0", "--modelperf-seconds: seconds '0' is no measuring time; write a number above zero"),
        ("--modelperf-seconds=3 GiB", "--modelperf-seconds: '3 GiB' is in B, where '20 ms' would fit"),
        ("--modelperf-soak=long", "--modelperf-soak: 'long' is no quantity"),
        (
            "--modelperf-device=cpu,gpu one",
            "--modelperf-device: device 'gpu one' is not understood; write 'cpu'",
        ),
        ("--modelperf-tolerance=-5%", "--modelperf-tolerance: tolerance '-5%' is no accepted slowdown; write "),
        ("--modelperf-memory-tolerance=-5%", "--modelperf-memory-tolerance: tolerance '-5%' is no accepted increase; "),
        ("--modelperf-pairs=1", "--modelperf-pairs: '1' is no number of pairs; write 2 or more"),
        ("--modelperf-confirm=-1", "--modelperf-confirm: '-1' is no number of times; write 0, 1, 2"),
        ("--modelperf-confirm=often", "--modelperf-confirm: 'often' is no number of times"),
        ("--modelperf-confirm=1.5", "--modelperf-confirm: '1.5' is no number of times"),
        ("--modelperf-isolate=perhaps", "--modelperf-isolate: 'perhaps' is neither 'yes' nor 'no'"),
        ("--modelperf-baselines=", "--modelperf-baselines is empty; write --modelperf-baselines=DIR, or leave it out"),
        ("--modelperf-against=", "--modelperf-against is empty; write --modelperf-against=REF, or leave it out"),
    ],
)
def test_what_cannot_be_names_the_option(read: Callable[..., Settings], argument: str, words: str) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        read(argument)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("modelperf_seconds = 0", "seconds '0' is no measuring time"),
        ("modelperf_device = cpu:threads=0", "device 'cpu:threads=0' is not understood; write 'cpu', 'cpu:threads=2'"),
        ("modelperf_tolerance = some", "'some' is no quantity; write a number or a text "),
        ("modelperf_uncertain = shout", "'shout' is neither 'warn' nor 'fail'"),
        ("modelperf_counters = count", "'count' is neither 'note' nor 'fail'"),
    ],
)
def test_what_cannot_be_names_the_setting_of_the_ini_file(read: Callable[..., Settings], line: str, words: str) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        read(ini=[line])
    assert str(caught.value).startswith(f"ini {line.partition(' ')[0]}: {words}")


@pytest.mark.parametrize("argument", ["--modelperf-update", "--modelperf-against=main"])
def test_what_only_an_enabled_run_does_is_not_asked_in_vain(configured: Configured, argument: str) -> None:
    flag = argument.partition("=")[0]
    with pytest.raises(pytest.UsageError, match=f"^{flag} does nothing without --modelperf, which runs the marked tes"):
        check_disabled(configured(argument))
    check_disabled(configured())
