from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.plugin.searching.exporting import FACTS
from pytest_modelperf.plugin.searching.workshop import Workshop
from pytest_modelperf.plugin.stash import SETTINGS

NODEID = "tests/test_a.py::test_speed[two words]"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    config: Any = SimpleNamespace(
        rootpath=tmp_path,
        inipath=tmp_path / "pytest.ini",
        option=SimpleNamespace(plugins=["modelperf"]),
        stash={SETTINGS: SimpleNamespace(seconds=0.5, convert_seconds=40.0, export=tmp_path / "written")},
    )
    item: Any = SimpleNamespace(config=config, nodeid=NODEID, parent=None)
    return Workshop(item, tmp_path / ".modelperf")


def test_a_place_is_empty_but_for_its_logs_and_its_script(workshop: Workshop) -> None:
    place = workshop.place("bf16", "cpu")
    place.made.mkdir()
    place.note("an old line")
    place = workshop.place("bf16", "cpu")
    assert {path.name for path in place.folder.iterdir()} == {"log.txt", "log.before.txt", "reproduce.sh"}
    assert place.log.read_text() == f"bf16 of {NODEID} on cpu\n"
    assert place.former_log.read_text() == f"bf16 of {NODEID} on cpu\nan old line\n"


def test_a_log_that_cannot_be_written_ends_nothing(workshop: Workshop) -> None:
    place = workshop.place("bf16", "cpu")
    place.log.unlink()
    place.log.mkdir()
    place.note("a line")
    assert place.log.is_dir()


def test_places_of_devices_are_told_apart_and_git_passes_over_them(workshop: Workshop, tmp_path: Path) -> None:
    first, second = workshop.place("bf16", "cpu"), workshop.place("bf16", "cpu:threads=1")
    assert (first.folder.name, second.folder.name) == ("bf16", "bf16_on_cpu_threads=1")
    assert workshop.shown(first.folder) == os.path.relpath(first.folder, tmp_path)
    assert (tmp_path / ".modelperf" / ".gitignore").read_text() == "*\n"


def test_the_script_tries_one_variant_of_one_test_on_one_device(workshop: Workshop, tmp_path: Path) -> None:
    script = workshop.place("bf16", "cpu:threads=1").folder / "reproduce.sh"
    assert os.access(script, os.X_OK)
    *_, command = script.read_text().splitlines()
    words = shlex.split(command)
    assert words[:4] == [sys.executable, "-m", "pytest", NODEID]
    assert {"--modelperf-convert=bf16", "--modelperf-device=cpu:threads=1", "--modelperf-seconds=0.5"} <= set(words)
    assert {"--modelperf-convert-seconds=40", f"--modelperf-export={tmp_path / 'written'}"} <= set(words)
    assert words[words.index("-p") + 1] == "modelperf"
    assert shlex.split(workshop.command("bf16")) == ["pytest", NODEID, "--modelperf", "--modelperf-convert=bf16"]


def test_what_is_suggested_no_more_is_removed_where_it_was_written(workshop: Workshop, tmp_path: Path) -> None:
    place = workshop.place("bf16", "cpu")
    written = tmp_path / "written" / place.folder.relative_to(tmp_path / ".modelperf" / "converters")
    written.mkdir(parents=True)
    (written / "notes.txt").write_text("of the user's")
    workshop.withdraw(place)
    assert written.exists()
    (written / FACTS).write_text("{}")
    workshop.withdraw(place)
    assert not written.exists()
