"""What TensorFlow's profiler tells of calls, written as a Chrome trace with the categories of torch's.

The profiler writes an XSpace (xplane.proto of TSL): planes of lines of events, with facts as statistics by name. The
host's plane holds what threads did, an operator by `node:Kind`; a GPU's plane has a line for each stream. What is
written of GPUs was read from TensorFlow's sources (cupti_collector.cc, xplane_schema.cc); none was at hand.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..domain.profile import CALL
from ..errors import MetricUnavailable
from .tensorflow_call import Call
from .tensorflow_devices import import_tensorflow
from .tensorflow_graph import Node

_OPERATOR = re.compile(r"(?P<node>[A-Za-z0-9.][\w.\\/>-]*):(?P<kind>_*[A-Z]\w*)")
_SIZE = re.compile(r"\bsize:(\d+)")
_HOST, _CUPTI, _GPU = "/host:CPU", "/host:CUPTI", "/device:GPU:"
# Lines of a GPU that say again, by other names, what ran on its streams are called otherwise.
_STREAM = "Stream"
# Names of copies, as torch's profiler has them.
_COPIES = {"MemcpyH2D": "Memcpy HtoD", "MemcpyD2H": "Memcpy DtoH", "MemcpyD2D": "Memcpy DtoD"}
# What TensorFlow's optimisations put before the kind of an operator that they have made another kernel of.
_REWRITTEN = re.compile(r"^_*(Mkl)?(Native)?")
_MICRO = 1e-6
_SUFFIX = ".xplane.pb"

_Event = dict[str, Any]


class Record:
    """Switched on with the first call that it watches; `write` switches it off, and writes the one file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._call: Call | None = None

    def watched(self, call: Call, wait: Callable[[], None]) -> Callable[[], Any]:
        """The call, with a mark around it in the timeline that ends when the device has done its work.

        The dtypes and shapes of operators are told of the first that is watched, by their names.
        """
        self._call = self._call or call

        def marked() -> Any:
            self._start()
            with import_tensorflow().profiler.experimental.Trace(CALL):
                outputs = call()
                wait()
            return outputs

        return marked

    def write(self) -> None:
        # Whatever goes wrong, it is not done twice: the profiler is off by then.
        self._folder, begun = None, self._folder
        if begun is None:
            return
        with begun as folder:
            _stop()
            found = list(chrome_events(_only(Path(folder)), self._nodes()))
        self._path.write_text(json.dumps({"traceEvents": found}))

    def _nodes(self) -> dict[str, Node]:
        try:
            return {node.name: node for node in self._call.nodes()} if self._call is not None else {}
        except MetricUnavailable:
            # Operators are told without shapes.
            return {}

    def _start(self) -> None:
        if self._folder is not None:
            return
        tensorflow = import_tensorflow()
        folder = tempfile.TemporaryDirectory(prefix="modelperf-profile-")
        try:
            # Without options: those that it takes are refused with a warning each (2.21).
            tensorflow.profiler.experimental.start(folder.name)
        except tensorflow.errors.AlreadyExistsError:
            folder.cleanup()
            raise MetricUnavailable(
                "another profiler of TensorFlow is on in this process; leave tf.profiler out of the test"
            ) from None
        self._folder = folder


def _stop() -> None:
    tensorflow = import_tensorflow()
    try:
        tensorflow.profiler.experimental.stop()
    except tensorflow.errors.UnavailableError as error:
        raise MetricUnavailable(
            f"TensorFlow's profiler was stopped meanwhile ({error}); leave tf.profiler out of the model"
        ) from error


def _only(folder: Path) -> bytes:
    """What the profiler has written of this process, which is one file."""
    written = sorted(folder.rglob(f"*{_SUFFIX}"))
    if len(written) != 1:
        found = ", ".join(file.name for file in written) or "none"
        raise MetricUnavailable(f"TensorFlow's profiler should have written one file *{_SUFFIX}, and wrote {found}")
    return written[0].read_bytes()


