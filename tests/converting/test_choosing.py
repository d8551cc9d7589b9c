"""The settings of a variant are found once: for it, and for others of the same model in the same runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from pytest_modelperf.converting import choosing
from pytest_modelperf.converting.cache import Cache
from pytest_modelperf.converting.choosing import NO_MEMORY, NO_TIME, Choice, Shelf, choose
from pytest_modelperf.converting.settings import Knob, Settings, Walked
from pytest_modelperf.domain.spec import RuntimeChoice

TORCH = RuntimeChoice("torch")
KNOBS = [Knob("threads", (1,)), Knob("arena", (False,))]


class Found:
    """In place of the search: gives these settings, and says how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **found: object) -> None:
        self.searches, self.wins, self.walked = 0, True, Walked(found, 1, ended=True)
        self.tried: list[Settings] = []
        monkeypatch.setattr(choosing, "tune", self._tune)
        monkeypatch.setattr(choosing, "challenged", self._challenged)

    def _tune(self, *_: object) -> Walked:
        self.searches += 1
        return self.walked

    def _challenged(self, bench: object, others: Settings, *_: object) -> object:
        self.tried.append(others)
        return self if self.wins else None

    def release(self) -> None:
        """A bench can be closed."""


class Kept:
    """The settings that variants have, which share a cache."""

    def __init__(self, folder: Path) -> None:
        self._cache = Cache(folder)

    def choice(
        self,
        variant: str,
        model: str = "model",
        given: RuntimeChoice = TORCH,
        *,
        knobs: Sequence[Knob] = KNOBS,
        latest: float = math.inf,
        fits: bool = True,
    ) -> Choice:
        nothing: Any = None
        shelf = Shelf.of(self._cache, variant, model, given, given, knobs)
        return choose(nothing, knobs, shelf, nothing, latest, fits=fits)


def test_a_variant_made_again_has_the_settings_that_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search, kept = Found(monkeypatch, threads=1), Kept(tmp_path)
    assert [kept.choice("a").settings for _ in range(2)] == [{"threads": 1}] * 2
    assert search.searches == 1
    assert search.tried == []
    # No time and no memory is needed for what is known.
    assert kept.choice("a", latest=perf_counter(), fits=False).settings == {"threads": 1}


@pytest.mark.parametrize(("wins", "expected"), [(True, {"threads": 1}), (False, {})])
def test_another_variant_tries_what_was_found_and_does_not_search(
    wins: bool, expected: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, kept = Found(monkeypatch, threads=1), Kept(tmp_path)
    kept.choice("a")
    search.wins = wins
    assert [kept.choice("b").settings for _ in range(2)] == [expected] * 2
    assert (search.searches, search.tried) == (1, [{"threads": 1}])


def test_with_other_options_and_other_values_to_try_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, kept = Found(monkeypatch, threads=1), Kept(tmp_path)
    kept.choice("a")
    search.walked = Walked({}, 1, ended=True)
    assert kept.choice("a", given=RuntimeChoice("torch", {"threads": 2}), knobs=KNOBS[1:]).settings == {}
    assert kept.choice("a", given=RuntimeChoice("torch", {"streams": 2})).settings == {}
    assert kept.choice("a", knobs=[Knob("threads", (2,)), KNOBS[1]]).settings == {}
    assert (search.searches, search.tried) == (4, [])
    assert kept.choice("a").settings == {"threads": 1}


def test_variants_whose_converters_gave_them_other_options_share_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, cache, asked = Found(monkeypatch, threads=1), Cache(tmp_path), RuntimeChoice("openvino")
    nothing: Any = None
    for precision in ("f32", "bf16"):
        given = RuntimeChoice("openvino", {"INFERENCE_PRECISION_HINT": precision})
        shelf = Shelf.of(cache, f"in {precision}", "model", given, asked, KNOBS)
        choose(nothing, KNOBS, shelf, nothing, math.inf, fits=True)
    assert (search.searches, search.tried) == (1, [{"threads": 1}])


def test_another_model_and_another_runtime_have_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search, kept = Found(monkeypatch), Kept(tmp_path)
    for model, runtime in [("one", "torch"), ("two", "torch"), ("one", "openvino")]:
        kept.choice(f"a of {model}", model, RuntimeChoice(runtime))
    assert search.searches == 3


@pytest.mark.parametrize("walked", [Walked({}, 0, ended=False), Walked({}, 2, ended=False)])
def test_what_the_clock_cut_off_is_not_kept(walked: Walked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search, kept = Found(monkeypatch), Kept(tmp_path)
    search.walked = walked
    assert kept.choice("a", latest=perf_counter()) == (Choice({}) if walked.tried else NO_TIME)
    search.walked = Walked({"threads": 1}, 3, ended=True)
    assert [kept.choice(name).settings for name in "aab"] == [{"threads": 1}] * 3
    assert search.searches == 2


def test_what_a_search_found_in_all_the_time_that_one_has_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, kept = Found(monkeypatch), Kept(tmp_path)
    search.walked = Walked({"threads": 1}, 2, ended=False)
    assert [kept.choice("a").settings for _ in range(2)] == [{"threads": 1}] * 2
    assert search.searches == 1


def test_what_another_variant_has_is_tried_later_where_there_was_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, kept = Found(monkeypatch, threads=1), Kept(tmp_path)
    kept.choice("a")
    search.wins = False
    assert kept.choice("b", latest=perf_counter()) == NO_TIME
    search.wins = True
    assert kept.choice("b").settings == {"threads": 1}


def test_without_memory_for_two_nothing_is_tried_and_nothing_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, kept = Found(monkeypatch, threads=1), Kept(tmp_path)
    assert kept.choice("a", fits=False) == NO_MEMORY
    assert search.searches == 0
    assert kept.choice("a").settings == {"threads": 1}
