"""ModelProtos of the onnx library: told from other objects, and handed over as bytes."""

from __future__ import annotations

from typing import Any

from ..errors import ModelError, OutOfMemory, last_line
from .kinds import is_a

# The class's module has changed with onnx's releases.
_PROTOS = ("onnx.onnx_ml_pb2.ModelProto", "onnx.onnx_pb2.ModelProto", "onnx_ml_pb2.ModelProto")


def is_proto(model: object) -> bool:
    return is_a(model, *_PROTOS)


def title(proto: Any) -> str:
    return str(proto.graph.name or "ModelProto")


def serialised(proto: Any) -> bytes:
    """The model's bytes. Raises ModelError where it is too large for them, OutOfMemory where there is no room."""
    try:
        data: bytes = proto.SerializeToString()
    except MemoryError as error:
        raise OutOfMemory(f"{title(proto)} does not fit into memory a second time; pass the path of a file") from error
    except Exception as error:
        raise ModelError(
            f"{title(proto)} cannot be handed to a runtime ({last_line(error)}): a ModelProto is limited to 2 GB; "
            "save it with external data (onnx.save_model with save_as_external_data=True) and pass the path"
        ) from error
    return data
