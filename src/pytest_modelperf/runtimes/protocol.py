"""The port of a runtime: it recognises and opens models. What it opens is a `domain.session.Session`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..domain.device import Device
from ..domain.session import DeviceMemory, ModelFacts, Session, Weight
from ..domain.signature import Signature

__all__ = ["Configurable", "DeviceMemory", "ModelFacts", "Placed", "Runtime", "Session", "Weight"]


class Runtime(Protocol):
    """What executes models of one framework.

    `recognises` is asked of every runtime in turn and must not import a framework that the model did not bring:
    a live object's framework is in `sys.modules` already, a file is told by its name and first bytes.
    """

    name: str
    # What it executes, for people: "an nn.Module, .pt (TorchScript)".
    accepts: str

    def recognises(self, model: object) -> bool:
        """Whether this runtime executes such a model: an object, or a `pathlib.Path` that exists.

        Of several that do, the first that is asked executes it, or the one that the test names (`runtime=`). True also
        for a file that has this runtime's suffix and is damaged: `signature` and `open` then say so.
        """
        ...

    def default_device(self, model: object) -> Device:
        """Where the model runs when nobody says: the accelerator that this runtime can use, else the CPU."""
        ...

    def signature(self, model: object) -> Signature | None:
        """What the model says of its inputs; None where it says nothing. Cheap: the model is not opened for it.

        Raises ModelError for a file that is not what its name says.
        """
        ...

    def open(self, model: object, device: Device) -> Session:
        """The model on the device; until `close`, a live object belongs to the session.

        Raises ModelError (not a model, damaged), MissingLibrary, DeviceMissing, UsageError (a compute spec that this
        runtime cannot honour) or OutOfMemory (the model itself does not fit); a live object is then as it was.
        """
        ...


@runtime_checkable
class Placed(Protocol):
    """What a runtime has in addition that must open a model on a device to read its signature."""

    def placed(self, devices: Sequence[Device]) -> Runtime:
        """This runtime, which does that on one of the test's devices, and on no other."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """What a runtime has in addition that takes options: `runtime=("openvino", {"NUM_STREAMS": 2})`."""

    def configured(self, options: Mapping[str, object]) -> Runtime:
        """This runtime with these options, which hold texts, numbers, booleans, None, and lists and dicts of them.

        Raises UsageError for an option that it does not have, naming the nearest, and for a value that cannot be.
        """
        ...
