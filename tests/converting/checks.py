"""Follows a converter's route as the plugin does, and compares what its variant answers with the original."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pytest_modelperf.converting.cache import Cache
from pytest_modelperf.converting.content import content
from pytest_modelperf.converting.forms import form_of
from pytest_modelperf.converting.parity import LIMITS
from pytest_modelperf.converting.protocol import Converted, Subject
from pytest_modelperf.converting.registry import builtin as converters
from pytest_modelperf.converting.routes import Route, routes
from pytest_modelperf.domain.device import Device
from pytest_modelperf.measuring.inputs import draw
from pytest_modelperf.runtimes.registry import builtin as runtimes
from pytest_modelperf.runtimes.registry import find

CPU = Device("cpu")
CASES: tuple[Mapping[str, int], ...] = ({"batch": 1}, {"batch": 3})


def subject(model: Any, inputs: Any, cases: Sequence[Mapping[str, int]] = CASES, device: Device = CPU) -> Subject:
    form = form_of(model)
    assert form is not None
    return Subject(model, form, device, inputs, cases, partial(draw, inputs))


def route(name: str, form: str) -> Route:
    (found,) = [each for each in routes(form, converters()) if each.name == name]
    return found


def refusal(name: str, model: Any, inputs: Any, device: Device = CPU) -> str:
    given = subject(model, inputs, device=device)
    return route(name, given.form).refuses(given)


def variant(
    name: str,
    model: Any,
    inputs: Any,
    folder: Path,
    cases: Sequence[Mapping[str, int]] = CASES,
    copied: bool = True,
    cache: Cache | None = None,
) -> Converted:
    """The variant, after it has given the original's answers at every case: names, shapes, dtypes and values."""
    own = model if isinstance(model, Path) or not copied else copy.deepcopy(model)
    expected = answers(model, Converted(model), inputs, cases)
    given = subject(own, inputs, cases)
    way = route(name, given.form)
    assert way.refuses(given) == ""
    made = way.follow(given, folder, cache, content(given) if cache is not None else "")
    same(answers(made.model, made, inputs, cases), expected, LIMITS[way.precision])
    return made


def answers(
    model: Any, made: Converted, inputs: Any, cases: Sequence[Mapping[str, int]]
) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """Arrays and dtypes by name at each case."""
    runtime, found = find(model, runtimes(), made.runtime)
    session = runtime.open(found, CPU)
    answered = []
    with session.running():
        for axes in cases:
            drawn = draw(inputs, axes)
            if made.settled:
                drawn = {name: value for name, value in drawn.items() if name not in made.settled}
            outputs = session.bind(drawn)()
            answered.append((session.arrays(outputs), session.dtypes(outputs)))
    session.close()
    return answered


def same(found: Sequence[tuple[Any, Any]], expected: Sequence[tuple[Any, Any]], limit: float) -> None:
    for (arrays, dtypes), (before, was) in zip(found, expected, strict=True):
        assert dtypes == was
        for name, array in before.items():
            assert arrays[name].shape == array.shape
            scale = float(np.sqrt(np.mean(np.square(array))))
            assert np.abs(arrays[name] - array).max() <= limit * scale, name
