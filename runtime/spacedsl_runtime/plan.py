"""The plan of a supernet or of a BKD stage, as the compiler wrote it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from spacedsl.checksum import KEY, unsealed
from spacedsl_runtime.errors import PlanError, SubnetError
from spacedsl_runtime.reader import Mismatch, build, check_stamp, read_json

FORMAT = "spacedsl-plan"
VERSION = 2

Number = int | float
Cin = int | Literal["channels"]


@dataclass(frozen=True)
class Lookup:
    """A size by the block's widths and settings: rows of [values of `by`, size]."""

    by: tuple[str, ...]
    table: tuple[tuple[tuple[Number, ...], int], ...]

    _sizes: dict[tuple[Number, ...], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sizes", dict(self.table))

    def __call__(self, env: Mapping[str, Number]) -> int:
        """The size. Raises `SubnetError` for a combination that no subnet has."""
        key = tuple(env[name] for name in self.by)
        if key not in self._sizes:
            said = ", ".join(f"{n} {v}" for n, v in zip(self.by, key, strict=True))
            raise SubnetError(f"the plan knows no size for {said}")
        return self._sizes[key]


Size = int | Lookup


def size_of(size: Size, env: Mapping[str, Number]) -> int:
    """A size where the block's widths and settings are `env`."""
    return size if isinstance(size, int) else size(env)


@dataclass(frozen=True)
class Conv:
    op: Literal["conv"]
    slot: str
    kernel: Size
    width: Size
    stride: int
    act: str | None
    norm: bool
    bias: bool
    elide: bool
    max_cin: Cin
    max_cout: int
    max_kernel: int


@dataclass(frozen=True)
class DwConv:
    op: Literal["dwconv"]
    slot: str
    kernel: Size
    stride: int
    act: str | None
    norm: bool
    bias: bool
    stacked: bool
    max_cin: Cin
    max_kernel: int


@dataclass(frozen=True)
class Se:
    op: Literal["se"]
    slot: str
    squeeze: Size
    act: str | None
    gate: str | None
    max_cin: Cin
    max_squeeze: int


@dataclass(frozen=True)
class Pool:
    op: Literal["maxpool", "avgpool"]
    slot: str
    kernel: Size
    stride: int
    elide: bool


@dataclass(frozen=True)
class GlobalPool:
    op: Literal["pool"]
    slot: str


@dataclass(frozen=True)
class Linear:
    op: Literal["linear"]
    slot: str
    max_cin: Cin


@dataclass(frozen=True)
class Dropout:
    op: Literal["dropout"]
    rate: float


@dataclass(frozen=True)
class Shortcut:
    op: Literal["shortcut"]
    slot: str
    kind: Literal["identity", "body"]
    body: tuple[Op, ...]
    act: str | None


@dataclass(frozen=True)
class Optional:
    op: Literal["optional"]
    param: str
    body: tuple[Op, ...]


Op = Conv | DwConv | Se | Pool | GlobalPool | Linear | Dropout | Shortcut | Optional


def walk(ops: tuple[Op, ...]) -> Iterator[Op]:
    """Every op, those inside shortcuts and optional groups included."""
    for op in ops:
        yield op
        if isinstance(op, Shortcut | Optional):
            yield from walk(op.body)


@dataclass(frozen=True)
class Param:
    name: str
    values: tuple[Number, ...]


@dataclass(frozen=True)
class Body:
    """A block's ops in their place; `cin` are the input widths it may see."""

    cin: tuple[int, ...]
    stride: int
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class Stage:
    """`first` is the body of the first block, `rest` that of the others."""

    name: str
    block: str
    block_hash: str
    elastic: bool
    stride: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    window: int
    shared: tuple[str, ...]
    params: tuple[Param, ...]
    first: Body
    rest: Body | None

    @property
    def windows(self) -> tuple[tuple[int, ...], ...]:
        """Runs of `window` consecutive widths; one subnet's stage stays in one."""
        count = len(self.widths) - self.window + 1
        return tuple(self.widths[i : i + self.window] for i in range(count))

    def body(self, position: int) -> Body:
        """The body of the block at `position` (0 is the first)."""
        if position == 0:
            return self.first
        if self.rest is None:
            raise SubnetError(f"{self.name} has one block, there is no block {position + 1}")
        return self.rest


Rewrite = Literal["saturate", "gate", "table", "gated-product", "table-product", "float"]
"""How a runtime says an activation with 8-bit ops (docs/lowering.md)."""


@dataclass(frozen=True)
class Fixed:
    """A quantiser that no data decides: ops write steps of `write`, readers take `read`."""

    write: float
    read: float
    zero_point: int


@dataclass(frozen=True)
class Rules:
    """What a target keeps in 8 bits: see `spacedsl.compiler.supernet_schema.PlanRules`."""

    target: str
    runtime: str
    acts: tuple[tuple[str, Rewrite], ...]
    gate: Fixed
    bias_offset: float
    op_offset: float
    table: Fixed


@dataclass(frozen=True)
class Plan:
    """See `spacedsl.compiler.supernet_schema`, which wrote it. `input_stride`: image pixels per
    pixel of the input, which for a BKD stage is a feature map."""

    format: str
    version: int
    kind: Literal["supernet", "bkd"]
    name: str
    hash: str
    page: str = field(repr=False)
    resolutions: tuple[int, ...]
    input_stride: int
    channels: int
    any_channels: bool
    classes: int | None
    rules: Rules | None = field(repr=False)
    stages: tuple[Stage, ...] = field(repr=False)


@runtime_checkable
class Compiled(Protocol):
    """A plan as the compiler has it (`spacedsl.compiler.supernet.supernet_plan`)."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Its fields, as the file has them where `mode` is `json`."""


Source = Path | str | Mapping[str, Any] | Compiled
"""A plan's file, its JSON object, or what that is made of."""


def read_plan(source: Source, kind: str) -> Plan:
    """A plan from wherever it is. Raises `PlanError` for one that is missing, damaged, or of
    another format, version or kind."""
    if isinstance(source, Path | str):
        data, name = read_json(Path(source), PlanError), str(source)
    elif isinstance(source, Mapping):
        data, name = dict(source), "the plan"
    else:
        data, name = source.model_dump(mode="json"), "the plan"

    def refuse(message: str) -> PlanError:
        return PlanError(f"{name}: {message}; compile the page again")

    check_stamp(data, FORMAT, VERSION, refuse)
    if KEY in data or isinstance(source, Path | str):
        data = unsealed(data, name, PlanError)
    if data.get("kind") != kind:
        raise refuse(f"a plan of kind {data.get('kind')!r} where {kind!r} is needed")
    try:
        plan = build(Plan, data)
    except Mismatch as error:
        raise refuse(str(error)) from None
    _check(plan, refuse)
    return plan


def _check(plan: Plan, refuse: Callable[[str], PlanError]) -> None:
    """What the types do not say."""

    def need(holds: bool, message: str) -> None:
        if not holds:
            raise refuse(message)

    need(bool(plan.stages and plan.resolutions), "it has no stages or no resolutions")
    need(min((plan.channels, plan.input_stride, *plan.resolutions)) > 0, "a size below 1")
    for fixed in (plan.rules.gate, plan.rules.table) if plan.rules else ():
        need(min(fixed.write, fixed.read) > 0, "a scale that is not above zero")
    for stage in plan.stages:
        here = stage.name
        need(bool(stage.depths) and min(stage.depths) > 0, f"{here}: no depth")
        need((stage.rest is not None) == (max(stage.depths) > 1), f"{here}: depth and `rest`")
        need(0 <= stage.window <= len(stage.widths), f"{here}: a window wider than the widths")
        need(bool(stage.window) == bool(stage.widths), f"{here}: an empty window")
        need(all(p.values for p in stage.params), f"{here}: a parameter without values")
        for body in (stage.first, stage.rest):
            ops = list(walk(body.ops)) if body else []
            slots = [op.slot for op in ops if not isinstance(op, Dropout | Optional)]
            need(len(slots) == len(set(slots)), f"{here}: two ops have the same slot")
            need(all(s.isalnum() for s in slots), f"{here}: a slot that is no name")
