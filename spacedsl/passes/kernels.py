"""Layers to latency kernels: what a runtime fuses into one call, with nn-Meter's names.

Batch norm and what only clips (ReLU, ReLU6) are absorbed by the convolution before them; every
other activation is a kernel of its own, as the published Pixel 4 table shows (convolutions with and
without ReLU cost the same there, swish is a separate summand)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from spacedsl.operators.activations import with_rewrite
from spacedsl.operators.layer import Layer
from spacedsl.operators.operators import OPERATORS
from spacedsl.operators.size import Size
from spacedsl.operators.window import Window

ABSORBED = with_rewrite("saturate")

GROUPS = "/"
"""The sign between the kind of a convolution's kernel and how many groups it has, if several."""


class Kernel(NamedTuple):
    """One latency kernel. `cin`, `cout` in channels (`cout` is the squeeze width of an `se`),
    `size` that of the input in pixels (of `upsample` that of the output), `kernel`, `stride`,
    `dilation` and `valid` the window, batch 1."""

    kind: str
    cin: int
    cout: int
    size: Size
    kernel: Size = 1
    stride: Size = 1
    dilation: Size = 1
    valid: bool = False

    @property
    def groups(self) -> int:
        """Groups of a convolution."""
        return int(self.kind.partition(GROUPS)[2] or 1)

    @property
    def window(self) -> Window:
        """Its window."""
        return Window(self.kernel, self.stride, self.dilation, self.valid)

    @property
    def out_size(self) -> Size:
        """The size of the output in pixels."""
        return 1 if self.kind == "global-avgpool" else self.window.output(self.size)


def layer_kernels(layer: Layer) -> Iterator[Kernel]:
    """The kernels of one layer, in execution order. Dropout has none."""
    size, channels = layer.out_size, layer.cout
    match layer.kind:
        case "dropout":
            return
        case "concat" if layer.part:
            return
        case "se":
            plain = layer.act == "relu" and layer.gate == "hsigmoid"
            kind = "se" if plain else f"se-{layer.act}-{layer.gate}"
            yield Kernel(kind, layer.cin, layer.squeeze, layer.size)
            return
        case "add":
            absorbed = layer.act in ABSORBED
            yield Kernel("add-relu" if absorbed else "add", channels, channels, size)
        case "upsample":
            yield Kernel(OPERATORS[layer.kind].latency, channels, channels, size)
            return
        case "act":
            yield Kernel(layer.act or "identity", channels, channels, size)
            return
        case _:
            record = OPERATORS[layer.kind]
            window = layer.kernel if record.window else 1
            grouped = layer.groups != 1 and layer.kind == "conv"
            groups = f"{GROUPS}{layer.groups}" if grouped else ""
            yield Kernel(
                f"{record.latency}{groups}",
                layer.cin,
                channels,
                layer.size,
                window,
                layer.stride,
                layer.dilation,
                layer.valid,
            )
    if layer.act is not None and layer.act not in ABSORBED:
        yield Kernel(layer.act, channels, channels, size)


def kernels(layers: Iterable[Layer]) -> tuple[Kernel, ...]:
    """The latency kernels of a run of layers, in execution order."""
    return tuple(kernel for layer in layers for kernel in layer_kernels(layer))
