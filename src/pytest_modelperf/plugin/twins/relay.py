"""What a runner says of its test, given on as if the test had run in this process."""

from __future__ import annotations

import sys
import warnings

import pytest

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
    item.config.hook.pytest_warning_recorded.call_historic(
        kwargs={
            "warning_message": message,
            "when": said.when,
            "nodeid": item.nodeid if said.nodeid else "",
            "location": said.location,
        }
    )


def end_run(session: pytest.Session, said: TestDone) -> None:
    """End the run here where the test has ended its runner's."""
    if said.shouldstop:
        session.shouldstop = said.shouldstop
    if said.shouldfail:
        session.shouldfail = said.shouldfail


def stop(said: Stopped) -> BaseException:
    """What to raise here where the test has ended the whole run."""
    return pytest.exit.Exception(said.reason, said.returncode) if said.exits else KeyboardInterrupt()


def _category(said: Warned) -> type[Warning] | None:
    found = getattr(sys.modules.get(said.module), said.category, None)
    return found if isinstance(found, type) and issubclass(found, Warning) else None
