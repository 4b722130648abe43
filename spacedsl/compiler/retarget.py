"""An integer model under the rules of another runtime, and how far that is from what was trained.

Where both keep the same tensors in 8 bits nothing changes. Elsewhere learned numbers are kept as
far as there are any, and the rest is calibrated: no longer what was trained, so it is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spacedsl.compiler.fold import IntWeights, move_bias
from spacedsl.compiler.graph import Shape
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import (
    MAX_BYTES,
    IntegerModel,
    Quantiser,
    array_of,
    check_model,
    fixed_quantiser,
    range_quantiser,
)
from spacedsl.compiler.parameters import Floats
from spacedsl.compiler.plans import Int8Plan, NetworkPlan, int8_plan
from spacedsl.compiler.reference import Reals, Steps, outputs, quantise, real_values, run_node
from spacedsl.compiler.ties import without_ties
from spacedsl.diagnostics import fault
from spacedsl.files import read_bounded
from spacedsl.ir.expr import Frozen
from spacedsl.ir.target import Target
from spacedsl.runtimes.rules import Rules

CALIBRATION_IMAGES = 4


class Difference(Frozen):
    """What moving a model to another runtime costs, over `images`: the share of them with the same
    largest logit (None for a network that gives maps), and the distance of the logits, or of the
    maps' values. Their own standard deviation is `logit_deviation`. `calibrated`: tensors whose
    quantisers were not trained."""

    trained_for: str
    exported_for: str
    images: int
    calibrated: tuple[str, ...]
    argmax_agreement: float | None
    max_logit_difference: float
    mean_logit_difference: float
    logit_deviation: float


class Moved(NamedTuple):
    """The model under other rules, and the tensors that had to be calibrated."""

    model: IntegerModel
    calibrated: tuple[str, ...]


def restamped(model: IntegerModel, rules: Rules, target: Target | None) -> IntegerModel | None:
    """The same integers under other rules; None where those keep other tensors in 8 bits. Raises
    `SpaceError` where the runtime lacks an activation."""
    plan = _plan(model, rules, target)
    if plan.graph.nodes != model.header.plan.graph.nodes:
        return None
    return IntegerModel(model.header.model_copy(update={"plan": plan}), model.weights)


def _plan(model: IntegerModel, rules: Rules, target: Target | None) -> Int8Plan:
    old = model.header.plan
    return int8_plan(NetworkPlan(origin=old.origin, graph=old.network), rules, target)


def moved(model: IntegerModel, rules: Rules, target: Target | None, images: Floats) -> Moved:
    """The model with another runtime's 8-bit tensors: the same weights, learned quantisers where a
    tensor of the network had one, else ranges on the first of `images` (N, C, H, W). Raises
    `SpaceError` as `restamped`."""
    plan = _plan(model, rules, target)
    found: dict[str, Quantiser] = {}
    weights: dict[str, IntWeights] = {}
    header = model.header.model_copy(update={"plan": plan, "quantisers": found})
    result = IntegerModel(header, weights)  # its numbers come node by node
    made: dict[str, Steps] = {}
    calibrated: list[str] = []
    keep = _Kept(model)
    for node in plan.graph.nodes:
        inputs, readers = [made[i] for i in node.inputs], [found[i] for i in node.inputs]
        if node.source:
            weights[node.name] = keep.weights(node, readers[0])
        quantiser = keep.quantiser(node, readers)
        if quantiser is None:
            real = real_values(node, inputs, readers, weights.get(node.name))
            widest = range_quantiser(node, float(real.min()), float(real.max()))
            quantiser = without_ties(node, readers, widest)
            calibrated.append(node.name)
        found[node.name] = quantiser
        if node.op == "input":
            made[node.name] = quantise(images[:CALIBRATION_IMAGES].astype(np.float64), quantiser)
        else:
            made[node.name] = run_node(result, node, inputs)
    check_model(result)
    return Moved(result, tuple(calibrated))


class _Kept:
    """What was learned, by network tensor and by the network node with the weights."""

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.learned = {n.value: n for n in model.nodes if n.value and n.fixed is None}
        self.sources = {n.source: n for n in model.nodes if n.source}

    def weights(self, node: Int8Node, reader: Quantiser) -> IntWeights:
        """The weights of a node whose input `reader` reads."""
        old = self.sources[node.source]
        before = self.model.header.quantisers[old.inputs[0]].read
        scales = np.float32(before), np.float32(reader.read)
        return move_bias(self.model.weights[old.name], *scales, node.offset - old.offset)

    def quantiser(self, node: Int8Node, readers: Sequence[Quantiser]) -> Quantiser | None:
        """The quantiser of a node that does not have to be calibrated."""
        if node.shared:
            return readers[0]
        if node.fixed is not None:
            return fixed_quantiser(node.fixed)
        old = self.learned.get(node.like or node.value)
        if old is None or old.clip != node.clip:
            return None
        return self.model.header.quantisers[old.name]


def difference(model: IntegerModel, found: Moved, images: Floats) -> Difference:
    """How far the moved model's logits (or maps) are from those that were trained, on `images`
    (N, C, H, W)."""
    before, after = (
        np.concatenate([_values(m, image[None]) for image in images]) for m in (model, found.model)
    )
    same = None
    if not model.header.plan.network.taps:
        same = float((before.argmax(1) == after.argmax(1)).mean())
    off = np.abs(before - after)
    return Difference(
        trained_for=model.header.plan.rules.runtime,
        exported_for=found.model.header.plan.rules.runtime,
        images=len(images),
        calibrated=found.calibrated,
        argmax_agreement=same,
        max_logit_difference=float(off.max()),
        mean_logit_difference=float(off.mean()),
        logit_deviation=float(before.std()),
    )


def _values(model: IntegerModel, images: Floats) -> Reals:
    """All that a model gives for N images, (N, values)."""
    found = outputs(model, images).values()
    return np.concatenate([value.reshape(len(images), -1) for value in found], axis=1)


def load_images(path: Path, shape: Shape) -> Floats:
    """Images (N, C, H, W), preprocessed, from a `.npy` file of float32. Raises `SpaceError`."""
    data = read_bounded(path, MAX_BYTES)
    try:
        found = array_of(data)
    except (ValueError, EOFError) as error:
        raise fault("bad-images", f"{path} is no .npy file of images: {error}") from None
    if found.dtype != np.float32 or found.shape[1:] != shape:
        have = f"{found.dtype} {found.shape}"
        raise fault("bad-images", f"{path} holds {have}, the model takes float32 (N, *{shape})")
    if not len(found) or not np.isfinite(found).all():
        raise fault("bad-images", f"{path} holds no images, or numbers that are not finite")
    return found
