"""The options: one row each, on the command line and in the ini file, and what the user has written for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pytest

Value = TypeVar("Value")

GROUP = "modelperf"
_RUNS_NOTHING = ("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test")


@dataclass(frozen=True)
class Option:
    """One option. `flag` is None for what can only be set in the ini file; `kind` says how it is read.

    `unset` says what holds while nobody sets it, where that is more than `default`: setting it then changes something.
    """

    ini: str
    help: str
    default: str = ""
    flag: str | None = None
    metavar: str = ""
    kind: Literal["switch", "text", "repeatable"] = "text"
    choices: tuple[str, ...] = ()
    unset: str = ""


OPTIONS = (
    Option(
        "modelperf", "run the tests marked modelperf; without it they are skipped", "no", "--modelperf", kind="switch"
    ),
    Option(
        "modelperf_device",
        "where to run: cpu, cpu:threads=2, cuda:0; where a marker names devices, those in both",
        "",
        "--modelperf-device",
        "DEVICES",
    ),
    Option(
        "modelperf_seconds",
        "measuring time for one case, start-up apart",
        "3",
        "--modelperf-seconds",
        "SECONDS",
    ),
    Option(
        "modelperf_baselines",
        "folder of the baselines, relative to the rootdir",
        "perf_baselines",
        "--modelperf-baselines",
        "DIR",
    ),
    Option(
        "modelperf_machine",
        "name of the machine's folder of baselines, for CI machines that come and go (default: made from the hardware)",
        "",
        "--modelperf-machine",
        "NAME",
    ),
    Option("modelperf_update", "accept this run into the baselines", "no", "--modelperf-update", kind="switch"),
    Option(
        "modelperf_accept",
        "a slowdown of this test is meant: reported, does not fail (repeatable, takes patterns)",
        "",
        "--modelperf-accept",
        "NODEID",
        "repeatable",
    ),
    Option(
        "modelperf_require_baseline",
        "a test without a baseline fails",
        "no",
        "--modelperf-require-baseline",
        kind="switch",
    ),
    Option(
        "modelperf_tolerance",
        "slowdown that is accepted",
        "5%",
        "--modelperf-tolerance",
        "FRACTION",
        unset="5%, with --modelperf-against 2%",
    ),
    Option(
        "modelperf_memory_tolerance",
        "how much more memory is accepted; none: it is not judged",
        "5%",
        "--modelperf-memory-tolerance",
        "FRACTION",
    ),
    Option(
        "modelperf_size_tolerance",
        "how much larger a model may become; none: it is not judged",
        "1%",
        "--modelperf-size-tolerance",
        "FRACTION",
    ),
    Option(
        "modelperf_cold_start_tolerance",
        "how much longer loading and the first call may take; none: they are not judged",
        "50%",
        "--modelperf-cold-start-tolerance",
        "FRACTION",
    ),
    Option(
        "modelperf_mean_tolerance",
        "with --modelperf-against: how much longer the mean call may take where the middle of the calls does not; "
        "none: it is not judged",
        "10%",
        "--modelperf-mean-tolerance",
        "FRACTION",
    ),
    Option(
        "modelperf_against",
        "measure this git commit side by side, instead of reading stored baselines",
        "",
        "--modelperf-against",
        "REF",
    ),
    Option(
        "modelperf_against_python",
        "interpreter that measures the commit, for example one with another version of the framework",
        "",
        "--modelperf-against-python",
        "PATH",
    ),
    Option(
        "modelperf_against_pythonpath",
        "folders of the commit that come first on its import path, relative to the rootdir; src where there is one, "
        "unless it is set",
        kind="repeatable",
    ),
    Option(
        "modelperf_against_link",
        "files and folders that git does not hold (weights, data) and the commit is lent, relative to the rootdir",
        kind="repeatable",
    ),
    Option(
        "modelperf_pairs",
        "pairs of fresh processes that share the measuring time of a comparison with a commit",
        "5",
        "--modelperf-pairs",
        "NUMBER",
    ),
    Option(
        "modelperf_isolate",
        "yes: run marked tests in a runner, a process of their own for each file; no: in the pytest process",
        "yes",
        "--modelperf-isolate",
        "YES|NO",
        choices=("yes", "no"),
    ),
    Option(
        "modelperf_confirm",
        "how often a suspected slowdown is measured again, in a fresh runner, before the test fails",
        "2",
        "--modelperf-confirm",
        "TIMES",
    ),
    Option(
        "modelperf_timeout",
        "seconds a runner may stay silent before it is taken to hang",
        "600",
        "--modelperf-timeout",
        "SECONDS",
    ),
    Option(
        "modelperf_profile",
        # Those of profiling/registry.py, which imports too much to be asked in every run of pytest.
        "where the time of a call goes: auto, none, or sources (onnxruntime, openvino, tensorrt, tensorflow, torch, "
        "cupti), the first that can",
        "none",
        "--modelperf-profile",
        "SOURCES",
    ),
    Option(
        "modelperf_convert",
        "converters to try for faster variants of the models: auto, none, or names",
        "none",
        "--modelperf-convert",
        "NAMES",
    ),
    Option(
        "modelperf_convert_seconds",
        "seconds that all converters of one test may take together",
        "300",
        "--modelperf-convert-seconds",
        "SECONDS",
    ),
    Option(
        "modelperf_export",
        "folder to write the suggested variants into, each with a script that runs it",
        "",
        "--modelperf-export",
        "DIR",
    ),
    Option(
        "modelperf_soak",
        "seconds that each case is called in a loop while meters of energy, power and clocks are read, where any can "
        "be; 0: never",
        "2",
        "--modelperf-soak",
        "SECONDS",
    ),
    Option(
        "modelperf_report",
        "write a report, for example json:perf.json (repeatable)",
        "",
        "--modelperf-report",
        "FORMAT:PATH",
        "repeatable",
    ),
    Option(
        "modelperf_uncertain",
        "what an uncertain verdict is: warn, or fail the test",
        "warn",
        choices=("warn", "fail"),
    ),
    Option(
        "modelperf_counters",
        "what a changed counter (FLOPs, operator calls, size) is: note, or fail the test",
        "note",
        choices=("note", "fail"),
    ),
    Option(
        "modelperf_missing_device",
        "what a test is whose device is not there: skip it, or fail it",
        "skip",
        choices=("skip", "fail"),
        unset="skip; fail where the variable CI is set, and the marker or the command line names accelerators alone",
    ),
    Option(
        "modelperf_outputs",
        "what answers are that changed with unchanged weights and inputs, or are new NaN: fail the test, or note",
        "fail",
        choices=("fail", "note"),
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Register every row, as an option and as an ini setting."""
    group = parser.getgroup(GROUP, "performance of machine-learning models")
    for option in OPTIONS:
        if option.flag is not None:
            default = option.unset or option.default
            said = option.kind != "switch" and default
            # argparse takes a sign of percent for a place to fill in.
            text = (f"{option.help} (default: {default})" if said else option.help).replace("%", "%%")
            group.addoption(option.flag, dest=option.ini, help=text, **_argument(option))
        kind: Any = {"switch": "bool", "repeatable": "linelist"}.get(option.kind, "string")
        # Not the option's own default: what is set to it is set all the same.
        empty: Any = {"switch": False, "repeatable": []}.get(option.kind, "")
        text = f"{option.help} (default: {option.unset or option.default or 'none'})"
        parser.addini(option.ini, text, type=kind, default=empty)


