"""A network's program: the layers that run, each with its name and its address.

Compiler and runtime read the same program. The supernet runs it on slices of its weights,
extraction builds plain modules from it, and QAT puts quantisers between its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

from spacedsl.ir.block import Block, Dropout, Op, Optional, bodies
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.layer import Layer as BoundLayer
from spacedsl.operators.size import Size, as_map
from spacedsl.passes import bind
from spacedsl.passes.bound import Beside, Bound, Concat, Neck, Residual, TopDown, last_layer
from spacedsl.passes.errors import BindError

Address = tuple[int, int, str]
"""Where an op stands: stage, block, slot. It does not change with what else runs."""


@dataclass(frozen=True, slots=True)
class Layer(BoundLayer):
    """A bound layer in its place. `name` is the tensor's name in the network's graph
    (`stage1.0.conv0`); `inner` says that it is not the last of a stack of depthwise
    convolutions."""

    name: str = ""
    at: Address = (0, 0, "")
    inner: bool = False


Joined = Residual[Layer] | Concat[Layer]
Step = Layer | Joined | Neck[Layer]
Program = tuple[Step, ...]

OUT = "out"
"""How the slot of the convolution that makes an output of a pyramid goes on behind its op's."""


def flat(program: Program) -> Iterator[Step]:
    """Every step in execution order; paths before what joins them, and of a pyramid its layers."""
    for step in program:
        if not isinstance(step, Layer):
            for branch in step.branches:
                yield from flat(branch)
        if not isinstance(step, Beside | TopDown):
            yield step


def with_branches(step: Joined, change: Callable[[Program], Program]) -> Joined:
    """The same with each of its paths changed."""
    if isinstance(step, Residual):
        return replace(step, main=change(step.main), shortcut=change(step.shortcut))
    return replace(step, branches=tuple(map(change, step.branches)))


def at_inference(program: Program) -> Program:
    """A program without dropout, which does nothing then."""
    return tuple(
        with_branches(step, at_inference) if isinstance(step, Residual | Concat) else step
        for step in program
        if not isinstance(step, Layer) or step.kind != "dropout"
    )


def in_neck(layer: Layer) -> bool:
    """Whether a layer is one of a pyramid."""
    return layer.at[2].startswith(("lateral", "pyramid"))


def without_neck(program: Program) -> tuple[Program, list[Layer], TopDown[Layer] | None]:
    """A program without its pyramid; of that the convolutions of its levels, finest first, and the
    rest. Raises `BindError` where one level is not as large as the next coarser one upsampled."""
    path = tuple(step for step in program if not isinstance(step, Beside | TopDown))
    laterals = [step.conv for step in program if isinstance(step, Beside)]
    rest = next((step for step in program if isinstance(step, TopDown)), None)
    outs = [] if rest is None else [level[-1] for level in reversed(rest.levels)]
    for lateral, out in zip(laterals, outs, strict=True):
        if lateral.out_size != out.size:
            there, made = as_map(lateral.out_size), as_map(out.size)
            raise BindError(f"a level of the pyramid is {there}, upsampled to it is {made}")
    return path, laterals, rest


def _block_of(step: Step) -> tuple[int, int]:
    """The stage and the block that a step stands in."""
    stage, block, _ = last_layer(step).at
    return stage, block


def blocks_of(program: Program) -> Iterator[Program]:
    """The steps of each block, in order."""
    for _, steps in groupby(program, _block_of):
        yield tuple(steps)


def se_layers(layer: Layer) -> tuple[Layer, Layer]:
    """The two convolutions of an SE step."""
    (stage, block, slot), name = layer.at, layer.name
    cin, width = layer.cin, layer.squeeze
    squeeze = (stage, block, f"{slot}.squeeze")
    excite = (stage, block, f"{slot}.excite")
    return (
        Layer(
            "conv", cin, width, 1, 1, act=layer.act, bias=True, name=f"{name}.squeeze", at=squeeze
        ),
        Layer(
            "conv", width, cin, 1, 1, act=layer.gate, bias=True, name=f"{name}.excite", at=excite
        ),
    )


@lru_cache(maxsize=1024)
def slots(block: Block) -> tuple[str, ...]:
    """The slot of every op of a block's body, by its position (`walk`): its kind and how many of
    that kind stand before it, whatever is left out. Dropout and `optional` have none ("")."""
    counts: dict[str, int] = {}

    def slot(op: Op) -> str:
        kind = "" if isinstance(op, Dropout | Optional) else op.op
        index = counts.get(kind, 0)
        counts[kind] = index + 1
        return f"{kind}{index}" if kind else ""

    def listed(ops: tuple[Op, ...]) -> list[str]:
        found: list[str] = []
        for op in ops:
            inner = [name for body in bodies(op) for name in listed(body)]
            found += [slot(op), *inner]
        return found

    return tuple(listed(block.ops))


def program_of(subnet: Subnet, size: Size | None = None) -> Program:
    """The program of a network whose input has `of.channels` channels and so many pixels, those of
    its resolution where nothing is said. Raises `BindError`."""
    cin, size = subnet.of.channels, size or subnet.resolution
    program: Program = ()
    for i, (declared, stage) in enumerate(zip(subnet.of.stages, subnet.stages, strict=True)):
        choice = subnet.choice(i)
        names = slots(choice.block)
        for j, block in enumerate(stage.blocks):
            site = bind.site_of(declared, choice, block, cin, size, j == 0)
            place = _Block((i, j), f"{declared.name}.{j}", names)
            steps = place.put(site.bind())
            program += steps
            cin = site.end
            if steps:
                size = last_layer(steps[-1]).out_size
    return program


_sizes = attrgetter(*(f.name for f in fields(BoundLayer)))


@dataclass(slots=True)
class _Block:
    """A block of a network: its address, its name, its slots, and how many layers of each kind it
    has so far."""

    at: tuple[int, int]
    name: str
    slots: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict)

    def put(self, items: tuple[Bound, ...]) -> Program:
        steps: list[Step] = []
        for item, after in zip(items, (*items[1:], None), strict=False):
            if isinstance(item, Residual):
                main, shortcut = self.put(item.main), self.put(item.shortcut)
                steps.append(Residual(main, shortcut, self.layer(item.add, None)))
            elif isinstance(item, Concat):
                branches = tuple(map(self.put, item.branches))
                steps.append(Concat(branches, self.layer(item.join, None)))
            elif isinstance(item, Beside):
                steps.append(Beside(self.layer(item.conv, None)))
            elif isinstance(item, TopDown):
                levels = enumerate(item.levels)
                steps.append(TopDown(tuple(tuple(self.level(i, level)) for i, level in levels)))
            else:
                steps.append(self.layer(item, after))
        return tuple(steps)

    def level(self, number: int, layers: tuple[BoundLayer, ...]) -> Iterator[Layer]:
        for each in layers:
            found = self.layer(each, None)
            word = OUT if each.kind == "conv" else each.kind
            yield replace(found, at=(*self.at, f"{found.at[2]}.{word}{number}"))

    def layer(self, layer: BoundLayer, after: Bound | None) -> Layer:
        index = self.counts.get(layer.kind, 0)
        self.counts[layer.kind] = index + 1
        inner = isinstance(after, BoundLayer) and after.op == layer.op
        name = f"{self.name}.{layer.kind}{index}"
        at = (*self.at, self.slots[layer.op])
        return Layer(*_sizes(layer), name, at, inner)  # type: ignore[call-arg]
