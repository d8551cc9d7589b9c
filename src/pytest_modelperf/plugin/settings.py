"""The Settings of a run: what its options say, read and checked once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ..domain.device import Device
from ..domain.spec import parse_seconds, parse_tolerance
from ..domain.verdict import Tolerances
from ..errors import UsageError
from . import aside
from .options import checked, choice, is_set, read, value_of

# What is accepted of a slowdown where both sides are measured in turn: they repeat so much better (docs/verdicts.md).
AGAINST_TOLERANCE = 0.02
# Pairs of fresh processes that share the measuring time of a case. Two processes of one model differ by what no round
# shows (memory is laid out anew); five tell that spread with four degrees of freedom, and cost five starts.
PAIRS = 5
# Values of the variable CI that say that this is none.
_NO_CI = ("", "0", "false")
# A single pair does not tell how far pairs differ.
FEWEST_PAIRS = 2


@dataclass(frozen=True)
class Settings:
    """What the options say, read and checked. `seconds`, `soak` (0: none) and `timeout_s` in seconds, `tolerance` a
    fraction.

    `against` names the commit to compare with, "" for stored baselines. `profile` names the sources of profiles that
    the user asks for (() for all that there are, None: nobody asks). `aside` is the folder for what is no report and no
    baseline. `convert` names the converters to try, AUTO for all, none for none; `export` is the folder for what is
    suggested. `missing_device` is "skip" or "fail", "" where nobody says. `pairs` of fresh processes measure both sides
    of a comparison with a commit.
    """

    devices: tuple[Device, ...]
    seconds: float
    baselines: Path
    machine: str
    update: bool
    accept: tuple[str, ...]
    require_baseline: bool
    tolerance: float
    tolerances: Tolerances
    isolate: bool
    confirm: int
    timeout_s: float
    reports: tuple[str, ...]
    uncertain_fails: bool
    counters_fail: bool
    outputs_fail: bool
    profile: tuple[str, ...] | None = None
    aside: Path = Path(aside.NAME)
    convert: tuple[str, ...] = ()
    convert_seconds: float = 300.0
    export: Path | None = None
    soak: float = 0.0
    missing_device: str = ""
    in_ci: bool = False
    against: str = ""
    against_python: str = ""
    against_pythonpath: tuple[str, ...] = ()
    against_link: tuple[str, ...] = ()
    pairs: int = PAIRS

    def accepts(self, nodeid: str) -> bool:
        """Whether a slowdown of this test is meant."""
        return any(is_meant(nodeid, pattern) for pattern in self.accept)


def is_meant(nodeid: str, pattern: str) -> bool:
    """Whether the id of a test is what `--modelperf-accept` names."""
    return nodeid == pattern or fnmatchcase(nodeid, pattern)


def read_settings(config: pytest.Config) -> Settings:
    """Every option, checked. Raises pytest.UsageError that names the option."""
    devices = [text for text in str(value_of(config, "modelperf_device")).split(",") if text.strip()]
    against = str(value_of(config, "modelperf_against"))
    tolerance = read(config, "modelperf_tolerance", parse_tolerance)
    return Settings(
        devices=tuple(
            dict.fromkeys(checked(config, "modelperf_device", Device.parse, text.strip()) for text in devices)
        ),
        seconds=read(config, "modelperf_seconds", parse_seconds),
        baselines=config.rootpath / str(value_of(config, "modelperf_baselines")),
        machine=str(value_of(config, "modelperf_machine")),
        update=bool(value_of(config, "modelperf_update")),
        accept=tuple(value_of(config, "modelperf_accept")),
        require_baseline=bool(value_of(config, "modelperf_require_baseline")),
        tolerance=AGAINST_TOLERANCE if against and not is_set(config, "modelperf_tolerance") else tolerance,
        tolerances=Tolerances(
            memory=read(config, "modelperf_memory_tolerance", _more),
            size=read(config, "modelperf_size_tolerance", _more),
            cold_start=read(config, "modelperf_cold_start_tolerance", _more),
            mean=read(config, "modelperf_mean_tolerance", _more),
        ),
        isolate=choice(config, "modelperf_isolate") == "yes",
        confirm=read(config, "modelperf_confirm", _times),
        timeout_s=read(config, "modelperf_timeout", parse_seconds),
        reports=tuple(value_of(config, "modelperf_report")),
        uncertain_fails=choice(config, "modelperf_uncertain") == "fail",
        counters_fail=choice(config, "modelperf_counters") == "fail",
        outputs_fail=choice(config, "modelperf_outputs") == "fail",
        missing_device=choice(config, "modelperf_missing_device") if is_set(config, "modelperf_missing_device") else "",
        in_ci=os.environ.get("CI", "").lower() not in _NO_CI,
        profile=read(config, "modelperf_profile", _sources),
        aside=config.rootpath / aside.NAME,
        soak=read(config, "modelperf_soak", _none_or_seconds),
        convert=read(config, "modelperf_convert", _converters),
        convert_seconds=read(config, "modelperf_convert_seconds", parse_seconds),
        export=_folder(config, "modelperf_export"),
        against=against,
        against_python=str(value_of(config, "modelperf_against_python")),
        against_pythonpath=tuple(value_of(config, "modelperf_against_pythonpath")),
        against_link=tuple(value_of(config, "modelperf_against_link")),
        pairs=read(config, "modelperf_pairs", _pairs),
    )


def _more(value: str) -> float | None:
    """The fraction, None for `none`."""
    return None if str(value).strip().lower() == "none" else parse_tolerance(value, "increase")


def _none_or_seconds(value: str) -> float:
    """A time in seconds; 0 for none."""
    return 0.0 if str(value).strip() in ("0", "0.0") else parse_seconds(value)


def _sources(value: str) -> tuple[str, ...] | None:
    names = tuple(name.strip() for name in str(value).split(",") if name.strip())
    if names == ("none",):
        return None
    return () if names == ("auto",) else names


def _converters(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in str(value).split(",") if name.strip())
    return () if names == ("none",) else tuple(dict.fromkeys(names))


def _folder(config: pytest.Config, name: str) -> Path | None:
    """A folder, relative to the rootdir; None for none."""
    given = str(value_of(config, name))
    return config.rootpath / given if given else None


def _pairs(value: str) -> int:
    if not str(value).isdigit() or int(value) < FEWEST_PAIRS:
        raise UsageError(
            f"{value!r} is no number of pairs; write {FEWEST_PAIRS} or more: one does not tell how far they differ"
        )
    return int(value)


def _times(value: str) -> int:
    if not str(value).isdigit():
        raise UsageError(f"{value!r} is no number of times; write 0, 1, 2 …")
    return int(value)
