"""Torch's fake-quantised network beside what ONNX Runtime and LiteRT run, tensor by tensor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spacedsl.api import load_target
from spacedsl.compiler.int8 import QMAX, Int8Node
from spacedsl.compiler.integer_model import IntegerModel, load_model
from spacedsl.compiler.plans import int8_plan, network_plan, plan_text
from spacedsl.compiler.tflite_int8 import emit_int8 as emit_tflite
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.runtimes.litert import Session
from spacedsl.runtimes.table import LITERT, rules_of
from spacedsl_runtime.elastic.modules import ElasticNorm
from spacedsl_runtime.quant.deployment import deploy
from spacedsl_runtime.quant.extracted import QatSubnet
from spacedsl_runtime.quant.modules import Edge
from spacedsl_runtime.quant.qat import QatSupernet
from tests.compiler.tflite_support import channels_last, moved_to, unsigned

VNNI = load_target("vnni")
FUNCTIONS = {"shift", *ACTIVATIONS}


@dataclass(frozen=True)
class Pair:
    """The same subnet in torch and as an integer model."""

    net: QatSubnet
    model: IntegerModel


def int8_json(subnet: Subnet, target: Target = VNNI) -> dict[str, Any]:
    """The INT8 plan of a model, as `spacedsl compile --target` writes it."""
    plan = int8_plan(network_plan(subnet), rules_of(target), target)
    found: dict[str, Any] = json.loads(plan_text(plan))
    return found


def extracted(qat: QatSupernet, subnet: Subnet) -> QatSubnet:
    return qat.extract(subnet)


def deployed(net: QatSubnet, subnet: Subnet, folder: Path) -> Pair:
    """A subnet out of the supernet, through the file."""
    path = folder / "model.npz"
    half = (0.5,) * net.channels
    deploy(net, int8_json(subnet), path, mean=half, std=half)
    return Pair(net, load_model(path))


Steps = dict[str, NDArray[np.uint8]]
"""What a runtime has in every tensor of the plan, (N, C, H, W)."""


def by_litert(model: IntegerModel, x: NDArray[np.float32]) -> Steps:
    """The tensors of the running TFLite graph."""
    names = [n.name for n in model.nodes]
    session = Session(emit_tflite(moved_to(model, LITERT.rules), outputs=names))
    found = [session.run(channels_last(image[None])) for image in x]
    return {name: np.concatenate([unsigned(values[name]) for values in found]) for name in names}


def differences(
    pair: Pair, x: Tensor, run: Callable[[IntegerModel, NDArray[np.float32]], Steps]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """For every 8-bit tensor: how many steps torch is off a runtime's graph, given the same 8-bit
    inputs. x (N, C, R, R). What is a function of one tensor counts once for each of its 256 inputs:
    one of these can lie so near to a tie that a runtime's fixed point decides, in all elements."""
    theirs = run(pair.model, x.numpy())
    found: list[tuple[str, NDArray[np.float64]]] = []

    def compare(node: Int8Node, edge: Edge) -> Edge:
        zero = pair.model.header.quantisers[node.name].zero_point
        steps = torch.from_numpy(theirs[node.name].astype(np.float32)) - zero
        steps = steps.reshape(edge.steps.shape)
        off = (steps - edge.steps).abs().double().numpy()
        if node.op in FUNCTIONS:
            by_input = np.zeros(QMAX + 1)
            np.maximum.at(by_input, theirs[node.inputs[0]].ravel(), off.ravel())
            assert by_input.sum() <= 1, node.name
            off = by_input
        found.append((node.name, off))
        return Edge(steps, edge.scale)

    with torch.no_grad():
        pair.net(x, watch=compare)
    assert [name for name, _ in found] == [n.name for n in pair.model.nodes]
    yield from found


def as_if_trained(qat: QatSupernet, seed: int) -> QatSupernet:
    """Scales and offsets off their start, some channels with a negative gamma or none."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for quantiser in [*qat.edges.values(), *qat.scales.values()]:
            for parameter in quantiser.parameters():
                parameter.mul_(0.7 + 0.6 * torch.rand((), generator=generator))
        for norm in qat.supernet.modules():
            if isinstance(norm, ElasticNorm):
                drawn = torch.rand(norm.weight.shape, generator=generator)
                norm.weight[drawn < 0.3] *= -1
                norm.weight[drawn < 0.1] = 0
    return qat
