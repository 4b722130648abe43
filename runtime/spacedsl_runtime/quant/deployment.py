"""A subnet out of QAT as an integer model (`.npz`), for `spacedsl export --weights`.

`spacedsl.compiler.integer_model` defines the format and reads it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import ValidationError

from spacedsl.checksum import KEY, unsealed
from spacedsl.compiler.plans import FORMAT, Int8Plan
from spacedsl.files import read_json
from spacedsl.sealed import first_mistake
from spacedsl_runtime.errors import DeployError, PlanError, shown
from spacedsl_runtime.files import write_atomic
from spacedsl_runtime.quant.extracted import QatSubnet
from spacedsl_runtime.quant.int8 import Node


class Quantiser(NamedTuple):
    """uint8 q = clip(round(x / write) + zero_point, 0, 255), read as read * (q - zero_point)."""

    write: float
    read: float
    zero_point: int


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
    that were trained. `mean` and `std` per channel are what the
    training images went through after division by 255, `crop` the share of their shorter side that
    was seen. Raises `PlanError` for a plan that is
    damaged or of another version, `DeployError` for one of another space, subnet or set of 8-bit
    tensors, naming both; nothing is written then."""
    data, found = _read(plan, net)
    _check(net, found)
    if not len(mean) == len(std) == net.channels or min(std) <= 0:
        raise DeployError(f"mean and std need {net.channels} values each, std above 0")
    quantisers = _quantisers(net)
    header = {
        "format": FORMAT,
        "kind": "integer-model",
        "plan": data,
        "preprocess": {
            "mean": list(map(float, mean)),
            "std": list(map(float, std)),
            "layout": "NCHW",
            "colour": "RGB" if net.channels == 3 else "as given",
            "crop": crop,
        },
        "labels": list(labels),
        "weights_from": weights_from,
        "quantisers": {name: quantiser._asdict() for name, quantiser in quantisers.items()},
    }
    arrays = {"header": np.frombuffer(json.dumps(header, allow_nan=False).encode(), np.uint8)}
    with torch.no_grad():
        for node in net.graph:
            if node.weights is not None:
                scale = torch.tensor(quantisers[_maker(net, node.inputs[0])].read)
                arrays |= _weights(net, node, scale)
    write_atomic(path, lambda file: np.savez(file, **arrays), DeployError)  # type: ignore[arg-type]


def _weights(net: QatSubnet, node: Node, input_scale: torch.Tensor) -> dict[str, np.ndarray]:
    found = net.folded(node, input_scale.to(net.scale(node).scale.device))
    for name, tensor in found._asdict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise DeployError(f"{node.name}: its {name} is no finite number")
    weight = found.weight.reshape(*found.weight.shape[:2], *found.weight.shape[2:] or (1, 1))
    return {
        f"{node.name}/weight": weight.cpu().contiguous().numpy().astype(np.int8),
        f"{node.name}/scale": found.scale.cpu().numpy(),
        f"{node.name}/bias": found.bias.cpu().numpy().astype(np.int32),
    }


def _quantisers(net: QatSubnet) -> dict[str, Quantiser]:
    """The quantiser of every tensor of the INT8 plan, by name."""
    found: dict[str, Quantiser] = {}
    for node in net.graph:
        if node.fixed is not None:
            write, read = (float(np.float32(v)) for v in (node.fixed.write, node.fixed.read))
            found[node.name] = Quantiser(write, read, node.fixed.zero_point)
        elif node.op == "maxpool":
            found[node.name] = found[_maker(net, node.inputs[0])]
        elif node.op != "dropout":
            scale, zero = net.quantiser(node).deployed()
            if not np.isfinite(scale):
                raise DeployError(f"{node.name}: its scale is no finite number")
            found[node.name] = Quantiser(scale, scale, zero)
    return found


def _maker(net: QatSubnet, name: str) -> str:
    """The tensor that a name stands for where dropout is left out."""
    nodes = {node.name: node for node in net.graph}
    while nodes[name].op == "dropout":
        (name,) = nodes[name].inputs
    return name


