"""What a runtime does well in 8 bits: which ops have integer kernels, how the others are said.

A target's rules fix the set of 8-bit tensors, so training and deployment quantise the same ones.
Figures and the choice per operator: docs/lowering.md."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, Self

from spacedsl.diagnostics import fault, one_of
from spacedsl.ir.expr import Frozen
from spacedsl.operators.activation import Rewrite
from spacedsl.operators.activations import ACTIVATIONS

FIRST = ("relu", "relu6", "hsigmoid", "sigmoid", "hswish", "swish")
"""The activations that every plan names, in this order, whether its network has them or not."""

TYPES = "u8s8"
"""uint8 activations, int8 weights: the only data types there are so far."""


class Rules(Frozen):
    """One runtime's rules. `aliases`: how a target's `device` text names the runtime. `acts`: the
    rewrite of every activation it can run in 8 bits. `formats`: what can be exported for it.
    The rest leaves the integers as they are. `stem`: how a strided convolution on the image is
    written. `depthwise_multiple`: zeros pad the channels of depthwise convolutions to a multiple of
    this. `dense_outputs`: zeros pad dense convolutions wider than 1x1 to at least this many
    outputs. `depthwise_taps`: the most taps (k * k) that the depthwise kernels take, None for any;
    wider ones are written as grouped convolutions. `gates`: with "float" the gate inside a hswish
    or swish is not written in 8 bits, so that one op makes the whole; it is the only one of these
    that changes numbers, by a step at most."""

    runtime: str
    aliases: tuple[str, ...]
    formats: tuple[str, ...]
    activations: Literal["uint8"] = "uint8"
    weights: Literal["int8-per-channel"] = "int8-per-channel"
    acts: tuple[tuple[str, Rewrite], ...]
    stem: Literal["plain", "space-to-depth"] = "plain"
    depthwise_multiple: int = 1
    dense_outputs: int = 1
    depthwise_taps: int | None = None
    gates: Literal["uint8", "float"] = "uint8"

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

    def for_acts(self, acts: Collection[str]) -> Self:
        """The same rules as a plan of a network with the activations `acts` names them."""
        named = tuple((act, how) for act, how in self.acts if act in FIRST or act in acts)
        return self.model_copy(update={"acts": named})

    def saying(self, act: str, rewrite: Rewrite) -> Self:
        """The same rules with another rewrite of one activation."""
        acts = tuple((name, rewrite if name == act else old) for name, old in self.acts)
        return self.model_copy(update={"acts": acts})


ACTS = tuple((act, ACTIVATIONS[act].rewrite) for act in dict.fromkeys((*FIRST, *ACTIVATIONS)))
"""What was fastest on ONNX Runtime and on LiteRT, each by its own measurement: so all runtimes keep
the same tensors in 8 bits, and one integer model serves them."""

Without = Callable[[Rules], Rules]
"""Rules without one of those that a target's page may leave out."""
