"""An imported network as the only subnet of a space, with its weights in the space's supernet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spacedsl.compiler.supernet import self_contained, supernet_plan
from spacedsl.compiler.supernet_file import space_in
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.pieces import subnet_of_pieces
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.elastic.weights import layer_weights, shapes, write_weights
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.cut import pieces_of
from spacedsl_runtime.foreign.steps import Doing, steps_of
from spacedsl_runtime.foreign.trace import steps_of_network
from spacedsl_runtime.plan import mistakes

TOLERANCE = 1e-5
"""The logits of the two may differ by this part of the largest. Where batch norms have another
epsilon than ours, their arrays are converted in single precision."""


class Read(NamedTuple):
    """`subnet` is the only network of its space, and `supernet` has its weights. On a random image,
    in double precision, its logits differ from the imported network's by at most `differs`, and the
    largest of those is `largest`."""

    subnet: Subnet
    supernet: Supernet
    differs: float
    largest: float


def read_network(
    network: nn.Module,
    name: str,
    shape: tuple[int, int],
    whole: tuple[type[nn.Module], ...] = (),
    functions: Sequence[Callable[..., Any]] = (),
) -> Read:
    """A network, as it computes in eval mode; its images have `shape`, channels and pixels. `whole`
    and `functions`: modules and functions that are one operation. Raises `ForeignError` for what
    the language cannot say, and for outputs that are not the same."""
    network = network.eval()
    channels, resolution = shape
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, channels, resolution, resolution, generator=generator)
    steps = steps_of_network(network, image, whole, functions)
    subnet = subnet_of_pieces(pieces_of(network, steps), name, channels, resolution)
    with mistakes(ForeignError):
        space_in(self_contained(subnet.of), f"the page of {name}", ForeignError)
        plan = supernet_plan(subnet.of)
    supernet = load_supernet(plan).eval()
    write_steps(supernet, subnet, steps)
    differs, largest = _compared(network, supernet, subnet, image)
    if not differs <= TOLERANCE * largest:
        raise ForeignError(
            f"the page does not compute what {name} does: logits differ by {differs:.3g}, the "
            f"largest is {largest:.3g}",
            "this is a mistake of spacedsl: please report it",
        )
    return Read(subnet, supernet, differs, largest)


def write_steps(supernet: Supernet, subnet: Subnet, steps: tuple[Doing, ...]) -> None:
    """Write the weights of a network's steps into a subnet that does the same. Raises
    `ForeignError` for a layer that has other shapes."""
    arrays = (arrays for step in steps_of(steps) for arrays in step.arrays)
    for (layer, target), source in zip(
        layer_weights(supernet, supernet.program(subnet)), arrays, strict=True
    ):
        if shapes(target) != shapes(source):
            raise ForeignError(f"{layer.name} has {shapes(target)}, the network {shapes(source)}")
        write_weights(target, source)


def _compared(
    network: nn.Module, supernet: Supernet, subnet: Subnet, image: Tensor
) -> tuple[float, float]:
    """How far logits of the two differ at most, and the largest. In double precision, since deep
    networks with random weights blow up what is rounded."""
    try:
        with torch.no_grad():
            theirs: Tensor = network.double()(image.double())
            ours: Tensor = supernet.double()(image.double(), subnet)
    finally:
        network.float(), supernet.float()
    return float((ours - theirs).abs().max()), float(theirs.abs().max())
