"""What a runtime does well in 8 bits: which ops have integer kernels, how the others are said.

A target's rules fix the set of 8-bit tensors, so training and deployment quantise the same ones.
Figures and the choice per operator: docs/lowering.md."""

from __future__ import annotations

from typing import Literal

from spacedsl.diagnostics import fault, one_of
from spacedsl.ir.expr import Frozen
from spacedsl.ir.target import Target

Rewrite = Literal["saturate", "gate", "table", "gated-product", "table-product"]
"""How an activation is said with integer kernels.

- `saturate`: the quantiser of the op before it clips (relu, relu6).
- `gate`: hard-sigmoid; 3 is added (to a convolution's bias where there is one), the quantiser with
  scale 6/255 and zero point 0 clips to relu6(x + 3), and readers use scale 1/255.
- `table`: the runtime's 8-bit table op (sigmoid).
- `gated-product`, `table-product`: x times its `gate` (hswish) or its `table` (swish)."""


class Rules(Frozen):
    """One runtime's rules. `aliases`: how a target's `device` text names the runtime. `acts`: the
    rewrite of every activation it can run in 8 bits. `formats`: what can be exported for it.
    The rest leaves the integers as they are. `stem`: how a strided convolution on the image is
    written. `depthwise_multiple`: zeros pad the channels of depthwise convolutions to a multiple of
    this. `depthwise_taps`: the most taps (k * k) that the depthwise kernels take, None for any;
    wider ones are written as grouped convolutions."""

    runtime: str
    aliases: tuple[str, ...]
    formats: tuple[str, ...]
    activations: Literal["uint8"] = "uint8"
    weights: Literal["int8-per-channel"] = "int8-per-channel"
    acts: tuple[tuple[str, Rewrite], ...]
    stem: Literal["plain", "space-to-depth"] = "plain"
    depthwise_multiple: int = 1
    depthwise_taps: int | None = None

    def rewrite(self, act: str) -> Rewrite:
        """How `act` is said. Raises `SpaceError` where this runtime has no 8-bit form of it."""
        known = dict(self.acts)
        if act not in known:
            raise fault(
                "unsupported-op",
                f"{self.runtime} has no 8-bit form of the activation {act}",
                f"it has {one_of(sorted(known))}",
            )
        return known[act]


ACTS: tuple[tuple[str, Rewrite], ...] = (
    ("relu", "saturate"),
    ("relu6", "saturate"),
    ("hsigmoid", "gate"),
    ("sigmoid", "table"),
    ("hswish", "gated-product"),
    ("swish", "table-product"),
)
"""What was fastest on either runtime, each by its own measurement: so both keep the same tensors in
8 bits, and one integer model serves both."""

ONNXRUNTIME = Rules(
    runtime="onnxruntime",
    aliases=("onnx runtime", "onnxruntime"),
    formats=("onnx",),
    acts=ACTS,
    stem="space-to-depth",
    depthwise_multiple=16,
)

LITERT = Rules(
    runtime="litert",
    aliases=("tflite", "litert"),
    formats=("tflite",),
    acts=ACTS,
    stem="space-to-depth",
    depthwise_taps=25,
)
"""XNNPACK's kernels, to which LiteRT delegates."""

RUNTIMES = (ONNXRUNTIME, LITERT)


def rules_of(target: Target) -> Rules:
    """The rules of the runtime that a target's `device` names. Raises `SpaceError`."""
    device = target.device.lower()
    for rules in RUNTIMES:
        if any(alias in device for alias in rules.aliases):
            return rules
    known = one_of([r.runtime for r in RUNTIMES])
    raise fault(
        "unknown-runtime",
        f"target `{target.name}`: its device names no runtime with quantisation rules",
        f"say {known} in `device`",
    )
