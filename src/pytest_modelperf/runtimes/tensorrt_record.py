"""What TensorRT's IProfiler tells of the layers of every call, written into a file.

Names and signatures are those of TensorRT 10 and 11,
https://docs.nvidia.com/deeplearning/tensorrt/latest/_static/python-api/infer/Core/Profiler.html.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .tensorrt_engine import import_tensorrt

# An execution, which is put into a stream, of this number.
Execute = Callable[[int], bool]


class Record:
    """The layers of each execution that was `watched`, by name, with what executes them and their seconds."""

    def __init__(self, path: Path, engine: Any) -> None:
        self._path = path
        self._forms = _forms(engine)
        self._calls: list[list[dict[str, object]]] = []

    def watched(self, context: Any) -> Execute:
        """An execution in this context. It is waited for when it is asked for, as with every profiler of TensorRT."""
        layers = _profiler(import_tensorrt())
        context.profiler = layers
        # Also what it is without being told: layers are reported before an execution returns.
        context.enqueue_emits_profile = True

        def execute(stream: int) -> bool:
            layers.told.clear()
            done = bool(context.execute_async_v3(stream))
            self._calls.append([self._node(name, milliseconds) for name, milliseconds in layers.told])
            return done

        return execute

    def write(self) -> None:
        self._path.write_text(json.dumps({"calls": self._calls}))

    def _node(self, name: str, milliseconds: float) -> dict[str, object]:
        # A layer is there once, by a name of its own.
        return {"name": name, "type": name, "form": self._forms.get(name, ""), "seconds": milliseconds * 1e-3}


def _profiler(trt: Any) -> Any:
    class Layers(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.told: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.told.append((layer_name, ms))

    return Layers()


def _forms(engine: Any) -> dict[str, str]:
    """Of each layer its type and its kernel, where the engine was built to tell more than names."""
    trt = import_tensorrt()
    inspector = engine.create_engine_inspector()
    told = [
        json.loads(inspector.get_layer_information(number, trt.LayerInformationFormat.JSON))
        for number in range(engine.num_layers)
    ]
    details = [one for one in told if isinstance(one, dict)]
    return {
        str(one.get("Name", "")): " ".join(str(one[fact]) for fact in ("LayerType", "TacticName") if one.get(fact))
        for one in details
    }
