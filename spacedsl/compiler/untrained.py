"""An integer model to measure, not to use: random integers, and ranges that nobody observed.

Integer kernels take as long whatever they compute, so latency needs no weights, no calibration and
no float twin; this is ten times as fast to make as a calibrated model."""

from __future__ import annotations

import numpy as np

from spacedsl.compiler.fold import WEIGHT_MAX, IntWeights
from spacedsl.compiler.graph import weight_shape
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import (
    IntegerModel,
    Quantiser,
    fill,
    preprocess_for,
    range_quantiser,
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

    def choose(node: Int8Node) -> Quantiser:
        return preprocess.quantiser() if node.op == "input" else range_quantiser(node, *RANGE)

    def weigh(node: Int8Node, _: Quantiser) -> IntWeights:
        shape = weight_shape(sources[node.source], nodes[node.inputs[0]].shape[0])
        fan_in = int(np.prod(shape[1:]))
        return IntWeights(
            rng.integers(-WEIGHT_MAX, WEIGHT_MAX, shape, np.int8, endpoint=True),
            np.full(shape[0], 2 / (WEIGHT_MAX * np.sqrt(fan_in)), np.float32),
            rng.integers(-BIAS, BIAS, shape[0], np.int32),
        )

    return fill(plan, preprocess, f"seed {seed}, untrained, uncalibrated", choose, weigh)
