from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.plugin.stash import SETTINGS
from pytest_modelperf.plugin.workshop import Workshop

NODEID = "tests/test_a.py::test_speed[two words]"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    config: Any = SimpleNamespace(
        rootpath=tmp_path,
        inipath=tmp_path / "pytest.ini",
        option=SimpleNamespace(plugins=["modelperf"]),
        stash={SETTINGS: SimpleNamespace(seconds=0.5, export=None)},
    )
    item: Any = SimpleNamespace(config=config, nodeid=NODEID, parent=None)
    return Workshop(item, tmp_path / ".modelperf")


def test_a_place_is_empty_but_for_its_log_and_its_script(workshop: Workshop) -> None:
    place = workshop.place("bf16", "cpu")
    place.made.mkdir()
    place.note("an old line")
    place = workshop.place("bf16", "cpu")
    assert {path.name for path in place.folder.iterdir()} == {"log.txt", "reproduce.sh"}
    assert place.log.read_text() == f"bf16 of {NODEID} on cpu\n"


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
    assert words[words.index("-p") + 1] == "modelperf"
    assert shlex.split(workshop.command("bf16")) == ["pytest", NODEID, "--modelperf", "--modelperf-convert=bf16"]
