"""What a supernet's or a BKD stage's plan holds: the seam between compiler and runtime.

The runtime evaluates no expression: every width and kernel is a number or a table of numbers.
"channels" and "classes" stand for what comes from the data. `spacedsl_runtime.plan` reads this."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from spacedsl.compiler.int8 import Fixed
from spacedsl.diagnostics import fault
from spacedsl.ir.expr import Frozen
from spacedsl.runtimes.rules import Rewrite
from spacedsl.sealed import read_sealed

FORMAT: Final = "spacedsl-plan"
SUBNET_FORMAT: Final = "spacedsl-subnet"
VERSION: Final = 2
SUBNET_VERSION: Final = 1
MAX_BYTES = 64 << 20

Number = int | float

Cin = int | Literal["channels"]
"""An op's largest input width; "channels" where it reads the image."""


class Lookup(Frozen):
    """A size that depends on the block's widths ("cin", "cout") and settings: `table` has one row
    [values of `by`, size] per combination that a subnet can choose."""

    by: tuple[str, ...]
    table: tuple[tuple[tuple[Number, ...], int], ...]


Size = int | Lookup


class PlanConv(Frozen):
    """`slot` names the op within the block, whatever is left out of it: its weights, and the
    quantisers of what it makes. `max_*` are the weights' largest sizes. `elide`: left out where it
    keeps both width and size."""

    op: Literal["conv"] = "conv"
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


class PlanDwConv(Frozen):
    """`stacked`: (kernel - 1) / 2 convolutions 3 x 3, the first with the stride, norm, bias and
    activation after the last in use."""

    op: Literal["dwconv"] = "dwconv"
    slot: str
    kernel: Size
    stride: int
    act: str | None
    norm: bool
    bias: bool
    stacked: bool
    max_cin: Cin
    max_kernel: int


class PlanSe(Frozen):
    """Squeeze and excitation; both convolutions have a bias and no norm."""

    op: Literal["se"] = "se"
    slot: str
    squeeze: Size
    act: str | None
    gate: str | None
    max_cin: Cin
    max_squeeze: int


class PlanPool(Frozen):
    """Padded like a convolution; averages count no padding."""

    op: Literal["maxpool", "avgpool"]
    slot: str
    kernel: Size
    stride: int
    elide: bool


class PlanGlobalPool(Frozen):
    op: Literal["pool"] = "pool"
    slot: str


class PlanLinear(Frozen):
    """The classifier, from `max_cin` to "classes"."""

    op: Literal["linear"] = "linear"
    slot: str
    max_cin: Cin


class PlanDropout(Frozen):
    op: Literal["dropout"] = "dropout"
    rate: float


class PlanShortcut(Frozen):
    """As in the language: `identity` only where width and size are kept."""

    op: Literal["shortcut"] = "shortcut"
    slot: str
    kind: Literal["identity", "body"]
    body: tuple[PlanOp, ...]
    act: str | None


class PlanOptional(Frozen):
    """`body` where the setting `param` is 1, nothing where it is 0."""

    op: Literal["optional"] = "optional"
    param: str
    body: tuple[PlanOp, ...]


PlanOp = Annotated[
    PlanConv
    | PlanDwConv
    | PlanSe
    | PlanPool
    | PlanGlobalPool
    | PlanLinear
    | PlanDropout
    | PlanShortcut
    | PlanOptional,
    Field(discriminator="op"),
]

PlanShortcut.model_rebuild()
PlanOptional.model_rebuild()


class PlanParam(Frozen):
    """A numeric parameter that every block of a subnet chooses."""

    name: str
    values: tuple[Number, ...]


class PlanBody(Frozen):
    """The ops of a block in its place: the input widths it may see, its stride resolved."""

    cin: tuple[int, ...]
    stride: int
    ops: tuple[PlanOp, ...]


class PlanStage(Frozen):
    """`first` is the body of a stage's first block, `rest` that of the others (null where the
    depth is always 1). The widths of one subnet's stage lie in `window` consecutive `widths`."""

    name: str
    block: str
    block_hash: str
    elastic: bool
    stride: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    window: int
    shared: tuple[str, ...]
    params: tuple[PlanParam, ...]
    first: PlanBody
    rest: PlanBody | None


class PlanRules(Frozen):
    """What a target keeps in 8 bits, for QAT: the `runtime`'s rewrite of every activation that the
    plan has, and the quantisers that no data decides: `gate` of hard-sigmoid, to which a
    convolution's bias adds `bias_offset` and an op of its own `op_offset`; `table` of sigmoid."""

    target: str
    runtime: str
    acts: tuple[tuple[str, Rewrite], ...]
    gate: Fixed
    bias_offset: float
    op_offset: float
    table: Fixed


class SupernetPlan(Frozen):
    """A weight-sharing supernet (`kind` "supernet") or one elastic stage of a hyperspace with one
    block type ("bkd"; `name` is then hyperspace, stage and block). `page` is text that needs no
    other page, `hash` its hash. `input_stride`: image pixels per pixel of the input;
    `any_channels`: no size depends on the number of channels, so that another may be given.
    `rules`: the 8-bit tensors of the target it was compiled for, if any."""

    format: Literal["spacedsl-plan"] = FORMAT
    version: Literal[2] = VERSION
    kind: Literal["supernet", "bkd"]
    name: str
    hash: str
    page: str
    resolutions: tuple[int, ...]
    input_stride: int
    channels: int
    any_channels: bool
    classes: int | None
    rules: PlanRules | None
    stages: tuple[PlanStage, ...]


class SubnetBlockData(Frozen):
    width: int
    settings: dict[str, Number]


class SubnetStageData(Frozen):
    name: str
    blocks: tuple[SubnetBlockData, ...]


class SubnetData(Frozen):
    """One network of a supernet: what `model` says in text. `space` is the space's hash; `cin` the
    input width of a BKD stage, null otherwise."""

    format: Literal["spacedsl-subnet"] = SUBNET_FORMAT
    version: Literal[1] = SUBNET_VERSION
    name: str
    space: str
    resolution: int
    cin: int | None = None
    stages: tuple[SubnetStageData, ...]


LINE = 100


def json_text(value: Frozen) -> str:
    """Canonical JSON: what fits stands on one line, anything else has one entry a line."""
    return _laid_out(value.model_dump(mode="json"), 0, LINE) + "\n"


def _laid_out(value: object, depth: int, room: int) -> str:
    """`value` at nesting `depth`, on one line where that has at most `room` characters."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, dict | list) or not value or (depth and len(flat) < room):
        return flat
    pad, ends = " " * (depth + 1), "{}" if isinstance(value, dict) else "[]"
    named = value.items() if isinstance(value, dict) else (("", v) for v in value)
    lines: list[str] = []
    for name, entry in named:
        start = pad + (f"{json.dumps(name)}: " if isinstance(value, dict) else "")
        lines.append(start + _laid_out(entry, depth + 1, LINE - len(start)))
    return ends[0] + "\n" + ",\n".join(lines) + "\n" + " " * depth + ends[1]


def load_supernet_plan(path: Path) -> SupernetPlan:
    """Read and check a plan. Raises `SpaceError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise fault("plan-large", f"{path} is larger than {MAX_BYTES >> 20} MB")
        return read_sealed(SupernetPlan, data, path, "bad-plan")
    except OSError as error:
        raise fault("plan-missing", f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        message = f"{path} is not a supernet plan of version {VERSION}: {where}: {first['msg']}"
        raise fault("bad-plan", message, "make it again with `spacedsl compile`") from None
