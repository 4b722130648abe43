"""An integer model without training: ranges of tensors seen by ONNX Runtime on some images, and
weights rounded. Needs the extra `onnx`. For speed, size and tests; accuracy comes from QAT."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spacedsl.compiler.fold import fold_floats, quantise_weights
from spacedsl.compiler.integer_model import (
    Header,
    IntegerModel,
    Preprocess,
    Quantiser,
    choose_quantiser,
)
from spacedsl.compiler.onnx_build import IMAGE
from spacedsl.compiler.onnx_fp32 import emit_fp32
from spacedsl.compiler.parameters import Floats, Parameters
from spacedsl.compiler.plans import Int8Plan, NetworkPlan

Ranges = dict[str, tuple[float, float]]
"""Least and greatest value of a tensor, by its name in the network."""


def observed_ranges(
    plan: NetworkPlan,
    parameters: Parameters,
    preprocess: Preprocess,
    tensors: Iterable[str],
    images: Floats,
) -> Ranges:
    """Ranges of `tensors` when the FP32 network sees `images` (N, C, H, W)."""
    import onnxruntime as ort

    names = [t for t in tensors if t != plan.graph.input.name]
    model = emit_fp32(plan, parameters, preprocess, "calibration", outputs=names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: Ranges = {plan.graph.input.name: (float(images.min()), float(images.max()))}
    for image in images:
        values = session.run(names, {IMAGE: image[None]})
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
) -> IntegerModel:
    """The integer model of a network with float weights, quantised after training."""
    wanted = [node.value for node in plan.graph.nodes if node.value and node.fixed is None]
    ranges = observed_ranges(network, parameters, preprocess, wanted, images)
    quantisers: dict[str, Quantiser] = {}
    weights = {}
    for node in plan.graph.nodes:
        if node.op == "input":
            quantisers[node.name] = preprocess.quantiser()
        elif node.shared:
            quantisers[node.name] = quantisers[node.inputs[0]]
        else:
            quantisers[node.name] = choose_quantiser(node, ranges)
        if node.source:
            weight, bias = fold_floats(parameters[node.source])
            scale = np.float32(quantisers[node.inputs[0]].read)
            weights[node.name] = quantise_weights(weight, bias, scale, node.offset)
    header = Header(
        plan=plan, preprocess=preprocess, weights_from=weights_from, quantisers=quantisers
    )
    return IntegerModel(header, weights)
