"""What a runner says of its test, given on as if the test had run in this process."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from ...errors import ModelPerfWarning
from .messages import Reported, Stopped, TestDone, Warned


def report_of(item: pytest.Item, said: Reported) -> pytest.TestReport:
    """The report as pytest knows it: tuples became lists on the way."""
    data = dict(said.data)
    data["nodeid"] = item.nodeid
    data["location"] = tuple(data["location"])
    data["user_properties"] = [tuple(pair) for pair in data["user_properties"]]
    data["sections"] = [tuple(pair) for pair in data["sections"]]
    if isinstance(data["longrepr"], list):
        data["longrepr"] = tuple(data["longrepr"])
    report: pytest.TestReport = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
    return report


def warn(item: pytest.Item, said: Warned) -> None:
    """Record a runner's warning here."""
    category, text = _category(said), said.text
    if category is None:
        # A class that only the runner has imported: an xdist controller could not import it either.
        category, text = UserWarning, f"{said.category}: {text}"
    message = warnings.WarningMessage(text, category, said.filename, said.line)
    _record(item.config, message, said.when, item.nodeid if said.nodeid else "", said.location)


def warn_of_runner(config: pytest.Config, path: Path, text: str) -> None:
    """Record a warning of what became of the runner of a file: as an error (`-W error`) it would be another test's."""
    # Without a line of the file's text below it.
    message = warnings.WarningMessage(text, ModelPerfWarning, str(path), 1, line="")
    _record(config, message, "runtest", "", None)


def end_run(session: pytest.Session, said: TestDone) -> None:
    """End the run here where the test has ended its runner's."""
    if said.shouldstop:
        session.shouldstop = said.shouldstop
    if said.shouldfail:
        session.shouldfail = said.shouldfail


def stop(said: Stopped) -> BaseException:
    """What to raise here where the test has ended the whole run."""
    return pytest.exit.Exception(said.reason, said.returncode) if said.exits else KeyboardInterrupt()


def _record(
    config: pytest.Config,
    message: warnings.WarningMessage,
    when: str,
    nodeid: str,
    location: tuple[str, int, str] | None,
) -> None:
    told = {"warning_message": message, "when": when, "nodeid": nodeid, "location": location}
    config.hook.pytest_warning_recorded.call_historic(kwargs=told)


def _category(said: Warned) -> type[Warning] | None:
    found = getattr(sys.modules.get(said.module), said.category, None)
    return found if isinstance(found, type) and issubclass(found, Warning) else None