def _read(
    plan: Int8Plan | Path | str | Mapping[str, Any], net: QatSubnet
) -> tuple[dict[str, Any], Int8Plan]:
    """The plan's JSON, with the channels and classes of the data, and what it says."""
    if isinstance(plan, Int8Plan):
        data, source = plan.model_dump(mode="json"), "the plan"
    elif isinstance(plan, Mapping):
        data, source = dict(plan), "the plan"
    else:
        data, source = read_json(Path(plan), PlanError), str(plan)
    stamp = (data.get("kind"), data.get("format"))
    if stamp != ("int8", FORMAT):
        raise PlanError(
            f"{source} is of kind {stamp[0]!r}, format {stamp[1]!r}; deploy reads kind 'int8', "
            f"format {FORMAT}: compile the model with --target"
        )
    if KEY in data or isinstance(plan, Path | str):
        data = unsealed(data, source, PlanError)
    try:
        Int8Plan.model_validate(data)
        data = copy.deepcopy(data)
        for part in ("network", "graph"):
            nodes = data[part]["nodes"]
            if nodes and net.graph[-1].op == "linear":
                nodes[-1]["shape"] = [net.graph[-1].sizes.cout, *nodes[-1]["shape"][1:]]
                nodes[0]["shape"] = [net.channels, *nodes[0]["shape"][1:]]
        return data, Int8Plan.model_validate(data)
    except ValidationError as error:
        message = f"{source}: {first_mistake(error)}; compile the model again"
        raise PlanError(message) from None


def _check(net: QatSubnet, plan: Int8Plan) -> None:
    """Refuse a plan that is not of this network and these 8-bit tensors."""
    origin, rules = plan.origin, net.rules
    if origin.space_hash != net.plan.hash:
        raise DeployError(
            f"the INT8 plan is of {origin.model} of {origin.space}, space "
            f"{shown(origin.space_hash)}; "
            f"the weights are of {net.plan.name}, space {shown(net.plan.hash)}"
        )
    mine, theirs = dict(rules.acts), dict(plan.rules.acts)
    for act, rewrite in mine.items():
        if theirs.get(act) != rewrite:
            raise DeployError(
                f"the INT8 plan is for {plan.rules.runtime}, whose {act} is {theirs.get(act)}; "
                f"QAT was for {rules.target} ({rules.runtime}), where it is {rewrite}"
            )
    ours = _described(net)
    for have, want in zip(ours, plan.graph.nodes, strict=False):
        for key, value in have.items():
            if value != getattr(want, key):
                raise DeployError(
                    f"the INT8 plan is of {origin.model}, whose {want.name} has {key} "
                    f"{getattr(want, key)}; {net.subnet.name} has {value} in {have['name']}"
                )
    if len(ours) != len(plan.graph.nodes):
        raise DeployError(
            f"the INT8 plan is of {origin.model} with {len(plan.graph.nodes)} tensors; "
            f"{net.subnet.name} has {len(ours)}"
        )


def _described(net: QatSubnet) -> list[dict[str, Any]]:
    """The subnet's nodes as far as they are known without sizes of every tensor."""
    found = []
    for node in net.graph:
        if node.op == "dropout":
            continue
        said: dict[str, Any] = {
            "name": node.name,
            "op": node.op,
            "inputs": tuple(_maker(net, i) for i in node.inputs),
            "clip": node.clip,
            "offset": node.offset,
            "fixed": node.fixed,
            "shared": node.shared,
        }
        if node.op == "input":
            said["shape"] = (net.channels, net.subnet.resolution, net.subnet.resolution)
        elif node.layer is not None:
            layer = node.layer
            said["shape"] = (layer.cout, layer.out_size, layer.out_size)
            said |= {"kernel": layer.kernel, "stride": layer.stride}
        found.append(said)
    return found
