"""An integer model without training: ranges of tensors seen by a runtime on some images, and
weights rounded. Trained weights keep most of their accuracy so; QAT keeps more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spacedsl.compiler.fold import IntWeights, fold_floats, quantise_weights
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import (
    IntegerModel,
    Preprocess,
    Quantiser,
    fill,
    range_quantiser,
)
from spacedsl.compiler.parameters import Floats, Parameters
from spacedsl.compiler.plans import Int8Plan
from spacedsl.compiler.ties import without_ties

Ranges = dict[str, tuple[float, float]]
"""Least and greatest value of a tensor, by its name in the network."""

Observe = Callable[[Floats], Sequence[Floats]]
"""Runs the FP32 network on an image (1, C, H, W): the values of some tensors."""

Watch = Callable[[Sequence[str]], Observe]
"""Opens the FP32 network so that the tensors of these names are observed."""


def observed_ranges(source: str, names: Sequence[str], images: Floats, observe: Observe) -> Ranges:
    """Ranges of the tensors of these names and of the input, `source`, when the FP32 network sees
    `images` (N, C, H, W)."""
    found: Ranges = {source: (float(images.min()), float(images.max()))}
    for image in images:
        for name, value in zip(names, observe(image[None]), strict=True):
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = min(low, float(value.min())), max(high, float(value.max()))
    return found


def calibrated_model(
    plan: Int8Plan,
    parameters: Parameters,
    preprocess: Preprocess,
    images: Floats,
    weights_from: str,
    watch: Watch,
    labels: Sequence[str] = (),
) -> IntegerModel:
    """The integer model of a network with float weights, quantised after training."""
    source = plan.network.input.name
    wanted = [node.value for node in plan.graph.nodes if node.value and node.fixed is None]
    names = [name for name in wanted if name != source]
    ranges = observed_ranges(source, names, images, watch(names))
    for node in plan.graph.nodes:
        if node.like:
            ranges[node.like] = _both(ranges[node.like], ranges[node.value])

    def choose(node: Int8Node) -> Quantiser:
        if node.op == "input":
            return preprocess.quantiser()
        return range_quantiser(node, *ranges[node.value])

    def weigh(node: Int8Node, reader: Quantiser) -> IntWeights:
        weight, bias = fold_floats(parameters[node.source])
        return quantise_weights(weight, bias, np.float32(reader.read), node.offset)

    return fill(plan, preprocess, weights_from, choose, weigh, labels, without_ties)


def _both(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])
