"""The supernet: one set of weights, any subnet of the plan as an argument."""

from __future__ import annotations

import random
from functools import partial
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl_runtime import subnet as subnets
from spacedsl_runtime.elastic.functional import (
    activate,
    channels_last,
    global_pool,
    pool2d,
    to_channels_last,
)
from spacedsl_runtime.elastic.interpreter import add, run
from spacedsl_runtime.elastic.modules import ElasticNorm, initialise, module_of
from spacedsl_runtime.elastic.recompute import recomputed
from spacedsl_runtime.elastic.static import build_static
from spacedsl_runtime.errors import PlanError, SubnetError
from spacedsl_runtime.plan import Plan, Source, Stage, read_plan, walk
from spacedsl_runtime.program import Layer, Program, blocks_of, program_of
from spacedsl_runtime.subnet import Subnet


class ElasticStages(nn.Module):
    """The weights of a plan and the interpreter over them. `stages[i][j]` holds the weights of
    stage i's block j by slot."""

    def __init__(self, plan: Plan, channels: int, classes: int) -> None:
        super().__init__()
        self.plan, self.channels, self.classes = plan, channels, classes
        self.stages = nn.ModuleList(_stage(s, channels, classes) for s in plan.stages)
        self._programs: dict[Subnet, Program] = {}

    def program(self, subnet: Subnet) -> Program:
        """The layers of a subnet; remembered. Raises `SubnetError`."""
        found = self._programs.get(subnet)
        if found is None:
            if len(self._programs) >= MAX_PROGRAMS:
                self._programs.clear()
            found = program_of(self.plan, subnet, self.channels, self.classes)
            self._programs[subnet] = found
        return found

    def apply_layer(self, layer: Layer, x: Tensor, dropout: bool) -> Tensor:
        """One layer on x (N, cin, H, W)."""
        match layer.kind:
            case "pool":
                return global_pool(x)
            case "maxpool" | "avgpool":
                return pool2d(x, layer.kind, layer.kernel, layer.stride)
            case "dropout":
                return F.dropout(x, layer.rate, self.training and dropout)
            case "act":
                return activate(x, layer.act)
            case _:
                result: Tensor = self.weights_at(layer)(x, layer)
                return result

    def weights_at(self, layer: Layer) -> nn.Module:
        """The module that holds a layer's weights."""
        stage, block, slot = layer.at
        blocks = cast(nn.ModuleList, self.stages[stage])
        return blocks[block].get_submodule(slot)

    def largest(self, resolution: int | None = None) -> Subnet:
        """The subnet with everything at its greatest; `resolution` is the image's."""
        return subnets.largest(self.plan, resolution)

    def smallest(self, resolution: int | None = None) -> Subnet:
        """The subnet with everything at its least."""
        return subnets.smallest(self.plan, resolution)

    def sample(self, rng: random.Random, resolution: int | None = None) -> Subnet:
        """A uniformly random subnet over all declared choices, of a stage input width and window
        too."""
        return subnets.sample(self.plan, rng, resolution)

    def run_program(
        self, program: Program, x: Tensor, dropout: bool = True, recompute: bool = False
    ) -> Tensor:
        """x (N, C, H, W) through a program, channels last. `recompute`: autograd keeps the maps
        between blocks only, and computes those within again."""
        x = to_channels_last(x)
        apply = partial(self.apply_layer, dropout=dropout)
        if not recompute:
            return run(program, x, apply, add)
        for block in blocks_of(program):
            x = recomputed(partial(run, block, apply=apply, join=add), x, self.norms_of(block))
        return x

    def norms_of(self, block: Program) -> list[ElasticNorm]:
        """The batch norms of one block, of all its subnets."""
        stage, position, _ = block[0].at
        modules = cast(nn.ModuleList, self.stages[stage])[position].modules()
        return [module for module in modules if isinstance(module, ElasticNorm)]


MAX_PROGRAMS = 4096


def _stage(stage: Stage, channels: int, classes: int) -> nn.ModuleList:
    blocks: list[nn.Module] = []
    for position in range(max(stage.depths)):
        made = (module_of(op, channels, classes) for op in walk(stage.body(position).ops))
        blocks.append(nn.ModuleDict(dict(found for found in made if found is not None)))
    return nn.ModuleList(blocks)


class Supernet(ElasticStages):
    """`supernet(x, subnet)` runs one subnet; nothing about it is kept in the module."""

    def forward(
        self,
        x: Float[Tensor, "n c r r"],
        subnet: Subnet,
        dropout: bool = True,
        recompute: bool = False,
    ) -> Float[Tensor, "n {self.classes}"]:
        """(N, channels, R, R) -> (N, classes) where R is the subnet's resolution. `dropout`: in
        training, apply the page's dropout (the recipe has it on the largest subnet only).
        `recompute`: keep no activations within blocks for the backward pass."""
        check_images(x, self.channels, subnet)
        return self.run_program(self.program(subnet), x, dropout, recompute)

    def extract(self, subnet: Subnet) -> nn.Module:
        """A plain static module with copies of the subnet's weights; the same outputs. Raises
        `SubnetError`."""
        subnets.check_subnet(self.plan, subnet)
        return self.extract_unchecked(subnet)

    def extract_unchecked(self, subnet: Subnet) -> nn.Module:
        """`extract` at a resolution that the plan need not declare."""
        static = build_static(self.program(subnet), self.weights_at)
        return channels_last(static.train(self.training))


def check_images(x: Tensor, channels: int, subnet: Subnet) -> None:
    """Raise `SubnetError` unless x is (N, channels, R, R) at the subnet's resolution."""
    expected = (channels, subnet.resolution, subnet.resolution)
    if tuple(x.shape[1:]) != expected:
        raise SubnetError(f"images of {tuple(x.shape[1:])}, {subnet.name} takes {expected}")


def load_supernet(
    plan: Plan | Source,
    channels: int | None = None,
    classes: int | None = None,
    seed: int = 0,
) -> Supernet:
    """The supernet of a plan, He-initialised, channels last. `channels` and `classes` come from
    the data; without them the page's hold. Raises `PlanError`."""
    found = plan if isinstance(plan, Plan) else read_plan(plan, "supernet")
    if found.kind != "supernet":
        raise PlanError(f"{found.name} is a plan of kind {found.kind!r}, not 'supernet'")
    depth = channels or found.channels
    if depth != found.channels and not found.any_channels:
        raise PlanError(
            f"{found.name} was compiled for {found.channels} channels and its widths depend on "
            f"them, the data have {depth}: compile the page with `input {depth} x ...`"
        )
    supernet = Supernet(found, depth, classes or found.classes or 1)
    initialise(supernet, seed)
    return channels_last(supernet)
