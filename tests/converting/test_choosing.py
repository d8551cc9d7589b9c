"""The settings of a variant are found once: for it, and for others of the same model in the same runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_modelperf.converting import choosing
from pytest_modelperf.converting.cache import Cache
from pytest_modelperf.converting.choosing import Shelf, settings
from pytest_modelperf.converting.settings import Knob, Settings

KNOBS = [Knob("threads", (1,)), Knob("arena", (False,))]


class Found:
    """In place of the search: gives these settings, and says how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **found: object) -> None:
        self.searches, self.wins, self._found = 0, True, found
        self.tried: list[Settings] = []
        monkeypatch.setattr(choosing, "tune", self._tune)
        monkeypatch.setattr(choosing, "challenged", self._challenged)

    def _tune(self, *_: object) -> Settings:
        self.searches += 1
        return self._found

    def _challenged(self, bench: object, others: Settings, *_: object) -> object:
        self.tried.append(others)
        return self if self.wins else None

    def release(self) -> None:
        """A bench can be closed."""


def chosen(shelf: Shelf, knobs: list[Knob] = KNOBS) -> Settings:
    nothing: Any = None
    return settings(nothing, knobs, shelf, nothing, lambda: True)


def test_a_variant_made_again_has_the_settings_that_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search, cache = Found(monkeypatch, threads=1), Cache(tmp_path)
    assert [chosen(Shelf.of(cache, "a", "model", "torch")) for _ in range(2)] == [{"threads": 1}] * 2
    assert search.searches == 1
    assert search.tried == []


@pytest.mark.parametrize(("wins", "expected"), [(True, {"threads": 1}), (False, {})])
def test_another_variant_tries_what_was_found_and_does_not_search(
    wins: bool, expected: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, cache = Found(monkeypatch, threads=1), Cache(tmp_path)
    chosen(Shelf.of(cache, "a", "model", "torch"))
    search.wins = wins
    assert [chosen(Shelf.of(cache, "b", "model", "torch")) for _ in range(2)] == [expected] * 2
    assert (search.searches, search.tried) == (1, [{"threads": 1}])


def test_what_the_test_settles_is_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search, cache = Found(monkeypatch, threads=1, arena=False), Cache(tmp_path)
    chosen(Shelf.of(cache, "a", "model", "torch"))
    assert chosen(Shelf.of(cache, "b", "model", "torch"), KNOBS[1:]) == {"arena": False}
    assert chosen(Shelf.of(cache, "c", "model", "torch"), [Knob("other", (1,))]) == {}
    assert search.tried == [{"arena": False}]


def test_another_model_and_another_runtime_have_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search, cache = Found(monkeypatch), Cache(tmp_path)
    for model, runtime in [("one", "torch"), ("two", "torch"), ("one", "openvino")]:
        chosen(Shelf.of(cache, f"a of {model}", model, runtime))
    assert search.searches == 3
