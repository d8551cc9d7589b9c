"""TensorFlow in its forms through the conformance suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from runtimes import network, tensorflow_models, tensorflow_threads
from runtimes.conformance import Conformance, Told
from runtimes.tensorflow_models import SHIFT, X

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Session
from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.runtimes.tensorflow import TensorFlowRuntime

pytest.importorskip("tensorflow")


class _TensorFlow(Conformance):
    runtime = TensorFlowRuntime()
    signature: ClassVar[Signature | None] = Signature((Input("x", X, "float32"), Input("shift", SHIFT, "float32")))
    suffixes = (".keras", ".h5")
    # It is too late in this process.
    sets_threads = False
    # Opening and tracing take 0.1-0.3 s, and nothing was lost in a hundred.
    cycles = 10


class TestSavedModel(_TensorFlow):
    # Signatures are sorted by name.
    signature = Signature(
        (
            Input("shift", SHIFT, "float32", aliases=("serving_default_shift:0", "serving_default_shift")),
            Input("x", X, "float32", aliases=("serving_default_x:0", "serving_default_x")),
        )
    )

    sets_threads = True

    def build(self, folder: Path) -> object:
        return tensorflow_models.saved_model(folder)

    def test_answers_by_position_as_by_name(self, session: Session) -> None:
        inputs = network.drawn(2)
        by_position = self.answer(session, [inputs["shift"], inputs["x"]])
        np.testing.assert_array_equal(by_position, self.answer(session, inputs))

    def threads_at_work(self, model: object, device: Device) -> int:
        assert isinstance(model, Path)
        return tensorflow_threads.ask(model, str(device))


class TestKerasModel(_TensorFlow):
    # Keras casts.
    mistakes: ClassVar[Mapping[str, Told]] = {"dtype": "unseen"}
    holds_weights = False

    def build(self, folder: Path) -> object:
        return tensorflow_models.keras_model()


class TestKerasFile(TestKerasModel):
    holds_weights = True

    def build(self, folder: Path) -> object:
        path = folder / "network.keras"
        tensorflow_models.keras_model().save(path)
        return path


class TestFunction(_TensorFlow):
    holds_weights = False
    tells_weights = False

    # A function that is bound to a module does not keep it.
    module: ClassVar[Any]

    def build(self, folder: Path) -> object:
        type(self).module = tensorflow_models.module()
        return self.module.predict


class TestModule(_TensorFlow):
    signature = None
    holds_weights = False
    mistakes: ClassVar[Mapping[str, Told]] = dict.fromkeys(("dtype", "rank", "unknown", "too many"), "raises")

    def build(self, folder: Path) -> object:
        return tensorflow_models.module()
