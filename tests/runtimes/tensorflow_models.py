"""The network of the conformance suite in the forms of TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtimes import network

# TensorFlow keeps no names of dynamic sizes.
X, SHIFT = (None, None, network.FEATURES), (None, network.FEATURES)


def module() -> Any:
    """The network as a tf.Module; `predict` is a tf.function with an input signature."""
    import tensorflow as tf

    class Network(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = {name: tf.Variable(weight, name=name) for name, weight in network.WEIGHTS.items()}

        def __call__(self, x: Any, shift: Any) -> dict[str, Any]:
            weights = self.weights
            hidden = tf.nn.relu(tf.matmul(x, weights["first"]) + weights["first_bias"])
            hidden = tf.nn.relu(tf.matmul(hidden, weights["second"]) + weights["second_bias"])
            # From (out, in, kernel) to (kernel, in, out).
            y = tf.nn.conv1d(hidden, tf.transpose(weights["kernel"], (2, 1, 0)), 1, "SAME")
            return {"y": y + weights["kernel_bias"] + shift[:, tf.newaxis, :]}

        @tf.function(input_signature=[tf.TensorSpec(X), tf.TensorSpec(SHIFT)])  # type: ignore[untyped-decorator]
        def predict(self, x: Any, shift: Any) -> Any:
            return self(x, shift)

    return Network()


def saved_model(folder: Path) -> Path:
    """The network as a SavedModel."""
    import tensorflow as tf

    path, live = folder / "network", module()
    tf.saved_model.save(live, str(path), signatures=live.predict)
    return path


def keras_model() -> Any:
    """The network as a functional model of Keras."""
    import keras

    layers, weights = keras.layers, network.WEIGHTS
    x, shift = keras.Input(X[1:], name="x"), keras.Input(SHIFT[1:], name="shift")
    hidden = layers.Dense(network.HIDDEN, "relu", name="first")(x)
    hidden = layers.Dense(network.HIDDEN, "relu", name="second")(hidden)
    y = layers.Conv1D(network.FEATURES, network.KERNEL, padding="same", name="kernel")(hidden)
    model = keras.Model([x, shift], {"y": y + keras.ops.expand_dims(shift, 1)})
    for name in ("first", "second"):
        model.get_layer(name).set_weights([weights[name], weights[f"{name}_bias"]])
    model.get_layer("kernel").set_weights([weights["kernel"].transpose(2, 1, 0), weights["kernel_bias"]])
    return model


def litert_file(folder: Path) -> Path:
    """The network as LiteRT has it, converted from the SavedModel."""
    import tensorflow as tf

    path = folder / "network.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved_model(folder))).convert())
    return path