def chrome_events(written: bytes, nodes: Mapping[str, Node]) -> Iterator[_Event]:
    """The events of an XSpace in the Trace Event Format. Raises MetricUnavailable where this release has no reader."""
    for number, plane in enumerate(_space(written).planes):
        on_gpu = plane.name.startswith(_GPU)
        if not on_gpu and plane.name not in (_HOST, _CUPTI):
            continue
        yield _title("process_name", number, 0, plane.name)
        for line in plane.lines:
            if on_gpu and not line.name.startswith(_STREAM):
                continue
            yield _title("thread_name", number, line.id, line.name)
            for event in line.events:
                told = _told(plane, event)
                made = _on_gpu(told) if on_gpu else _on_host(told, plane.name == _CUPTI, nodes)
                if made is not None:
                    start = line.timestamp_ns * 1e-3 + event.offset_ps * _MICRO
                    lasting = event.duration_ps * _MICRO
                    yield {"ph": "X", "pid": number, "tid": line.id, "ts": start, "dur": lasting, **made}


def _space(written: bytes) -> Any:
    try:
        from google.protobuf.message import DecodeError
        from tensorflow.tsl.profiler.protobuf import xplane_pb2
    except ImportError as error:
        raise MetricUnavailable(f"this release of TensorFlow has no reader for what it profiles ({error})") from error
    space = xplane_pb2.XSpace()
    try:
        space.ParseFromString(written)
    except DecodeError as error:
        # Names of events that are no UTF-8 have been seen (2.21).
        raise MetricUnavailable(f"what TensorFlow's profiler has written cannot be read: {error}") from error
    return space


def _title(kind: str, process: int, thread: int, name: str) -> _Event:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _told(plane: Any, event: Any) -> dict[str, Any]:
    """The name of an event, and its statistics by theirs."""
    about = plane.event_metadata[event.metadata_id]
    found = {plane.stat_metadata[stat.metadata_id].name: _value(plane, stat) for stat in (*about.stats, *event.stats)}
    return {**found, "": about.name}


def _value(plane: Any, stat: Any) -> Any:
    kind = stat.WhichOneof("value")
    value = getattr(stat, kind) if kind else None
    if kind == "ref_value":
        return plane.stat_metadata[value].name
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _on_host(told: Mapping[str, Any], of_cupti: bool, nodes: Mapping[str, Node]) -> _Event | None:
    name = told[""]
    if name == CALL:
        return {"name": name, "cat": "user_annotation"}
    if of_cupti or "correlation_id" in told:
        return {"name": name, "cat": "cuda_driver", "args": {"correlation": told.get("correlation_id")}}
    if name in ("MemoryAllocation", "MemoryDeallocation"):
        return _memory(told)
    operator = _OPERATOR.fullmatch(name)
    if operator is not None:
        return {"name": operator["kind"], "cat": "cpu_op", "args": _about(operator["node"], operator["kind"], nodes)}
    # What its thread pools do to follow a task from one thread to another.
    return None if name.startswith("ThreadpoolListener") else {"name": name, "cat": "tensorflow"}


def _memory(told: Mapping[str, Any]) -> _Event:
    size = int(told.get("allocation_bytes", 0))
    taken = size if told[""] == "MemoryAllocation" else -size
    args = {"Bytes": taken, "Allocator": told.get("allocator_name", "")}
    return {"ph": "i", "name": "[memory]", "cat": "cpu_instant_event", "args": args}


def _about(name: str, kind: str, nodes: Mapping[str, Node]) -> dict[str, Any]:
    facts: dict[str, Any] = {"node": name, "External id": f"{name}:{kind}"}
    node = nodes.get(name)
    if node is not None:
        facts["Input type"] = node.dtypes
        # Of what was fused the last has given the name: its inputs are others.
        if _REWRITTEN.sub("", kind) == node.kind:
            facts["Input Dims"] = [list(shape) for shape in node.shapes if shape is not None]
    return facts


def _on_gpu(told: Mapping[str, Any]) -> _Event:
    name = told[""]
    facts: dict[str, Any] = {"correlation": told.get("correlation_id"), "External id": told.get("tf_op")}
    size = _SIZE.search(str(told.get("memcpy_details", "")))
    if size is not None:
        facts["bytes"] = int(size[1])
    category = "gpu_memcpy" if name.startswith("Memcpy") else "gpu_memset" if name.startswith("Memset") else "kernel"
    return {"name": _COPIES.get(name, name), "cat": category, "args": facts}
