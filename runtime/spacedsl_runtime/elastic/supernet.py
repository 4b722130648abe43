"""The supernet: one set of weights, any subnet of the plan as an argument."""

from __future__ import annotations

import random
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.compiler.supernet_sizes import Body, Largest
from spacedsl.ir.block import Conv, DwConv, Lateral, Linear, Op, Pyramid, Se, walk
from spacedsl.ir.space import Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size, pair
from spacedsl.passes.bound import last_layer
from spacedsl.passes.program import OUT, Layer, Program, blocks_of, slots, without_neck
from spacedsl.passes.taps import places
from spacedsl_runtime.elastic.functional import (
    activate,
    channels_last,
    global_pool,
    pool2d,
    shuffled,
    space_to_depth,
    to_channels_last,
    upsampled,
)
from spacedsl_runtime.elastic.interpreter import join_paths, run, top_down
from spacedsl_runtime.elastic.modules import (
    ElasticConv,
    ElasticLinear,
    ElasticNorm,
    ElasticSe,
    initialise,
)
from spacedsl_runtime.elastic.recompute import recomputed
from spacedsl_runtime.elastic.reparam import ReparamConv
from spacedsl_runtime.elastic.static import Backbone, Maps, Neck, build_static
from spacedsl_runtime.errors import PlanError, SubnetError
from spacedsl_runtime.plan import Choices, Source, check_subnet, choices_of, read_plan, subnet_of


class ElasticStages(nn.Module):
    """The weights of a plan and the interpreter over them. `stages[i][j]` holds the weights of
    stage i's block j by slot."""

    def __init__(self, plan: SupernetPlan) -> None:
        super().__init__()
        self.plan, self.channels, self.classes = plan, plan.channels, plan.classes or 1
        self._taps = plan.taps  # torch.compile does not trace the first look at it
        self.stages = nn.ModuleList(map(_stage, plan.stages, plan.bodies))
        self._programs: dict[Choices, Program] = {}

    def program(self, subnet: Subnet) -> Program:
        """The layers of a subnet; remembered. Raises `SubnetError`."""
        choices = choices_of(subnet)
        self.remember(choices)
        return self._programs[choices]

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def remember(self, choices: Choices) -> None:
        """Bind the subnet with these choices, if it is not yet. torch.compile does not trace it; it
        needs `dynamic=False`, so that choices are constants."""
        if choices in self._programs:
            return
        if len(self._programs) >= MAX_PROGRAMS:
            self._programs.clear()
        try:
            self._programs[choices] = program = self.plan.program(subnet_of(self.plan, choices))
            without_neck(program)  # its levels fit
        except ValueError as error:
            raise SubnetError(f"a subnet of {self.plan.name}: {error}") from None

    def apply_layer(self, layer: Layer, x: Tensor, dropout: bool) -> Tensor:
        """One layer on x (N, cin, H, W)."""
        match layer.kind:
            case "pool":
                return global_pool(x)
            case "maxpool" | "avgpool":
                return pool2d(x, layer.kind, layer.window)
            case "space-to-depth":
                return space_to_depth(x, pair(layer.kernel)[0])
            case "dropout":
                return F.dropout(x, layer.rate, self.training and dropout)
            case "act":
                return activate(x, layer.act)
            case "slice":
                return x.narrow(1, layer.start, layer.cout)
            case "shuffle":
                return shuffled(x, layer.groups)
            case "upsample":
                return upsampled(x, layer.kernel)
            case _:
                result: Tensor = self.weights_at(layer)(x, layer)
                return result

    def weights_at(self, layer: Layer) -> nn.Module:
        """The module that holds a layer's weights."""
        stage, block, slot = layer.at
        blocks = cast(nn.ModuleList, self.stages[stage])
        return blocks[block].get_submodule(slot)

    def largest(self, resolution: Size | None = None) -> Subnet:
        """The subnet with everything at its greatest; `resolution` is the image's."""
        return self.plan.largest(resolution)

    def smallest(self, resolution: Size | None = None) -> Subnet:
        """The subnet with everything at its least."""
        return self.plan.smallest(resolution)

    def sample(self, rng: random.Random, resolution: Size | None = None) -> Subnet:
        """A uniformly random subnet over all declared choices, of a stage input width and window
        too."""
        return self.plan.sample(rng, resolution)

    def run_program(
        self, program: Program, x: Tensor, dropout: bool = True, recompute: bool = False
    ) -> Tensor:
        """x (N, C, H, W) through a program, channels last. `recompute`: autograd keeps the maps
        between blocks only, and computes those within again."""
        x = to_channels_last(x)
        apply = partial(self.apply_layer, dropout=dropout)
        if not recompute:
            return run(program, x, apply, join_paths)
        for block in blocks_of(program):
            x = recomputed(
                partial(run, block, apply=apply, join=join_paths), x, self.norms_of(block)
            )
        return x

    def norms_of(self, block: Program) -> list[ElasticNorm]:
        """The batch norms of one block, of all its subnets."""
        stage, position, _ = last_layer(block[0]).at
        modules = cast(nn.ModuleList, self.stages[stage])[position].modules()
        return [module for module in modules if isinstance(module, ElasticNorm)]


MAX_PROGRAMS = 4096


