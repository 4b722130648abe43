"""An integer model to measure, not to use: random integers, and ranges that nobody observed.

Integer kernels take as long whatever they compute, so latency needs no weights, no calibration and
no float twin; this is ten times as fast to make as a calibrated model."""

from __future__ import annotations

import numpy as np

from spacedsl.compiler.fold import WEIGHT_MAX, IntWeights
from spacedsl.compiler.graph import weight_shape
from spacedsl.compiler.integer_model import (
    Header,
    IntegerModel,
    Quantiser,
    choose_quantiser,
    preprocess_for,
)
from spacedsl.compiler.plans import Int8Plan

RANGE = (-4.0, 4.0)
BIAS = 1 << 10


def untrained_model(plan: Int8Plan, seed: int) -> IntegerModel:
    """Random weights and plausible scales for every tensor of a plan; the same for the same
    seed."""
    nodes = plan.graph.by_name()
    sources = plan.network.by_name()
    preprocess = preprocess_for(plan.network.input.shape[0])
    rng = np.random.default_rng(seed)
    quantisers: dict[str, Quantiser] = {}
    weights: dict[str, IntWeights] = {}
    for node in plan.graph.nodes:
        if node.op == "input":
            quantisers[node.name] = preprocess.quantiser()
        elif node.shared:
            quantisers[node.name] = quantisers[node.inputs[0]]
        else:
            quantisers[node.name] = choose_quantiser(node, {node.value: RANGE})
        if node.source:
            shape = weight_shape(sources[node.source], nodes[node.inputs[0]].shape[0])
            fan_in = int(np.prod(shape[1:]))
            weights[node.name] = IntWeights(
                rng.integers(-WEIGHT_MAX, WEIGHT_MAX, shape, np.int8, endpoint=True),
                np.full(shape[0], 2 / (WEIGHT_MAX * np.sqrt(fan_in)), np.float32),
                rng.integers(-BIAS, BIAS, shape[0], np.int32),
            )
    header = Header(
        plan=plan,
        preprocess=preprocess,
        weights_from=f"seed {seed}, untrained, uncalibrated",
        quantisers=quantisers,
    )
    return IntegerModel(header, weights)
