"""LiteRT through the conformance suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtimes import network, tensorflow_models
from runtimes.conformance import Conformance
from runtimes.tensorflow_models import SHIFT, X

from pytest_modelperf.domain.session import Session
from pytest_modelperf.domain.signature import Input, Signature
from pytest_modelperf.runtimes.litert import LiteRtRuntime

pytest.importorskip("ai_edge_litert")
# Its models are converted by TensorFlow.
pytest.importorskip("tensorflow")


class TestLiteRt(Conformance):
    runtime = LiteRtRuntime()
    suffixes = (".tflite",)
    signature = Signature(
        (
            Input("shift", SHIFT, "float32", aliases=("serving_default_shift:0", "serving_default_shift")),
            Input("x", X, "float32", aliases=("serving_default_x:0", "serving_default_x")),
        )
    )

    def build(self, folder: Path) -> object:
        return tensorflow_models.litert_file(folder)

    def test_answers_by_position_as_by_name(self, session: Session) -> None:
        # Signatures are sorted by name.
        inputs = network.drawn(2)
        by_position = self.answer(session, [inputs["shift"], inputs["x"]])
        np.testing.assert_array_equal(by_position, self.answer(session, inputs))
