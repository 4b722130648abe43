"""Supernets: a space, or an elastic stage of a hyperspace with one block type, as what is trained.

A plan is the space itself and what training must know besides. Layers, sizes, members and samples
are those of the IR; nothing of them is said again. Pure and torch-free."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from spacedsl.compiler.graph import Shape
from spacedsl.compiler.int8 import GATE, GATE_OFFSET, SHIFT, SIGMOID, Fixed
from spacedsl.compiler.plans import need_head
from spacedsl.compiler.supernet_sizes import Body, Image, bodies, first_sites
from spacedsl.diagnostics import fault
from spacedsl.ir.block import Op, op_acts, sizes_of, walk
from spacedsl.ir.expr import Frozen, names_in
from spacedsl.ir.for_data import classes_of, for_data
from spacedsl.ir.identity import space_identity
from spacedsl.ir.inline import inlined
from spacedsl.ir.sampling import largest, random_member, smallest
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.write import write
from spacedsl.operators.activation import Rewrite
from spacedsl.operators.size import Size, pair, size_of
from spacedsl.passes.bind import output_size
from spacedsl.passes.program import Program, program_of
from spacedsl.passes.stage_sizes import stage_sizes
from spacedsl.passes.taps import output_strides, tapped
from spacedsl.runtimes.table import rules_of


class PlanRules(Frozen):
    """What a target keeps in 8 bits, for QAT: the `runtime`'s rewrite of every activation that the
    plan has, and the quantisers that no data decides: `gate` of hard-sigmoid, to which a
    convolution's bias adds `bias_offset` and an op of its own `op_offset`; `table` of sigmoid."""

    target: str
    runtime: str
    acts: tuple[tuple[str, Rewrite], ...]
    gate: Fixed = GATE
    bias_offset: float = GATE_OFFSET
    op_offset: float = SHIFT
    table: Fixed = SIGMOID

    def rewrite(self, act: str) -> Rewrite:
        """How `act` is said. Raises `SpaceError` where the target has no 8-bit form of it."""
        known = dict(self.acts)
        if act not in known:
            target = f"{self.target} ({self.runtime})"
            message = f"the target {target} has no 8-bit form of the activation {act}"
            raise fault("unsupported-op", message)
        return known[act]


Kind = Literal["supernet", "bkd"]


@dataclass(frozen=True)
class SupernetPlan:
    """A weight-sharing supernet (`kind` "supernet"; `space` has all stages) or one elastic stage of
    a hyperspace with one block type ("bkd"; `name` is then hyperspace, stage and block, and `space`
    has that one stage). `page` is text that needs no other page, `hash` its hash. `channels` are
    the image's, `cins` the widths that the first stage may read. `input_stride`: image pixels per
    pixel of the input, which for a BKD stage is a feature map; `before`: what makes that map, the
    stages up to this one. `rules`: the 8-bit tensors of the
    target it was compiled for, if any."""

    kind: Kind
    name: str
    hash: str
    page: str = field(repr=False)
    space: Space = field(repr=False)
    channels: int
    cins: tuple[int, ...]
    input_stride: Size = 1
    before: Space | None = field(default=None, repr=False)
    rules: PlanRules | None = field(default=None, repr=False)

    @property
    def resolutions(self) -> tuple[Size, ...]:
        """Of the image, in pixels, ascending."""
        return self.space.resolutions

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Each with one block type."""
        return self.space.stages

    @property
    def classes(self) -> int | None:
        """The classifier's, None without one."""
        return classes_of(self.space)

    @cached_property
    def taps(self) -> dict[str, int]:
        """The outputs of a supernet without a head: name, and position of the stage that ends in
        it; none of one with a head."""
        return tapped(self.space)

    @property
    def any_channels(self) -> bool:
        """Does no size depend on the number of the image's channels?"""
        return self.cins != (self.channels,) or not _reads_channels(self.stages)

    def for_data(self, channels: int, classes: int | None) -> SupernetPlan:
        """The plan of the same supernet for images of so many channels and classes."""
        if self.kind == "bkd":
            return self
        space = for_data(self.space, channels, classes or self.classes or 1)
        return replace(self, space=space, channels=channels, cins=(channels,))

    def reading(self, cin: int) -> Space:
        """The space of the subnets whose input has `cin` channels."""
        return self._by_width.get(cin) or self.space.model_copy(update={"channels": cin})

    @cached_property
    def _by_width(self) -> dict[int, Space]:
        return {cin: self.space.model_copy(update={"channels": cin}) for cin in self.cins}

    def largest(self, resolution: Size | None = None) -> Subnet:
        """The subnet with everything at its greatest, the resolution too unless it is given."""
        return largest(self.reading(self.cins[-1]), resolution)

    def smallest(self, resolution: Size | None = None) -> Subnet:
        """The counterpart of `largest`."""
        return smallest(self.reading(self.cins[0]), resolution)

    def sample(self, rng: random.Random, resolution: Size | None = None) -> Subnet:
        """A random subnet: of uniform resolution, unless it is given, and input width; then as
        `random_member`."""
        chosen = resolution or rng.choice(self.resolutions)
        cin = rng.choice(self.cins) if self.kind == "bkd" else self.cins[0]
        return random_member(self.reading(cin), rng, chosen)

    def input_size(self, resolution: Size) -> Size:
        """Of what subnets of a resolution read: any, not only the plan's. Raises `BindError`."""
        if self.before is None:
            return resolution
        known = self._input_sizes
        if resolution not in known:
            known[resolution] = stage_sizes(self.before, resolution)[-1]
        return known[resolution]

    @property
    def _greatest(self) -> Sequence[Size]:
        """The resolutions than which no other has more rows or more columns: one of squares."""
        rows, columns = (max(sides) for sides in zip(*map(pair, self.resolutions), strict=True))
        both = [r for r in self.resolutions if pair(r) == (rows, columns)]
        return both or self.resolutions

    @cached_property
    def _input_sizes(self) -> dict[Size, Size]:
        return {}

    def input_shape(self, subnet: Subnet) -> Shape:
        """Of what a subnet reads: the image, or the map before a stage."""
        cin = subnet.of.channels if self.kind == "bkd" else self.channels
        return cin, *pair(self.input_size(subnet.resolution))

    def program(self, subnet: Subnet) -> Program:
        """The layers of a subnet. Raises `BindError`."""
        cin, _, _ = self.input_shape(subnet)
        read = subnet.model_copy(update={"of": self.reading(cin)})
        return program_of(read, self.input_size(subnet.resolution))

    @cached_property
    def bodies(self) -> tuple[tuple[Body, Body | None], ...]:
        """Of every stage, the first block and the others. Raises `BindError`."""
        cins = self.cins if self.kind == "bkd" else (Image(self.channels),)
        rows, columns = zip(*map(pair, map(self.input_size, self._greatest)), strict=True)
        size = size_of(max(rows), max(columns))
        found: list[tuple[Body, Body | None]] = []
        for stage in self.stages:
            out = output_size(first_sites(stage, cins[:1], size)[0])
            found.append(bodies(stage, cins, size, out))
            cins, size = stage.outs(cins), out
        return tuple(found)


