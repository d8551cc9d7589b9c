"""Models of Keras 3 on its TensorFlow backend: live, or in a file."""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domain.signature import Input, Signature
from ..errors import MissingLibrary, ModelError, ModelPerfError, in_one_line, last_line
from .formats import seems
from .tensorflow_forms import Form, Traced, numbered

# A model is a layer, and a layer can be measured as well.
LAYER = "keras.src.layers.layer.Layer"
_SUFFIXES = (".keras", ".h5", ".hdf5")
_CONFIG = "config.json"

# Names that Keras gives, with a number that counts what was built before in the process.
_AUTOMATIC = re.compile(r"(keras_tensor|input_layer|input)(_\d+)?")
_NUMBERED = re.compile(r"_\d+(?=/|$)")


def claims(path: Path) -> bool:
    """Whether the file is Keras's to open, or to refuse: by its suffix."""
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def signature_of(model: Any) -> Signature | None:
    """What a live model says of its inputs; None for one that is called by arguments of its own."""
    tensors = _inputs(model)
    if not tensors:
        return None
    optional = {layer.name for layer in getattr(model, "layers", ()) if getattr(layer, "optional", False)}
    return Signature(tuple(_input(number, _Slot.of(tensor, optional)) for number, tensor in enumerate(tensors)))


def file_signature(path: Path) -> Signature | None:
    """The same for a file, from the description of the model in it: Keras is not loaded."""
    described = _described(path)
    slots = _slots(described) if isinstance(described, Mapping) else []
    return Signature(tuple(_input(number, slot) for number, slot in enumerate(slots))) if slots else None


def load(path: Path) -> Any:
    """The model in a file. Raises ModelError where it cannot be loaded, or would run code that is in it."""
    import keras

    check_backend(path.name)
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, ImportError, AttributeError) as error:
        _described(path)
        # Keras says first what is wrong, and then lists what it was given.
        raise ModelError(
            f"{path} cannot be loaded by Keras: {in_one_line(error, line=0)}; load it in a fixture "
            "(keras.models.load_model with custom_objects, or with safe_mode=False if you trust it) and pass the model"
        ) from error


