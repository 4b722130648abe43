"""A subnet out of QAT as an integer model (`.npz`), for `spacedsl export --weights`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spacedsl.compiler.fold import IntWeights
from spacedsl.compiler.int8 import Int8Node
from spacedsl.compiler.integer_model import (
    Preprocess,
    Quantiser,
    fill,
    save_model,
)
from spacedsl.compiler.plans import Int8Plan, load_plan, plan_of_json
from spacedsl.compiler.qat import QatNode, deployed
from spacedsl_runtime.errors import DeployError, PlanError, shown
from spacedsl_runtime.plan import mistakes
from spacedsl_runtime.quant.extracted import QatSubnet


def deploy(
    net: QatSubnet,
    plan: Int8Plan | Path | str | Mapping[str, Any],
    path: Path | str,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    crop: float | None = None,
    labels: Sequence[str] = (),
    weights_from: str = "QAT",
) -> None:
    """Write the integer model of `net` (`QatSupernet.extract`): learned scales and zero points,
    weights with the norm folded in, biases on the int32 grid, for the INT8 plan of the same model
    and target (`spacedsl compile MODEL --target T`); the numbers of channels and classes are those
    that were trained. `mean` and `std` per channel are what the training images went through after
    division by 255, `crop` the share of their shorter side that was seen. Raises `PlanError` for a
    plan that is damaged or of another version, `DeployError` for one of another space, subnet or
    set of 8-bit tensors, naming both; nothing is written then."""
    found = _read(plan)
    _check_origin(net, found)
    nodes = list(deployed(net.graph))
    last = nodes[-1].node
    found = found.for_data(net.channels, last.shape[0] if last.op == "linear" else None)
    _check_nodes(net, nodes, found)
    if not len(mean) == len(std) == net.channels or min(std) <= 0:
        raise DeployError(f"mean and std need {net.channels} values each, std above 0")
    preprocess = Preprocess(
        mean=tuple(map(float, mean)),
        std=tuple(map(float, std)),
        colour="RGB" if net.channels == 3 else "as given",
        crop=crop,
    )
    trained = {each.node.name: each for each in nodes}

    def choose(node: Int8Node) -> Quantiser:
        return _learned(net, trained[node.name])

    def weigh(node: Int8Node, reader: Quantiser) -> IntWeights:
        return _weights(net, trained[node.name], reader.read)

    with torch.no_grad():
        model = fill(found, preprocess, weights_from, choose, weigh, labels)
    with mistakes(DeployError):
        save_model(model, Path(path))


def _read(plan: Int8Plan | Path | str | Mapping[str, Any]) -> Int8Plan:
    if isinstance(plan, Int8Plan):
        return plan
    with mistakes(PlanError):
        if isinstance(plan, Mapping):
            return plan_of_json(plan, Int8Plan)
        return load_plan(Path(plan), Int8Plan)


def _learned(net: QatSubnet, each: QatNode) -> Quantiser:
    scale, zero = net.quantiser(each).deployed()
    if not np.isfinite(scale):
        raise DeployError(f"{each.node.name}: its scale is no finite number")
    return Quantiser(write=scale, read=scale, zero_point=zero)


def _weights(net: QatSubnet, each: QatNode, input_scale: float) -> IntWeights:
    device = net.scale(each).scale.device
    found = net.folded(each, torch.tensor(input_scale, device=device))
    for name, tensor in found._asdict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise DeployError(f"{each.node.name}: its {name} is no finite number")
    weight = found.weight.reshape(*found.weight.shape[:2], *found.weight.shape[2:] or (1, 1))
    return IntWeights(
        weight.cpu().contiguous().numpy().astype(np.int8),
        found.scale.cpu().numpy(),
        found.bias.cpu().numpy().astype(np.int32),
    )


def _check_origin(net: QatSubnet, plan: Int8Plan) -> None:
    """Refuse a plan of another space, and one whose target says activations in another way."""
    origin, rules = plan.origin, net.rules
    if origin.space_hash != net.plan.hash:
        raise DeployError(
            f"the INT8 plan is of {origin.model} of {origin.space}, space "
            f"{shown(origin.space_hash)}; "
            f"the weights are of {net.plan.name}, space {shown(net.plan.hash)}"
        )
    mine, theirs = dict(rules.acts), dict(plan.rules.acts)
    for act, rewrite in mine.items():
        if theirs.get(act, rewrite) != rewrite:  # the network need not have all of the space's
            raise DeployError(
                f"the INT8 plan is for {plan.rules.runtime}, whose {act} is {theirs[act]}; "
                f"QAT was for {rules.target} ({rules.runtime}), where it is {rewrite}"
            )


def _check_nodes(net: QatSubnet, nodes: Sequence[QatNode], plan: Int8Plan) -> None:
    """Refuse a plan of other 8-bit tensors than those that were trained."""
    model = plan.origin.model
    for each, want in zip_longest(nodes, plan.graph.nodes):
        if each is None or want is None:
            count = f"{len(plan.graph.nodes)} tensors; {net.subnet.name} has {len(nodes)}"
            raise DeployError(f"the INT8 plan is of {model} with {count}")
        for key in (entry.name for entry in fields(Int8Node)):
            have, wanted = getattr(each.node, key), getattr(want, key)
            if have != wanted:
                raise DeployError(
                    f"the INT8 plan is of {model}, whose {want.name} has {key} {wanted}; "
                    f"{net.subnet.name} has {have} in {each.node.name}"
                )
