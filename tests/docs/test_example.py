"""The example project pins the versions that this project is tested with."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text("utf-8").splitlines()


def test_its_pins_are_ours() -> None:
    ours = {line.partition(";")[0].strip() for line in lines("constraints.txt")}
    pins = [line for line in lines("example_project/requirements.txt") if "==" in line]
    assert pins
    assert [pin for pin in pins if pin not in ours] == []