def is_enabled(config: pytest.Config) -> bool:
    """Whether the marked tests are to run."""
    return bool(value_of(config, "modelperf"))


def runs_nothing(config: pytest.Config) -> bool:
    """Whether pytest shows something and runs no test."""
    return any(config.getoption(name, False) for name in _RUNS_NOTHING)


def check_disabled(config: pytest.Config) -> None:
    """Raises pytest.UsageError for an option of this call that asks for what only an enabled run does."""
    for option in OPTIONS:
        if option.ini in ("modelperf_update", "modelperf_against") and getattr(config.option, option.ini, None):
            raise pytest.UsageError(
                f"{option.flag} does nothing without --modelperf, which runs the marked tests; add it"
            )


def check_settings(config: pytest.Config) -> None:
    """Raises pytest.UsageError for a setting of the ini file that looks like ours and is none: nobody would read it."""
    from ..errors import nearest

    # What pytest warns of. A later one may have no such method, and warns all the same.
    for name in sorted(getattr(config, "_get_unknown_ini_keys", set)()):
        if name.startswith(f"{GROUP}_"):
            settings = [option.ini for option in OPTIONS]
            raise pytest.UsageError(f"ini {name}: there is no such setting; {nearest(name, settings)}")


def unheard(config: pytest.Config) -> list[str]:
    """The options of this call that say how marked tests are to run, where they do not."""
    written = {argument.partition("=")[0] for argument in map(str, config.invocation_params.args)}
    return [option.flag for option in OPTIONS if option.flag in written] if not is_enabled(config) else []


def value_of(config: pytest.Config, ini: str) -> Any:
    """What the command line says, else the ini file, else the default. Raises pytest.UsageError for an empty text."""
    option, given = _row(ini), getattr(config.option, ini, None)
    texts = given if isinstance(given, list) else [given] if isinstance(given, str) else []
    if not all(text.strip() for text in texts):
        # A CI's variable that is not set: neither the rootdir for baselines nor the machine's own name is meant.
        raise pytest.UsageError(f"{option.flag} is empty; write {option.flag}={option.metavar}, or leave it out")
    if given is None:
        given = config.getini(ini)
        return option.default if given == "" else given
    return given


def is_set(config: pytest.Config, ini: str) -> bool:
    """Whether the command line or the ini file says anything."""
    return getattr(config.option, ini, None) is not None or config.getini(ini) != ""


def read(config: pytest.Config, ini: str, parse: Callable[[str], Value]) -> Value:
    """The value, parsed. Raises pytest.UsageError that names what the user wrote."""
    return checked(config, ini, parse, value_of(config, ini))


def checked(config: pytest.Config, ini: str, parse: Callable[[str], Value], value: str) -> Value:
    """The same of a part of the value."""
    from ..errors import UsageError

    try:
        return parse(value)
    except UsageError as error:
        raise pytest.UsageError(f"{written_as(config, ini)}: {error}") from None


def choice(config: pytest.Config, ini: str) -> str:
    """The value, which is one of the row's choices. Raises pytest.UsageError."""
    value = str(value_of(config, ini)).lower()
    if value not in _row(ini).choices:
        choices = " nor ".join(map(repr, _row(ini).choices))
        raise pytest.UsageError(f"{written_as(config, ini)}: {value!r} is neither {choices}")
    return value


def written_as(config: pytest.Config, ini: str) -> str:
    """What the user wrote: the option, or the setting of the ini file."""
    option = _row(ini)
    if option.flag is not None and getattr(config.option, ini, None) is not None:
        return option.flag
    return f"ini {ini}"


def _row(ini: str) -> Option:
    return next(option for option in OPTIONS if option.ini == ini)


def _argument(option: Option) -> dict[str, Any]:
    if option.kind == "switch":
        return {"action": "store_true", "default": None}
    argument: dict[str, Any] = {"metavar": option.metavar, "default": None}
    return argument | ({"action": "append"} if option.kind == "repeatable" else {})
