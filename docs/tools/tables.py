"""Writes what the pages say of options and metrics from the tables that the program reads.

    python docs/tools/tables.py

A page has a place for one between two lines: `<!-- table: options -->` and `<!-- end of table -->`. The tests see to it
that what stands there is what the program reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

from pytest_modelperf.converting.protocol import Converter, Subject
from pytest_modelperf.converting.registry import builtin
from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.metrics import METRICS
from pytest_modelperf.judging.advice.table import RULES
from pytest_modelperf.plugin.options import OPTIONS, Option

DOCS = Path(__file__).parents[1]

_PLACE = re.compile(r"^<!-- table: (\w+) -->\n.*?^<!-- end of table -->$", re.MULTILINE | re.DOTALL)


def main() -> None:
    for page in pages():
        page.write_text(filled(page.read_text("utf-8")), encoding="utf-8")


def pages() -> list[Path]:
    """The pages that have a table."""
    return [page for page in sorted(DOCS.rglob("*.md")) if _PLACE.search(page.read_text("utf-8"))]


def filled(markdown: str) -> str:
    """A page with its tables as they are today."""
    return _PLACE.sub(
        lambda place: f"<!-- table: {place[1]} -->\n\n{TABLES[place[1]]()}\n\n<!-- end of table -->", markdown
    )


def options() -> str:
    rows = ((_flag(option), option.help, _default(option)) for option in OPTIONS if option.flag)
    return _table(("option", "meaning", "default"), rows)


def settings() -> str:
    rows = (
        (f"`{option.ini}`", " or ".join(f"`{choice}`" for choice in option.choices), option.help, _default(option))
        for option in OPTIONS
        if not option.flag
    )
    return _table(("setting", "values", "meaning", "default"), rows)


def metrics() -> str:
    rows = (
        (
            f"`{row.path}`",
            f"`{row.unit}`" if row.unit else "",
            "higher" if row.higher_is_better else "lower",
            row.meaning,
        )
        for row in METRICS.values()
    )
    return _table(("path", "unit", "better", "meaning"), rows)


def converters() -> str:
    """The converters in the order in which they are tried."""
    rows = (
        (f"`{each.name}`", each.what, f"`{each.takes}`", f"`{each.gives}`", each.precision, _needs(each))
        for each in builtin()
        if not each.is_bridge
    )
    return _table(("name", "what it makes", "takes", "gives", "computes in", "needs"), rows)


def bridges() -> str:
    rows = ((f"`{each.takes}`", f"`{each.gives}`", each.what, _needs(each)) for each in builtin() if each.is_bridge)
    return _table(("from", "to", "what", "needs"), rows)


def _needs(converter: Converter) -> str:
    """What it says that it needs where nothing is installed, and on the CPU."""
    subjects = [Subject(None, converter.takes, Device(kind), {}, [{}], lambda axes: {}) for kind in ("cpu", "cuda")]
    with mock.patch("pytest_modelperf.converting.libraries.find_spec", return_value=None):
        on_cpu, on_cuda = (converter.refuses(subject) for subject in subjects)
    libraries = next((text for text in (on_cpu, on_cuda) if text.startswith("needs ")), "needs :")
    named = ", ".join(f"`{name}`" for name in libraries.removeprefix("needs ").partition(":")[0].split(", "))
    return f"an NVIDIA GPU; {named}" if "NVIDIA GPU" in on_cpu else named


def toml() -> str:
    """Every setting with its default, as the native TOML of pytest 9 must have it: of the right type.

    Those for which the default is not what holds while nobody sets them are comments: to copy them is a choice.
    """
    return "\n".join(["```toml", "[tool.pytest]", *map(_toml, OPTIONS), "```"])


def advice() -> str:
    rows = ((rule.name, rule.fires, rule.needs, rule.remedy) for rule in RULES)
    return _table(("rule", "fires when", "needs", "says"), rows)


TABLES = {
    "options": options,
    "settings": settings,
    "metrics": metrics,
    "toml": toml,
    "advice": advice,
    "converters": converters,
    "bridges": bridges,
}


def _toml(option: Option) -> str:
    default = {"switch": "false", "repeatable": "[]"}.get(option.kind, f'"{option.default}"')
    line = f"{option.ini} = {default}"
    return f"# {line}  # not set: {option.unset}" if option.unset else line


def _flag(option: Option) -> str:
    values = "/".join(option.choices) or option.metavar
    return f"`{option.flag}={values}`" if values else f"`{option.flag}`"


def _default(option: Option) -> str:
    if option.unset:
        return f"not set: {option.unset}"
    return f"`{option.default}`" if option.default and option.kind != "switch" else ""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(head)
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
