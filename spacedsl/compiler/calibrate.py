"""An integer model without training: ranges of tensors seen by a runtime on some images, and
weights rounded. For speed, size and tests; accuracy comes from QAT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from spacedsl.compiler.fold import fold_floats, quantise_weights
from spacedsl.compiler.integer_model import (
    Header,
    IntegerModel,
    Preprocess,
    Quantiser,
    choose_quantiser,
)
from spacedsl.compiler.onnx_fp32 import emit_fp32 as onnx_fp32
from spacedsl.compiler.parameters import Floats, Parameters
from spacedsl.compiler.plans import Int8Plan, NetworkPlan
from spacedsl.compiler.stamp import IMAGE
from spacedsl.compiler.tflite_fp32 import emit_fp32 as tflite_fp32
from spacedsl.compiler.ties import without_ties

Ranges = dict[str, tuple[float, float]]
"""Least and greatest value of a tensor, by its name in the network."""

Observe = Callable[
    [NetworkPlan, Parameters, Preprocess, Sequence[str], Floats], Iterator[Sequence[Floats]]
]
"""Runs the FP32 network on images (N, C, H, W): the values of some tensors, image by image."""


def by_onnx(
    plan: NetworkPlan,
    parameters: Parameters,
    preprocess: Preprocess,
    tensors: Sequence[str],
    images: Floats,
) -> Iterator[Sequence[Floats]]:
    """What ONNX Runtime makes of the network. Needs the extra `onnx`."""
    import onnxruntime as ort

    model = onnx_fp32(plan, parameters, preprocess, "calibration", outputs=tensors)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    for image in images:
        yield session.run(list(tensors), {IMAGE: image[None]})


def by_litert(
    plan: NetworkPlan,
    parameters: Parameters,
    preprocess: Preprocess,
    tensors: Sequence[str],
    images: Floats,
) -> Iterator[Sequence[Floats]]:
    """What LiteRT makes of the network. Needs the extra `tflite`."""
    from spacedsl.targets.litert import Session

    session = Session(tflite_fp32(plan, parameters, preprocess, "calibration", outputs=tensors))
    for image in images:
        found = session.run(image[None].transpose(0, 2, 3, 1))
        yield [found[name] for name in tensors]


def observed_ranges(
    plan: NetworkPlan,
    parameters: Parameters,
    preprocess: Preprocess,
    tensors: Sequence[str],
    images: Floats,
    observe: Observe,
) -> Ranges:
    """Ranges of `tensors` when the FP32 network sees `images` (N, C, H, W)."""
    names = [t for t in tensors if t != plan.graph.input.name]
    found: Ranges = {plan.graph.input.name: (float(images.min()), float(images.max()))}
    for values in observe(plan, parameters, preprocess, names, images):
        for name, value in zip(names, values, strict=True):
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = min(low, float(value.min())), max(high, float(value.max()))
    return found


def calibrated_model(
    network: NetworkPlan,
    plan: Int8Plan,
    parameters: Parameters,
    preprocess: Preprocess,
    images: Floats,
    weights_from: str,
    observe: Observe = by_onnx,
) -> IntegerModel:
    """The integer model of a network with float weights, quantised after training."""
    wanted = [node.value for node in plan.graph.nodes if node.value and node.fixed is None]
    ranges = observed_ranges(network, parameters, preprocess, wanted, images, observe)
    quantisers: dict[str, Quantiser] = {}
    weights = {}
    for node in plan.graph.nodes:
        if node.op == "input":
            quantisers[node.name] = preprocess.quantiser()
        elif node.shared:
            quantisers[node.name] = quantisers[node.inputs[0]]
        else:
            readers = [quantisers[i] for i in node.inputs]
            quantisers[node.name] = without_ties(node, readers, choose_quantiser(node, ranges))
        if node.source:
            weight, bias = fold_floats(parameters[node.source])
            scale = np.float32(quantisers[node.inputs[0]].read)
            weights[node.name] = quantise_weights(weight, bias, scale, node.offset)
    header = Header(
        plan=plan, preprocess=preprocess, weights_from=weights_from, quantisers=quantisers
    )
    return IntegerModel(header, weights)