def of_model(model: Any, place: str, title: str = "") -> Form:
    """A model, or a layer, with its variables on the device that TensorFlow calls `place`."""
    import keras

    check_backend(model.name)
    there = _placed(model, place)
    signature = signature_of(there)

    def call(*positional: Any, **named: Any) -> Any:
        return there(*positional, **{"training": False, **named})

    def arrange(inputs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if signature is None:
            return (), dict(inputs)
        given = [inputs.get(known.name) for known in signature.inputs]
        # As the model was built: a Sequential has one input, others a list or a dict of them, or whatever nests.
        return (keras.tree.pack_sequence_as(getattr(there, "_inputs_struct", 0), given),), {}

    return Form(
        title or model.name,
        "keras as a tf.function",
        Traced(call),
        lambda: variables(there),
        _of_any_dtype(signature),
        arrange,
        "has no variables before its first call; call it once in the fixture",
        {"keras": keras.__version__},
    )


def check_backend(title: str) -> None:
    """Raise ModelError unless Keras runs on TensorFlow in this process."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ModelError(
            f"{title} is a Keras model, and Keras runs on {backend} in this process; set KERAS_BACKEND=tensorflow "
            "before it is imported, or pass a function that calls the model and waits for its answer"
        )


@dataclass(frozen=True)
class _Slot:
    """An input of a model as Keras describes it."""

    name: str
    shape: Sequence[int | None]
    dtype: str
    optional: bool = False
    kind: str = ""

    @classmethod
    def of(cls, tensor: Any, optional: set[str]) -> _Slot:
        kinds = [kind for kind in ("sparse", "ragged") if getattr(tensor, kind, False)]
        return cls(tensor.name, tensor.shape, str(tensor.dtype), tensor.name in optional, "".join(kinds))


def _input(number: int, slot: _Slot) -> Input:
    automatic = _AUTOMATIC.fullmatch(slot.name)
    # A number that depends on what else was built would give other inputs in another run.
    name = f"input_{number + 1}" if automatic else slot.name
    aliases = (slot.name,) if name != slot.name else ()
    if slot.kind:
        return Input(name, None, f"{slot.kind} tensor", not slot.optional, aliases)
    return Input(name, tuple(slot.shape), slot.dtype, not slot.optional, aliases)


def _of_any_dtype(signature: Signature | None) -> Signature | None:
    """The same without dtypes: Keras casts what it is given."""
    return signature and Signature(tuple(replace(known, dtype="any") for known in signature.inputs))


def _inputs(model: Any) -> list[Any]:
    # A Sequential that was not built yet raises ValueError; other models have no such attribute.
    with contextlib.suppress(ValueError, AttributeError):
        return list(model.inputs)
    return []


def variables(model: Any) -> dict[str, Any] | None:
    """Its variables by names that are the same in every process; None for one that is not built yet."""
    if not model.built:
        return None
    return numbered(
        [variable.value for variable in model.weights],
        [_NUMBERED.sub("", variable.path) for variable in model.weights],
    )


def _placed(model: Any, place: str) -> Any:
    """The model itself where its variables are on the device, else a copy that is."""
    import keras
    import tensorflow as tf

    if all(str(variable.value.device).endswith(place.replace("/", "device:")) for variable in model.weights):
        return model
    try:
        with tf.device(place):
            copy = keras.models.clone_model(model)
            copy.set_weights(model.get_weights())
    except (ValueError, TypeError, NotImplementedError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"{model.name} has its variables on another device than {place}, and Keras cannot copy it there "
            f"({last_line(error)}); build it in `with tf.device({place!r})`, or pass the path of a SavedModel of it "
            "(model.export)"
        ) from error
    return copy


def _described(path: Path) -> object:
    """The description of the model in a file, as JSON. Raises ModelError where it holds none."""
    with _damage_of(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read(_CONFIG)).get("config")
        found = _hdf5_description(path)
    if found is None:
        raise ModelError(
            f"{path} holds weights without the model; write a fixture that builds the model and loads the weights "
            "into it (model.load_weights), and pass the model"
        )
    return json.loads(found).get("config")


def _hdf5_description(path: Path) -> str | None:
    try:
        import h5py
    except ImportError as error:
        raise MissingLibrary(
            f"{path.name} is read by h5py ({error}); pip install 'pytest-modelperf[tensorflow]'"
        ) from error
    with h5py.File(path) as file:
        return file.attrs.get("model_config")  # type: ignore[no-any-return]


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelPerfError:
        raise
    except Exception as error:
        what = seems(path)
        guess = f"; it seems to be {what}" if what else ""
        raise ModelError(
            f"{path} is no Keras file, or a damaged one ({last_line(error)}){guess}. Write it anew (model.save)"
        ) from error


def _slots(described: Mapping[str, Any]) -> list[_Slot]:
    """The inputs of a functional model, or of a Sequential that begins with its input."""
    layers = [layer for layer in described.get("layers", ()) if layer.get("class_name") == "InputLayer"]
    known = {str(layer["config"].get("name", layer.get("name"))): layer["config"] for layer in layers}
    names = list(_layer_names(described["input_layers"])) if "input_layers" in described else list(known)[:1]
    return [_slot(name, known[name]) for name in names] if set(names) <= set(known) else []


def _slot(name: str, config: Mapping[str, Any]) -> _Slot:
    # Keras 2 called it otherwise.
    shape = config.get("batch_shape") or config["batch_input_shape"]
    kinds = [kind for kind in ("sparse", "ragged") if config.get(kind)]
    return _Slot(name, shape, str(config.get("dtype") or "float32"), bool(config.get("optional")), "".join(kinds))


def _layer_names(layers: Any) -> Iterator[str]:
    """The names in `["a", 0, 0]`, or in a list or a dict (in the order of its keys) of such."""
    if isinstance(layers, Mapping):
        layers = [layers[key] for key in sorted(layers)]
    if layers and isinstance(layers[0], str):
        yield layers[0]
        return
    for layer in layers:
        yield from _layer_names(layer)
