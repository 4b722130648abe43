"""The activations: a record each.

Language, reference, completion, errors, costs, INT8 graphs and the files of both formats read this
table. PyTorch's function has the same word in `spacedsl_runtime/elastic/functional.py`."""

from __future__ import annotations

from math import erfc, exp, log1p, sqrt, tanh

from spacedsl.operators.activation import LAST, Activation, Call, Steps, X

LEAK = 0.01
RELU6 = 3
"""TFLite's `ActivationFunctionType`."""


def _sigmoid(x: float) -> float:
    return (1 + tanh(x / 2)) / 2  # never overflows


def _hsigmoid(x: float) -> float:
    return min(max(x + 3, 0.0), 6.0) / 6


def _mish(x: float) -> float:
    return x * tanh(max(x, 0.0) + log1p(exp(-abs(x))))


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
    "gelu": Activation(
        text="x * (1 + erf(x / sqrt(2))) / 2",
        value=lambda x: x * erfc(-x / sqrt(2)) / 2,
        rewrite="function",
        onnx=(Call("Gelu", opset=20),),
        tflite=(Call("GELU", table="GeluOptions"),),
        floats=("onnx", "tflite"),
    ),
    "leaky": Activation(
        text="max(x, 0.01 * x)",
        value=lambda x: max(x, LEAK * x),
        rewrite="function",
        onnx=(Call("LeakyRelu", attributes=(("alpha", LEAK),)),),
        tflite=(Call("LEAKY_RELU", (X,), (("alpha", LEAK),), "LeakyReluOptions"),),
        floats=("tflite",),  # the kernel for 8 bits multiplies in fixed point: many are a step off
        synonyms=("leakyrelu", "lrelu", "leakyreluact"),
    ),
    "htanh": Activation(
        text="min(max(x, -1), 1)",
        value=lambda x: min(max(x, -1.0), 1.0),
        low=-1,
        high=1,
        rewrite="saturate",
        fixed=Steps(1 / 128, 1 / 128, 128),
        onnx=(Call("Clip", (X, -1.0, 1.0)),),
        tflite=(Call("RELU_N1_TO_1"),),
        synonyms=("hardtanh", "hardtanhact"),
    ),
    "mish": Activation(
        text="x * (1 - 2 / ((1 + exp(x))^2 + 1))",
        value=_mish,
        rewrite="function",
        onnx=(
            Call("Exp"),
            Call("Add", (LAST, 1.0)),
            Call("Mul", (LAST, LAST)),
            Call("Add", (LAST, 1.0)),
            Call("Div", (2.0, LAST)),
            Call("Sub", (1.0, LAST)),
            Call("Mul", (X, LAST)),
        ),
        tflite=(
            Call("EXP", table="ExpOptions"),
            Call("ADD", (LAST, 1.0), table="AddOptions"),
            Call("MUL", (LAST, LAST), table="MulOptions"),
            Call("ADD", (LAST, 1.0), table="AddOptions"),
            Call("DIV", (2.0, LAST), table="DivOptions"),
            Call("SUB", (1.0, LAST), table="SubOptions"),
            Call("MUL", (X, LAST), table="MulOptions"),
        ),
        floats=("onnx", "tflite"),
        synonyms=("mishact",),
        timm="mi",
    ),
}
"""Word -> activation."""


def with_rewrite(*rewrites: str) -> frozenset[str]:
    """The words of the activations that 8 bits hold in these ways."""
    return frozenset(word for word, act in ACTIVATIONS.items() if act.rewrite in rewrites)
