"""Our TFLite files against TensorFlow: its converter's of the same network, its interpreter."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from typing import Any

import numpy as np
import pytest

from spacedsl.compiler.export import fp32_tflite, integer_model, seeded
from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.reference import run_node
from spacedsl.compiler.tflite_int8 import emit_int8
from spacedsl.compiler.ties import NARROWER
from spacedsl.runtimes.litert import Session
from spacedsl.runtimes.table import LITERT
from tests.compiler.keras_twin import converted, keras_model
from tests.compiler.onnx_support import VALUES, library_blocks, net_around
from tests.compiler.tflite_support import channels_last, litert_model, moved_to, unsigned
from tests.support import library_model

REQUIRE = "SPACEDSL_REQUIRE_TENSORFLOW" in os.environ
"""Set where TensorFlow must be installed: its tests then fail instead of skipping."""

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None and not REQUIRE,
        reason="the extra `tensorflow` is not installed",
    ),
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's own
]

KERNELS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}


class Operators:
    """The operators of a TFLite file, with their tensors."""

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        codes = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        graph = model.subgraphs[0]
        self.buffers, self.tensors = model.buffers, graph.tensors
        self.found = [
            (codes[model.operatorCodes[op.opcodeIndex].builtinCode], op) for op in graph.operators
        ]

    def kinds(self) -> Counter[str]:
        return Counter(kind for kind, _ in self.found)

    def scales(self, kind: str) -> list[tuple[float, int]]:
        """Scales and zero points of the tensors that operators of a kind make, ascending."""
        made = [self.tensors[op.outputs[0]].quantization for k, op in self.found if k == kind]
        return sorted((float(q.scale[0]), int(q.zeroPoint[0])) for q in made)

    def kernels(self) -> dict[bytes, tuple[Any, Any, Any]]:
        """Weights -> quantisation of the weights, of the input and of the bias."""
        found = {}
        for kind, op in self.found:
            if kind in KERNELS:
                source, weight, bias = (self.tensors[i] for i in op.inputs)
                integers = bytes(self.buffers[weight.buffer].data)
                found[integers] = tuple(t.quantization for t in (weight, source, bias))
        return found


@pytest.mark.slow
def test_the_converters_file_has_the_same_operators_and_quantisers() -> None:
    net, folded = litert_model(library_model("models/tiny-a0"))
    model = moved_to(folded, LITERT.rules.model_copy(update={"stem": "plain"}))
    theirs, ours = Operators(converted(net)), Operators(emit_int8(model))
    assert ours.kinds() == theirs.kinds()
    mine, other = ours.kernels(), theirs.kernels()
    assert mine.keys() == other.keys()
    for integers, (weight, source, bias) in mine.items():
        wanted = other[integers][0]
        assert weight.quantizedDimension == wanted.quantizedDimension
        assert np.allclose(weight.scale, wanted.scale, rtol=1e-6)
        assert not np.any(weight.zeroPoint)
        assert np.array_equal(bias.scale, source.scale[0] * weight.scale)
    for kind in ("ADD", "MUL", "LOGISTIC", "MEAN", "FULLY_CONNECTED"):
        for (scale, zero), (wanted, at) in zip(ours.scales(kind), theirs.scales(kind), strict=True):
            ties = scale == pytest.approx(wanted * NARROWER, rel=1e-5)  # theirs rounds exact ties
            assert ties or scale == pytest.approx(wanted, rel=1e-5)
            assert zero == at


@pytest.mark.parametrize("name", ["tiny-a0", "mbv3", "bottleneck-se"])
def test_outputs_follow_the_converters(name: str) -> None:
    if name == "tiny-a0":
        subnet = library_model("models/tiny-a0")
    else:
        block = next(b for b in library_blocks() if b.name == name)
        subnet = net_around(block, 2, 24, 24, "hswish")
    drawn = seeded(subnet, 0)
    # our input quantiser ends where pixels do
    net = drawn._replace(images=np.clip(drawn.images, -2.1, 2.2))
    model = integer_model(net, LITERT.rules)
    image = channels_last(net.images[:1])
    exact = np.array(keras_model(net)(image))
    assert np.allclose(exact, Session(fp32_tflite(net)).run(image)[LOGITS], atol=1e-4)
    (theirs,) = Session(converted(net)).run(image).values()
    ours = Session(emit_int8(model)).run(image)[LOGITS]
    step = model.header.quantisers[model.nodes[-1].name].read
    assert np.abs(theirs - ours).max() <= 5 * step
    assert np.linalg.norm(ours - exact) <= 1.5 * np.linalg.norm(theirs - exact)


@pytest.mark.parametrize(("kernel", "size"), [(5, 24), (7, 27)])
@pytest.mark.parametrize("name", ["mbv3", "bottleneck-se", "bottleneck-pool", "fused-se"])
@pytest.mark.parametrize("kind", ["AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"])
def test_tensorflow_runs_our_file_within_one_step(
    kind: str, name: str, kernel: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With XNNPACK, with its own kernels and with its reference kernels."""
    import tensorflow as tf

    monkeypatch.setitem(VALUES, "kernel", kernel)
    block = next(b for b in library_blocks() if b.name == name)
    net, model = litert_model(net_around(block, 2, 24, size, "hswish"))
    names = [node.name for node in model.nodes]
    interpreter = tf.lite.Interpreter(
        model_content=emit_int8(model, outputs=names),
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType[kind],
    )
    interpreter.allocate_tensors()
    (wanted,) = interpreter.get_input_details()
    interpreter.set_tensor(wanted["index"], channels_last(net.images[:1]))
    interpreter.invoke()
    values = {d["name"]: d["index"] for d in interpreter.get_output_details()}
    found = {name: unsigned(interpreter.get_tensor(values[name])) for name in names}
    for node in model.nodes[1:]:
        steps = run_node(model, node, [found[i] for i in node.inputs])
        off = np.abs(found[node.name].astype(np.int64) - steps.astype(np.int64))
        assert off.max() <= 1, node.name