def supernet_plan(space: Space, target: Target | None = None) -> SupernetPlan:
    """The plan of a space's weight-sharing supernet, for QAT with the 8-bit tensors of `target`.
    Raises `SpaceError` for a hyperspace, for a space without a head or taps and for an
    activation that the target lacks in 8 bits."""
    for stage in space.stages:
        if len(stage.choices) > 1 or stage.window < len(stage.widths):
            message = f"{space.name}, {stage.name}: several block types or windows"
            raise fault("not-a-space", message, "a supernet has one; name a space, or find one")
    need_head(smallest(space, space.resolutions[-1]).model_copy(update={"name": space.name}))
    own = alone(space)
    return SupernetPlan(
        kind="supernet",
        name=space.name,
        hash=space_identity(space),
        page=write(own),
        space=own,
        channels=space.channels,
        cins=(space.channels,),
        rules=None if target is None else plan_rules(target, own.stages),
    )


def bkd_plans(space: Space, target: Target | None = None) -> Iterator[SupernetPlan]:
    """One plan per elastic stage and block type, for LSQ+ with the 8-bit tensors of `target`; its
    input widths are all those of the stage before. Raises `SpaceError` for an activation that the
    target lacks in 8 bits."""
    own, identity = alone(space), space_identity(space)
    page, strides = write(own), output_strides(own)
    for position in own.elastic:
        stage = own.stages[position]
        cins = own.widths_after(position - 1) if position else (own.channels,)
        for choice in stage.choices:
            name = f"{own.name} {stage.name} {choice.block.name or 'body'}"
            stages = (stage.model_copy(update={"choices": (choice,)}),)
            update = {"kind": "space", "name": name, "stages": stages, "channels": cins[-1]}
            yield SupernetPlan(
                kind="bkd",
                name=name,
                hash=identity,
                page=page,
                space=own.model_copy(update=update | {"limit": None, "taps": (), "pyramid": 0}),
                channels=own.channels,
                cins=cins,
                input_stride=(strides[position - 1] if position else None) or 1,
                before=own.model_copy(update={"stages": own.stages[: position + 1]}),
                rules=None if target is None else plan_rules(target, stages),
            )


def plan_rules(target: Target, stages: tuple[Stage, ...]) -> PlanRules:
    """The target's rules for what the stages have. Raises `SpaceError`."""
    rules = rules_of(target)
    acts = tuple((act, rules.rewrite(act)) for act in activations(stages))
    return PlanRules(target=target.name, runtime=rules.runtime, acts=acts)


def activations(stages: tuple[Stage, ...]) -> list[str]:
    """The activations of stages that have one block type each, in order of their names."""
    found = set[str]()
    for choice in (stage.choices[0] for stage in stages):
        named = {arg.name: arg.values for arg in choice.args}
        for op in walk(choice.block.ops):
            for act in op_acts(op):
                found |= set(map(str, named.get(act, (act,))))
    return sorted(found)


def self_contained(space: Space) -> str:
    """The space's page with every block and no `of`: text that needs no other page."""
    return write(alone(space))


def alone(space: Space) -> Space:
    """The space without a word of where it and its blocks come from."""
    stages = tuple(
        stage.model_copy(update={"choices": tuple(_own(c) for c in stage.choices)})
        for stage in space.stages
    )
    return space.model_copy(update={"of": None, "stages": stages})


def _own(choice: BlockChoice) -> BlockChoice:
    return choice.model_copy(update={"block": choice.block.model_copy(update={"source": ""})})


def _reads_channels(stages: tuple[Stage, ...]) -> bool:
    """Only stages up to the first with widths of its own can read the image's channels, and of
    that one the first block."""
    for stage in stages:
        ops = walk(inlined(stage.choices[0].block))
        if any(_mentions_cin(op) for op in ops):
            return True
        if stage.widths:
            return False
    return False


def _mentions_cin(op: Op) -> bool:
    return any("cin" in names_in(size) for _, size in sizes_of(op))
