"""Multiply-accumulates and parameters, from the bound layers alone."""

from __future__ import annotations

from dataclasses import dataclass

from spacedsl.ir.subnet import Subnet
from spacedsl.operators.layer import Layer
from spacedsl.operators.operators import OPERATORS
from spacedsl.operators.size import area
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.bound import Bound, layers

SCALES_PER_CONV = 3
"""LSQ+ learns a weight scale, an activation scale and an activation offset per convolution; the
published tables count them, and so does `params`."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`flops`: multiply-accumulates of convolutions and linear layers, the published tables'
    count. `params`: weights, biases, two per normalised channel and the LSQ+ scalars; `weights`:
    the same without these scalars, which a deployed network has in its scales."""

    flops: int = 0
    params: int = 0
    weights: int = 0

    def __add__(self, other: Cost) -> Cost:
        flops, params = self.flops + other.flops, self.params + other.params
        return Cost(flops, params, self.weights + other.weights)


def layer_cost(layer: Layer) -> Cost:
    """Cost of one layer; zero for those without weights."""
    counted = OPERATORS[layer.kind].weights
    if counted is None:
        return Cost()
    found = counted(layer)
    weights = found.products + found.others
    params = weights + found.convolutions * SCALES_PER_CONV
    return Cost(found.products * found.places, params, weights)


def trained_weights(layer: Layer) -> int:
    """The weights that are trained of a layer: of one that is trained as a sum, those of the
    summands, each of which has a norm; of a norm alone its own."""
    if not layer.reparam:
        return layer_cost(layer).weights - layer.ones * layer.cout
    filters, point = layer.fan_in * layer.cout, layer.kernel != 1
    norms = layer.reparam + point + layer.keeps
    return filters * (layer.reparam * area(layer.kernel) + point) + 2 * layer.cout * norms


def bound_cost(bound: tuple[Bound, ...]) -> Cost:
    """Cost of a bound body."""
    return sum((layer_cost(layer) for layer in layers(bound)), Cost())


def site_cost(site: Site) -> Cost:
    """Cost of a block in its place. Raises `BindError`."""
    return bound_cost(site.bind())


def subnet_cost(subnet: Subnet) -> Cost:
    """Cost of a network: stem, stages and head. Raises `BindError`."""
    return sum(stage_costs(subnet), Cost())


def stage_costs(subnet: Subnet) -> tuple[Cost, ...]:
    """Cost of every stage of a network. Raises `BindError`."""
    return tuple(sum(map(site_cost, stage), Cost()) for stage in subnet_sites(subnet))
