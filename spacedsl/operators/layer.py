"""A layer: one operator with all sizes known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from spacedsl.operators.size import Size
from spacedsl.operators.window import Window

LayerKind = Literal[
    "conv",
    "dwconv",
    "se",
    "maxpool",
    "avgpool",
    "space-to-depth",
    "pool",
    "linear",
    "dropout",
    "act",
    "add",
    "concat",
    "slice",
    "shuffle",
    "upsample",
]


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator with all sizes known. `size` and `out_size` are those of maps in pixels;
    `squeeze` and `gate` belong to se, `rate` to dropout, `groups` to conv and shuffle, `start`, the
    first channel that is taken, to slice; `kernel` is also the block of space-to-depth,
    and how many rows and columns upsample makes of one. `op` is the position of the operator in its
    block's body as the block declares it (`walk`), `part` that in a stack of depthwise
    convolutions: they say where the layer comes from. `reparam` says as how many
    convolutions it is trained, 0 where it is trained as what it is, `ones` that its weights are not
    trained. Two layers that differ in nothing else than these are equal."""

    kind: LayerKind
    cin: int
    cout: int
    size: Size
    out_size: Size
    kernel: Size = 1
    stride: Size = 1
    act: str | None = None
    norm: bool = False
    bias: bool = False
    squeeze: int = 0
    gate: str | None = None
    rate: float = 0.0
    groups: int = 1
    start: int = 0
    dilation: Size = 1
    valid: bool = False
    op: int = field(default=0, compare=False)
    part: int = field(default=0, compare=False)
    reparam: int = field(default=0, compare=False)
    ones: bool = field(default=False, compare=False)

    @property
    def fan_in(self) -> int:
        """Channels that each filter of a convolution reads."""
        return 1 if self.kind == "dwconv" else self.cin // self.groups

    @property
    def window(self) -> Window:
        """Its window."""
        return Window(self.kernel, self.stride, self.dilation, self.valid)

    @property
    def keeps(self) -> bool:
        """Whether it keeps width and size."""
        return self.cin == self.cout and self.stride == 1
