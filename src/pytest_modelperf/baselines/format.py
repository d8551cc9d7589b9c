"""The format of a baseline file: JSON that is reviewed in pull requests, and checked field by field when it is read."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..domain.baseline import Baseline, CaseRecord, Location, OutputSample, Run
from ..domain.blame import Use, Uses
from ..errors import BaselineError

# History of the format. A file says which it is; one of another format is refused, with what to do.
#   1  before the first release: locations of the middle rounds, which compare wrongly with those of the fast ones
#   2  anchors, runs (conditions, cases), machine, test
#   3  the same, of few rounds located where many are, and errors told by stretches of a run
FORMAT = 3

# Digits that floats keep: a log location to a few parts in a million, finer than any two runs agree.
SIGNIFICANT_DIGITS = 7

RESTORE = "restore it from version control, or delete it and accept a new baseline with --modelperf-update"

_CONFLICT = re.compile(r"^(<<<<<<<|>>>>>>>)( |$)", re.MULTILINE)
# Counters are compared exactly, and outputs come with the digits that their dtype is worth: they keep all.
_EXACT, _ALL_DIGITS = ("counts", "scale", "values"), 17
# What no measurement gives: logs of times beyond the age of the universe either way, more rounds than time.
_LOGS, _SPREADS, _ROUNDS = (-1e3, 1e3), (0.0, 1e3), (1.0, 1e9)
_RANGES: dict[type, dict[str, tuple[float, float]]] = {
    CaseRecord: {"rounds": _ROUNDS, "tick_ns": (1e-9, 1e9)},
    Location: {"location": _LOGS, "spread": _SPREADS},
    OutputSample: {"scale": (0.0, sys.float_info.max)},
    Use: {"calls": (0.0, 1e12), "share": (0.0, 1e6)},
    Uses: {},
}

# What files of this format may lack, for it was added since, and what that stands for. It is not written either.
_ADDED: dict[type, dict[str, object]] = {Run: {"devices": {}}, CaseRecord: {"tick_ns": 1.0}}

# Nouns that stand on one line each.
_LINES = [{field.name for field in dataclasses.fields(noun)} for noun in (Location, Use)]
# The fields that hold nouns by name, and those that hold whatever was counted or read, by name.
_BY_NAME, _FREE = ("scaled", "outputs"), ("figures", "counts")

Noun = TypeVar("Noun")


def encode(baseline: Baseline) -> str:
    """The file's text: sorted keys, rounded floats, no time stamps; equal baselines give equal texts.

    A line for each field, but one for a location, an operator and all values of an output. Raises BaselineError for a
    figure that is no finite number.
    """
    data = {"format": FORMAT, **dataclasses.asdict(baseline)}
    for run in (*data["anchors"], *data["runs"]):
        _drop_usual(run, Run)
        for record in run["cases"].values():
            _drop_usual(record, CaseRecord)
    try:
        return _text(_rounded(data)) + "\n"
    except ValueError:
        field = ", ".join(_not_finite(data, ""))
        raise BaselineError(f"the run of {baseline.test} has no finite {field}; it cannot be accepted") from None


def decode(text: str, path: Path) -> Baseline:
    """The baseline that the text of the file at `path` holds.

    Raises BaselineError that names the file, the field and the remedy: for conflict markers, text that is cut off or no
    JSON, another format, and fields that are missing, unknown, of the wrong type or impossible.
    """
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise _problem(
            path, f"holds a merge conflict (line {line})", "keep either side, then run with --modelperf-update"
        )
    data = _parsed(text, path)
    _check_format(data, path)
    del data["format"]
    _check_names(data, Baseline, "", path)
    return Baseline(
        test=_converted(data["test"], str, "test", path),
        machine=_converted(data["machine"], str, "machine", path),
        anchors=tuple(_runs(data["anchors"], "anchors", path)),
        runs=tuple(_runs(data["runs"], "runs", path)),
    )


def damaged(path: Path, what: str) -> BaselineError:
    """The error for a file that cannot be read as a baseline."""
    return _problem(path, what, RESTORE)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    if not text.strip():
        raise damaged(path, "is empty")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        # A whole file ends with the brace of its object.
        raise damaged(path, f"is no JSON ({error})" if text.rstrip().endswith("}") else "is cut off") from None
    if not isinstance(data, dict):
        raise damaged(path, "holds no JSON object")
    return data


def _check_format(data: Mapping[str, Any], path: Path) -> None:
    found = data.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise _damaged(path, "format", "is missing" if found is None else f"is {found!r}, not a version number")
    if found > FORMAT:
        raise _problem(
            path,
            f"was written by a newer pytest-modelperf (format {found}, this one reads {FORMAT})",
            "upgrade pytest-modelperf, or delete the file and accept a new baseline with --modelperf-update",
        )
    if found < FORMAT:
        raise _problem(
            path,
            f"was written by an older pytest-modelperf (format {found}, this one reads {FORMAT}), "
            "which kept times of another kind",
            "delete the file and accept a new baseline with --modelperf-update",
        )


def _runs(data: object, where: str, path: Path) -> list[Run]:
    if not isinstance(data, list):
        raise _damaged(path, where, "is no list")
    return [_run(run, f"{where}[{index}]", path) for index, run in enumerate(data)]


def _run(data: object, where: str, path: Path) -> Run:
    fields = _fields(data, Run, where, path)
    cases = _converted(fields["cases"], dict[str, Any], f"{where}.cases", path)
    return Run(
        conditions=_converted(fields["conditions"], dict[str, str], f"{where}.conditions", path),
        cases={case: _record(record, f"{where}.cases[{case!r}]", path) for case, record in cases.items()},
        devices=_converted(fields.get("devices", {}), dict[str, dict[str, str]], f"{where}.devices", path),
    )


def _record(data: object, where: str, path: Path) -> CaseRecord:
    fields = _fields(data, CaseRecord, where, path)
    scaled, outputs = (_converted(fields[name], dict[str, Any], f"{where}.{name}", path) for name in _BY_NAME)
    nested = {
        "times": _noun(fields["times"], Location, f"{where}.times", path),
        "scaled": {name: _noun(one, Location, f"{where}.scaled[{name!r}]", path) for name, one in scaled.items()},
        "outputs": {
            name: _noun(one, OutputSample, f"{where}.outputs[{name!r}]", path) for name, one in outputs.items()
        },
        "profile": None if fields["profile"] is None else _uses(fields["profile"], f"{where}.profile", path),
    }
    return _noun({**fields, **nested}, CaseRecord, where, path)


def _uses(data: object, where: str, path: Path) -> Uses:
    fields = _fields(data, Uses, where, path)
    operators = _converted(fields["operators"], dict[str, Any], f"{where}.operators", path)
    nested = {name: _noun(one, Use, f"{where}.operators[{name!r}]", path) for name, one in operators.items()}
    return _noun({**fields, "operators": nested}, Uses, where, path)


def _noun(data: object, noun: type[Noun], where: str, path: Path) -> Noun:
    """The noun with these fields, none of them impossible."""
    found = _converted(_fields(data, noun, where, path), noun, where, path)
    for name, (least, most) in _RANGES[noun].items():
        value = getattr(found, name)
        if not least <= value <= most:
            raise _damaged(path, f"{where}.{name}", f"is {str(value)[:20]}, which cannot be")
    for name in _FREE:
        for field in _not_finite(getattr(found, name, {}), f"{where}.{name}"):
            raise _damaged(path, field, "is no finite number")
    return found


def _fields(data: object, noun: type, where: str, path: Path) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _damaged(path, where, "is no JSON object")
    _check_names(data, noun, where, path)
    return data


def _check_names(data: Mapping[str, Any], noun: type, where: str, path: Path) -> None:
    """Every field is written but those that were added, so that one that is missing was lost.

    An unknown one is a slip of the pen.
    """
    known = {field.name for field in dataclasses.fields(noun)}
    for name in sorted((known ^ data.keys()) - _ADDED.get(noun, {}).keys()):
        raise _damaged(path, f"{where}.{name}".strip("."), "is missing" if name in known else "is not known")


def _drop_usual(fields: dict[str, Any], noun: type) -> None:
    for name, usual in _ADDED[noun].items():
        if fields[name] == usual:
            del fields[name]


def _converted(value: object, kind: type[Noun], where: str, path: Path) -> Noun:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, inner = str(error).partition(" - at `$")
        raise _damaged(path, where + inner.rstrip("`"), f"is wrong: {what}") from None


def _text(value: object, margin: str = "\n") -> str:
    """The JSON of `value`, which stands after `margin`: a line break and the indentation."""
    inner = margin + "  "
    if isinstance(value, dict) and value and value.keys() not in _LINES:
        items = [f"{json.dumps(name)}: {_text(child, inner)}" for name, child in sorted(value.items())]
        return f"{{{inner}{f',{inner}'.join(items)}{margin}}}"
    if isinstance(value, list) and any(isinstance(child, dict) for child in value):
        return f"[{inner}{f',{inner}'.join(_text(child, inner) for child in value)}{margin}]"
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _rounded(value: object, digits: int = SIGNIFICANT_DIGITS) -> object:
    if isinstance(value, Mapping):
        return {name: _rounded(child, _ALL_DIGITS if name in _EXACT else digits) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(child, digits) for child in value]
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    # Bytes and counts are whole: they lose nothing, and no ".0" is left to read over.
    rounded = value if value.is_integer() else float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


def _not_finite(value: object, where: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _not_finite(child, f"{where}.{name}".strip("."))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _not_finite(child, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield where


def _damaged(path: Path, field: str, what: str) -> BaselineError:
    return damaged(path, f"is damaged: {field} {what}")


def _problem(path: Path, what: str, remedy: str) -> BaselineError:
    return BaselineError(f"the baseline {path} {what}; {remedy}")
