"""A subnet's program: the layers that run, with all sizes known. Imports no torch.

The one place in the runtime that reads block bodies. The supernet runs a program on slices of its
weights, `extract` builds plain modules from it, QAT puts quantisers between its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from spacedsl_runtime.errors import SubnetError
from spacedsl_runtime.plan import (
    Conv,
    Dropout,
    DwConv,
    GlobalPool,
    Linear,
    Number,
    Op,
    Optional,
    Plan,
    Pool,
    Se,
    Shortcut,
    size_of,
)
from spacedsl_runtime.subnet import Subnet

Kind = Literal["conv", "dwconv", "se", "maxpool", "avgpool", "pool", "linear", "dropout", "act"]

Address = tuple[int, int, str]
"""Where an op stands: stage, block, slot. It does not change with what else runs."""


@dataclass(frozen=True)
class Layer:
    """One step. `name` is the tensor's name in the network's graph (`stage1.0.conv0`), `size` and
    `out_size` are heights in pixels, `part` is the place in a stack of depthwise convolutions,
    `inner` that it is not the last of them."""

    kind: Kind
    name: str
    at: Address
    cin: int
    cout: int
    size: int
    out_size: int
    part: int = 0
    inner: bool = False
    kernel: int = 1
    stride: int = 1
    act: str | None = None
    norm: bool = False
    bias: bool = False
    squeeze: int = 0
    gate: str | None = None
    rate: float = 0.0


@dataclass(frozen=True)
class Residual:
    """`main` plus `shortcut` (empty: the input itself), then `act`."""

    name: str
    at: Address
    main: tuple[Step, ...]
    shortcut: tuple[Step, ...]
    act: str | None


Step = Layer | Residual
Program = tuple[Step, ...]


def flat(program: Program) -> Iterator[Step]:
    """Every step in execution order; a residual after what it adds."""
    for step in program:
        if isinstance(step, Residual):
            yield from flat(step.main)
            yield from flat(step.shortcut)
        yield step


def blocks_of(program: Program) -> Iterator[Program]:
    """The steps of each block, in order."""
    for _, steps in groupby(program, lambda step: step.at[:2]):
        yield tuple(steps)


def se_layers(layer: Layer) -> tuple[Layer, Layer]:
    """The two convolutions of an SE step."""
    (stage, block, slot), name = layer.at, layer.name
    c, s = layer.cin, layer.squeeze
    parts = [(part, (stage, block, f"{slot}.{part}")) for part in ("squeeze", "excite")]
    (squeeze, here), (excite, there) = parts
    return (
        Layer("conv", f"{name}.{squeeze}", here, c, s, 1, 1, act=layer.act, bias=True),
        Layer("conv", f"{name}.{excite}", there, s, c, 1, 1, act=layer.gate, bias=True),
    )


def program_of(plan: Plan, subnet: Subnet, channels: int, classes: int) -> Program:
    """The program of a subnet; a supernet's input has `channels`, its result `classes`. Raises
    `SubnetError` where the plan has no such sizes."""
    if len(subnet.stages) != len(plan.stages):
        raise SubnetError(f"{len(subnet.stages)} stages instead of {len(plan.stages)}")
    cin = channels if subnet.cin is None else subnet.cin
    size = -(-subnet.resolution // plan.input_stride)
    program: Program = ()
    for i, blocks in enumerate(subnet.stages):
        stage = plan.stages[i]
        for j, block in enumerate(blocks):
            env: dict[str, Number] = {"cin": cin, **dict(block.settings)}
            if block.width:
                env["cout"] = block.width
            place = _Block(env, (i, j), f"{stage.name}.{j}", classes)
            steps, cin, size = place.run(stage.body(j).ops, cin, size)
            program += steps
    return program


Found = tuple[Program, int, int]
"""Steps, and the width and height that come out of them."""


@dataclass
class _Block:
    env: Mapping[str, Number]
    at: tuple[int, int]
    name: str
    classes: int
    counts: dict[str, int] = field(default_factory=dict)

    def named(self, kind: str) -> str:
        index = self.counts.get(kind, 0)
        self.counts[kind] = index + 1
        return f"{self.name}.{kind}{index}"

    def run(self, ops: tuple[Op, ...], cin: int, size: int) -> Found:
        steps: Program = ()
        width, height = cin, size
        for op in ops:
            match op:
                case Shortcut():
                    steps = self.shortcut(op, steps, (cin, size), (width, height))
                    continue
                case Optional():
                    if self.env[op.param] == 0:
                        continue
                    more, width, height = self.run(op.body, width, height)
                case _:
                    more, width, height = self.op(op, width, height)
            steps += more
        return steps, width, height

    def shortcut(
        self, op: Shortcut, main: Program, start: tuple[int, int], end: tuple[int, int]
    ) -> Program:
        shortcut: Program = ()
        at = (*self.at, op.slot)
        if op.kind == "identity":
            if start != end:
                cout, size = end
                after = Layer("act", self.named("act"), at, cout, cout, size, size, act=op.act)
                return (*main, after) if op.act else main
        else:
            shortcut, width, height = self.run(op.body, *start)
            if (width, height) != end:
                raise SubnetError(f"{self.name}: the shortcut ends at {width}, not {end[0]}")
        return (Residual(self.named("add"), at, main, shortcut, op.act),)

    def op(
        self, op: Conv | DwConv | Se | Pool | GlobalPool | Linear | Dropout, cin: int, size: int
    ) -> Found:
        match op:
            case Conv():
                return self.conv(op, cin, size)
            case DwConv():
                return self.dwconv(op, cin, size)
            case Se():
                squeeze = size_of(op.squeeze, self.env)
                name, at = self.named("se"), (*self.at, op.slot)
                se = Layer(
                    "se", name, at, cin, cin, size, size, act=op.act, squeeze=squeeze, gate=op.gate
                )
                return (se,), cin, size
            case Pool():
                return self.pool(op, cin, size)
            case GlobalPool():
                name, at = self.named("pool"), (*self.at, op.slot)
                pool = Layer("pool", name, at, cin, cin, size, 1, kernel=size)
                return (pool,), cin, 1
            case Linear():
                name, at = self.named("linear"), (*self.at, op.slot)
                linear = Layer("linear", name, at, cin, self.classes, 1, 1, bias=True)
                return (linear,), self.classes, 1
            case Dropout():
                name, at = self.named("dropout"), (*self.at, "")
                dropout = Layer("dropout", name, at, cin, cin, size, size, rate=op.rate)
                return (dropout,), cin, size

    def pool(self, op: Pool, cin: int, size: int) -> Found:
        if op.elide and op.stride == 1:
            return (), cin, size
        kernel, out = size_of(op.kernel, self.env), -(-size // op.stride)
        name, at = self.named(op.op), (*self.at, op.slot)
        layer = Layer(op.op, name, at, cin, cin, size, out, kernel=kernel, stride=op.stride)
        return (layer,), cin, out

    def conv(self, op: Conv, cin: int, size: int) -> Found:
        cout = size_of(op.width, self.env)
        if op.elide and cout == cin and op.stride == 1:
            return (), cin, size
        layer = Layer(
            "conv",
            self.named("conv"),
            (*self.at, op.slot),
            cin,
            cout,
            size,
            -(-size // op.stride),
            kernel=size_of(op.kernel, self.env),
            stride=op.stride,
            act=op.act,
            norm=op.norm,
            bias=op.bias,
        )
        return (layer,), cout, layer.out_size

    def dwconv(self, op: DwConv, cin: int, size: int) -> Found:
        kernel = size_of(op.kernel, self.env)
        count, kernel = ((kernel - 1) // 2, 3) if op.stacked else (1, kernel)
        steps: list[Layer] = []
        for part in range(count):
            stride, last = (op.stride if part == 0 else 1), part == count - 1
            out = -(-size // stride)
            steps.append(
                Layer(
                    "dwconv",
                    self.named("dwconv"),
                    (*self.at, op.slot),
                    cin,
                    cin,
                    size,
                    out,
                    part=part,
                    inner=not last,
                    kernel=kernel,
                    stride=stride,
                    act=op.act if last else None,
                    norm=op.norm and last,
                    bias=op.bias and last,
                )
            )
            size = out
        return tuple(steps), cin, size
