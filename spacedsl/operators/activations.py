"""The activations: a record each.

Language, reference, completion, errors, costs, INT8 graphs and the files of both formats read this
table. PyTorch's function has the same word in `spacedsl_runtime/elastic/functional.py`."""

from __future__ import annotations

from math import tanh

from spacedsl.operators.activation import LAST, Activation, Call, Steps, X

RELU6 = 3
"""TFLite's `ActivationFunctionType`."""


def _sigmoid(x: float) -> float:
    return (1 + tanh(x / 2)) / 2  # never overflows


def _hsigmoid(x: float) -> float:
    return min(max(x + 3, 0.0), 6.0) / 6


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(
        text="max(x, 0)",
        value=lambda x: max(x, 0.0),
        low=0,
        rewrite="saturate",
        onnx=(Call("Relu"),),
        tflite=(Call("RELU"),),
        synonyms=("rectifier", "reluact"),
        timm="re",
    ),
    "relu6": Activation(
        text="min(max(x, 0), 6)",
        value=lambda x: min(max(x, 0.0), 6.0),
        low=0,
        high=6,
        rewrite="saturate",
        onnx=(Call("Clip", (X, 0.0, 6.0)),),
        tflite=(Call("RELU6"),),
        synonyms=("relu6act",),
        timm="r6",
    ),
    "hswish": Activation(
        text="x * hsigmoid(x)",
        value=lambda x: x * _hsigmoid(x),
        rewrite="gated-product",
        gate="hsigmoid",
        onnx=(Call("HardSwish"),),
        tflite=(Call("HARD_SWISH", table="HardSwishOptions"),),
        synonyms=("hardswish", "hardswishact", "hsilu", "hardsilu", "hswishact"),
        timm="hs",
    ),
    "swish": Activation(
        text="x * sigmoid(x)",
        value=lambda x: x * _sigmoid(x),
        rewrite="table-product",
        gate="sigmoid",
        onnx=(Call("Sigmoid"), Call("Mul", (X, LAST))),
        tflite=(Call("LOGISTIC"), Call("MUL", (X, LAST), table="MulOptions")),
        synonyms=("silu", "swish1", "swishact"),
        timm="sw",
    ),
    "hsigmoid": Activation(
        text="min(max(x + 3, 0), 6) / 6",
        value=_hsigmoid,
        low=0,
        high=1,
        rewrite="gate",
        fixed=Steps(6 / 255, 1 / 255),
        offset=3.0,
        onnx=(Call("HardSigmoid", attributes=(("alpha", 1 / 6), ("beta", 0.5))),),
        tflite=(
            Call("ADD", (X, 3.0), (("fusedActivationFunction", RELU6),), "AddOptions"),
            Call("MUL", (LAST, 1 / 6), table="MulOptions"),
        ),
        synonyms=("hardsigmoid",),
    ),
    "sigmoid": Activation(
        text="1 / (1 + exp(-x))",
        value=_sigmoid,
        low=0,
        high=1,
        rewrite="table",
        fixed=Steps(1 / 256, 1 / 256),  # TFLite demands this scale, so every file has it
        onnx=(Call("Sigmoid"),),
        tflite=(Call("LOGISTIC"),),
        synonyms=("logistic", "sigm"),
    ),
}
"""Word -> activation."""


def with_rewrite(*rewrites: str) -> frozenset[str]:
    """The words of the activations that 8 bits hold in these ways."""
    return frozenset(word for word, act in ACTIVATIONS.items() if act.rewrite in rewrites)
