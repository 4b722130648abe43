"""What a record of an activation says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

Rewrite = Literal[
    "saturate", "gate", "table", "gated-product", "table-product", "function", "float"
]
"""How an activation is said in 8 bits.

- `saturate`: the quantiser of the op before it clips (relu, relu6, hardtanh).
- `gate`: hard-sigmoid; 3 is added (to a convolution's bias where there is one), the quantiser with
  scale 6/255 and zero point 0 clips to relu6(x + 3), and readers use scale 1/255.
- `table`: the runtime's 8-bit table op, whose scale is given (sigmoid).
- `gated-product`, `table-product`: x times its `gate` (hswish) or its `table` (swish).
- `function`: an op of its own, from 8 bits to 8 bits (gelu, leaky, mish).
- `float`: the runtime's float op between two quantisers (hswish, where its rewrite is off)."""

X, LAST = "x", "last"
"""Inputs of a call: that of the activation, and what the call before made."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operator of a file's format. `inputs` are `X`, `LAST` or constants, `table` is the TFLite
    schema's table of its attributes, `opset` the first of ONNX that has the operator."""

    op: str
    inputs: tuple[str | float, ...] = (X,)
    attributes: tuple[tuple[str, float], ...] = ()
    table: str = ""
    opset: int = 17


class Steps(NamedTuple):
    """A quantiser that no data decides: the op writes steps of `write`, its readers take steps of
    `read`, which differs where a factor is folded in."""

    write: float
    read: float
    zero_point: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation under its word.

    `text` is its formula, `value` the function of a number, `low` and `high` bound its values.
    `synonyms` are its other names in the field, without case and signs; `timm` are its letters in
    timm's block strings.

    `rewrite` says how 8 bits hold it, in all runtimes alike: with the quantiser `fixed`, where that
    is given; after `offset` is added; and as a product with x, of the activation `gate`. `onnx` and
    `tflite` are its calls in these files. INT8 files of the formats in `floats` make these calls in
    float, between two quantisers: their runtimes have no kernel for 8 bits, or a slower one."""

    text: str
    value: Callable[[float], float]
    rewrite: Rewrite
    onnx: tuple[Call, ...]
    tflite: tuple[Call, ...]
    synonyms: tuple[str, ...] = ()
    timm: str = ""
    low: float = -inf
    high: float = inf
    fixed: Steps | None = None
    offset: float = 0.0
    gate: str = ""
    floats: tuple[str, ...] = ()
