"""Each record of an activation gives its function several times. They are all the same function."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from spacedsl.compiler.graph import Node
from spacedsl.compiler.onnx_build import Builder, check
from spacedsl.compiler.stamp import IMAGE, PREFIX
from spacedsl.compiler.tflite_build import Builder as TfliteBuilder
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import as_number
from spacedsl.runtimes import onnxruntime
from spacedsl.runtimes.litert import Session
from spacedsl.vocabulary import advice, bare, synonyms

X = np.linspace(-9, 9, 1801, dtype=np.float32)

STAMP = dict.fromkeys((f"{PREFIX}{key}" for key in ("model", "space", "precision", "weights")), "")

acts = pytest.mark.parametrize("word", ACTIVATIONS)


def values(word: str) -> NDArray[np.float64]:
    return np.array([ACTIVATIONS[word].value(float(x)) for x in X])


@acts
def test_values_lie_within_their_bounds(word: str) -> None:
    act = ACTIVATIONS[word]
    found = values(word)
    assert found.min() >= act.low
    assert found.max() <= act.high
    assert np.isfinite([act.value(x) for x in (-1e30, -1e3, 0.0, 1e3)]).all()


@acts
def test_onnx_computes_the_function(word: str) -> None:
    build = Builder()
    shape = (1, 1, len(X))
    build.act(word, "act", IMAGE, "y")
    build.op("Flatten", "flatten", ["y"], "logits")
    image = Node(name="input", op="input", shape=shape)
    model = build.model(image, {"logits": (len(X),)}, "act", STAMP, [])
    session = onnxruntime.open_session(check(model), 1, {})
    (found,) = session.run(None, {IMAGE: X.reshape(1, *shape)})
    assert np.abs(found[0] - values(word)).max() < 2e-6


@acts
def test_tflite_computes_the_function(word: str) -> None:
    build = TfliteBuilder()
    side = int(len(X) ** 0.5)
    x = X[: side * side]
    build.tensor(IMAGE, (1, side, side, 1), np.float32)
    build.like("y", IMAGE, side, side)
    build.act(word, IMAGE, "y")
    found = Session(build.model(["y"], "act", {})).run(x.reshape(1, side, side, 1))["y"]
    assert np.abs(found.ravel() - values(word)[: side * side]).max() < 2e-6


def test_a_name_of_the_field_means_one_activation() -> None:
    said = Counter(name for act in ACTIVATIONS.values() for name in act.synonyms)
    assert said.most_common(1)[0][1] == 1
    for word, act in ACTIVATIONS.items():
        assert advice(word) is None
        for name in act.synonyms:
            assert name == bare(name)
            assert name not in ACTIVATIONS
            assert synonyms(name) == (word,)


def test_tables_know_activations_by_numbers_that_stay() -> None:
    known = ("relu", "relu6", "hswish", "swish", "hsigmoid", "sigmoid", "gelu", "leaky", "htanh")
    assert [as_number(word) for word in (*known, "mish")] == list(range(-1000, -990))


def test_a_product_is_with_an_activation_that_8_bits_hold_alone() -> None:
    for word, act in ACTIVATIONS.items():
        assert bool(act.gate) == act.rewrite.endswith("product"), word
        if act.gate:
            gate = ACTIVATIONS[act.gate]
            assert act.rewrite == {"gate": "gated-product", "table": "table-product"}[gate.rewrite]
            assert np.allclose(values(word), X * values(act.gate), atol=1e-6)