def _stage(stage: Stage, bodies: tuple[Body, Body | None]) -> nn.ModuleList:
    block = stage.choices[0].block
    ops, names, blocks = tuple(walk(block.ops)), slots(block), list[nn.Module]()
    for position in range(stage.depths[-1]):
        body = bodies[min(position, 1)]
        sizes = body.sizes if body is not None else {}
        made = {names[at]: module_of(ops[at], size) for at, size in sizes.items()}
        blocks.append(nn.ModuleDict({n: m for n, m in made.items() if m is not None}))
    return nn.ModuleList(blocks)


def module_of(op: Op, size: Largest) -> nn.Module | None:
    """The module of an op at its largest, None for an op without weights."""
    match op:
        case Conv() | DwConv() if op.reparam:
            return ReparamConv((size.cout, size.fan_in, size.kernel), op.reparam, size.kept)
        case Conv() | DwConv():
            conv = ElasticConv((size.cout, size.fan_in, size.kernel), size.parts)
            made = conv.with_norm(op.norm, op.bias)
            return made.of_ones() if getattr(op, "ones", False) else made
        case Se():
            return ElasticSe(size.cin, size.squeeze)
        case Linear():
            return ElasticLinear(size.cin, size.cout)
        case Lateral():
            return ElasticConv((size.cout, size.fan_in, size.kernel)).with_norm(True, False)
        case Pyramid():
            shape = size.cout, size.fan_in, size.kernel
            levels = range(len(op.steps) + 1)
            outs = {f"{OUT}{i}": ElasticConv(shape).with_norm(True, False) for i in levels}
            return nn.ModuleDict(outs)
        case _:
            return None


class Supernet(ElasticStages):
    """`supernet(x, subnet)` runs one subnet; nothing about it is kept in the module."""

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        subnet: Subnet,
        dropout: bool = True,
        recompute: bool = False,
    ) -> Float[Tensor, "n {self.classes}"] | Maps:
        """(N, channels, R, R), where R is the subnet's resolution, -> (N, classes), or of a page
        with taps these by name, (N, C, H, W) each. `dropout`: in training, apply the
        page's dropout (the recipe has it on the largest subnet only). `recompute`: keep no
        activations within blocks for the backward pass."""
        check_images(x, self.channels, subnet)
        maps: Maps = {}
        for name, part in self.parts(subnet).items():
            x = maps[name] = self.run_program(part, x, dropout, recompute)
        _, laterals, pyramid = without_neck(self.program(subnet))
        if pyramid is not None:
            apply = partial(self.apply_layer, dropout=dropout)
            made = [apply(*each) for each in zip(laterals, maps.values(), strict=True)]
            return dict(zip(maps, top_down(pyramid, made, apply), strict=True))
        return maps if self._taps else x

    def parts(self, subnet: Subnet) -> dict[str, Program]:
        """A subnet's program without a pyramid, cut after each output, or after each map that the
        pyramid reads. Raises `SubnetError`."""
        program, _, _ = without_neck(self.program(subnet))
        if not self._taps:
            return {LOGITS: program}
        ends = places((last_layer(step).at for step in program), self._taps)
        starts = [0, *ends.values()]
        return {
            name: program[start:end]
            for start, (name, end) in zip(starts, ends.items(), strict=False)
        }

    def extract(self, subnet: Subnet) -> nn.Module:
        """A plain static module with copies of the subnet's weights; the same outputs. Raises
        `SubnetError`."""
        check_subnet(self.plan, subnet)
        return self.extract_unchecked(subnet)

    def extract_unchecked(self, subnet: Subnet) -> nn.Module:
        """`extract` at a resolution that the plan need not declare."""
        parts = {n: build_static(p, self.weights_at) for n, p in self.parts(subnet).items()}
        _, laterals, pyramid = without_neck(self.program(subnet))
        neck = None if pyramid is None else Neck(laterals, pyramid, self.weights_at)
        static = Backbone(parts, neck) if self.plan.taps else parts[LOGITS]
        return channels_last(static.train(self.training))


class Member(nn.Module):
    """One subnet of a supernet, with its weights, as a module of images alone."""

    def __init__(self, supernet: ElasticStages, subnet: Subnet) -> None:
        super().__init__()
        self.supernet, self.subnet = supernet, subnet

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n ..."]:
        """(N, channels, R, R) -> (N, classes), or of a stage its map."""
        logits: Tensor = self.supernet(x, self.subnet)
        return logits


def check_images(x: Tensor, channels: int, subnet: Subnet) -> None:
    """Raise `SubnetError` unless x is (N, channels, H, W) at the subnet's resolution."""
    expected = (channels, *pair(subnet.resolution))
    if tuple(x.shape[1:]) != expected:
        raise SubnetError(f"images of {tuple(x.shape[1:])}, {subnet.name} takes {expected}")


def load_supernet(
    plan: Source,
    channels: int | None = None,
    classes: int | None = None,
    seed: int = 0,
) -> Supernet:
    """The supernet of a plan, a space or a page, He-initialised, channels last. `channels`
    and `classes` come from the data; without them the page's hold. Raises `PlanError`."""
    found = read_plan(plan, "supernet")
    depth = channels or found.channels
    if depth != found.channels and not found.any_channels:
        raise PlanError(
            f"{found.name} was compiled for {found.channels} channels and its widths depend on "
            f"them, the data have {depth}: compile the page with `input {depth} x ...`"
        )
    supernet = Supernet(found.for_data(depth, classes))
    initialise(supernet, seed)
    return channels_last(supernet)
