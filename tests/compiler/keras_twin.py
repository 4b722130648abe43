"""The same network in Keras, and what TensorFlow's converter makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.export import Seeded
from spacedsl.compiler.fold import fold_floats
from spacedsl.compiler.graph import WEIGHTED, Node
from tests.compiler.tflite_support import channels_last


def keras_model(net: Seeded) -> Any:
    """The network with the same weights, batch norm folded, in layers of the same names."""
    import keras

    made: dict[str, Any] = {}
    for node in net.plan.graph.nodes:
        inputs = [made[i] for i in node.inputs]
        if node.op == "input":
            channels, height, width = node.shape
            made[node.name] = keras.Input((height, width, channels), batch_size=1)
        else:
            made[node.name] = _layer(node, inputs)
    graph = net.plan.graph
    flat = keras.layers.Flatten()(made[graph.outputs[0].node.name])
    model = keras.Model(made[graph.input.name], flat)
    for node in graph.nodes:
        if node.op in WEIGHTED:
            weight, bias = fold_floats(net.parameters[node.name])
            order = (2, 3, 0, 1) if node.op == "dwconv" else (2, 3, 1, 0)
            kernel = weight[:, :, 0, 0].T if node.op == "linear" else weight.transpose(order)
            model.get_layer(_name(node)).set_weights([kernel, bias])
    return model


def _name(node: Node) -> str:
    return node.name.replace(".", "_")


def _layer(node: Node, inputs: list[Any]) -> Any:
    import keras

    layers = keras.layers
    match node.op:
        case "conv" | "dwconv":
            before, after = node.pads
            edges = ((before, after), (before, after))
            tensor = layers.ZeroPadding2D(edges)(inputs[0]) if any(node.pads) else inputs[0]
            if node.op == "conv":
                made = layers.Conv2D(node.shape[0], node.kernel, node.stride, name=_name(node))
            else:
                made = layers.DepthwiseConv2D(node.kernel, node.stride, name=_name(node))
            return made(tensor)
        case "linear":
            return layers.Dense(node.shape[0], name=_name(node))(inputs[0])
        case "add":
            return layers.Add()(inputs)
        case "mul":
            return layers.Multiply()(inputs)
        case "pool":
            return layers.GlobalAveragePooling2D(keepdims=True)(inputs[0])
        case "act":
            return _act(node.act, inputs[0])
    raise NotImplementedError(f"{node.op} is not in the twin")


def _act(name: str | None, tensor: Any) -> Any:
    import keras

    if name in ("relu", "relu6"):
        return keras.layers.ReLU(6.0 if name == "relu6" else None)(tensor)
    if name in ("hsigmoid", "hswish"):
        gate = keras.layers.ReLU(6.0)(tensor + 3.0) * (1 / 6)
    else:
        gate = keras.ops.sigmoid(tensor)
    return gate if name in ("hsigmoid", "sigmoid") else tensor * gate


def converted(net: Seeded) -> bytes:
    """The network through TensorFlow's converter: int8 inside, calibrated on the same images."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(keras_model(net))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([image[None]] for image in _images(net))
    return bytes(converter.convert())


def _images(net: Seeded) -> NDArray[np.float32]:
    return channels_last(net.images)
