"""The weights that a training begins with: the largest network of the space gets those of the
largest network in another checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.compiler.supernet_file import space_in
from spacedsl.operators.size import Size
from spacedsl.passes.bound import last_layer
from spacedsl.passes.program import Layer, Program, Step, at_inference, flat
from spacedsl_runtime.checkpoint import load_weights, read_checkpoint
from spacedsl_runtime.elastic.modules import ElasticNorm
from spacedsl_runtime.elastic.reparam import ReparamConv
from spacedsl_runtime.elastic.sums import settle_all
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.elastic.weights import (
    Arrays,
    begin_sum,
    layer_weights,
    one_convolution,
    trained_weights,
    weighted,
    write_weights,
)
from spacedsl_runtime.errors import CheckpointError
from spacedsl_runtime.plan import mistakes
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.quantise import stamp_of

SUPERNET = "supernet"
"""The kind of an FP32 checkpoint of a space."""

COMPUTES = {
    "kind": "kind",
    "cin": "input channels",
    "cout": "output channels",
    "kernel": "kernel",
    "stride": "stride",
    "groups": "groups",
    "start": "first channel",
    "squeeze": "squeezed channels",
    "act": "activation",
    "gate": "gate",
    "norm": "batch norm",
    "bias": "bias",
}
"""The fields that say what a layer computes, whatever the size of the image, and their words."""


@dataclass(frozen=True)
class Initial:
    """The weights of a space's largest network, layer by layer. They are None for a classifier of
    other classes, which begins with random weights. `stamp`: the hash of their file. `notes`: what
    differs from the network that they are from, in sentences."""

    stamp: str
    arrays: tuple[Arrays | None, ...]
    notes: tuple[str, ...]

    def write(self, supernet: Supernet, images: Callable[[Size], Iterable[Tensor]]) -> None:
        """Let the largest network of a supernet begin with these weights. Smaller ones have their
        leading channels and centre kernels. A convolution that is trained as a sum, and was not in
        the checkpoint, begins as the first summand, with the statistics of a batch of `images` (of
        a resolution)."""
        largest, begun = supernet.largest(), list[ElasticNorm]()
        layers = trained_weights(supernet, supernet.program(largest))
        for (layer, target), source in zip(layers, self.arrays, strict=True):
            if source is not None and source.keys() == target.keys():
                write_weights(target, source)
            elif source is not None:
                begin_sum(target, source)
                begun.append(cast(ReparamConv, supernet.weights_at(layer)).all_summands()[0][1])
        if begun:
            settle_all(supernet, begun, [largest], [next(iter(images(largest.resolution)))])


def read_initial(path: Path, plan: SupernetPlan, normalise: Normalise) -> Initial:
    """The weights of the largest network in a checkpoint, for the largest one of `plan`. The plan's
    channels and classes are the data's. Raises `CheckpointError` for a file without such weights.
    Where the two networks differ, the error names the first layers that do."""
    header, tensors = read_checkpoint(path)
    if header.get("kind") != SUPERNET:
        raise CheckpointError(
            f"{path} holds weights of kind {header.get('kind')!r}, not those of an FP32 network",
            "name the checkpoint of an FP32 training, or one that `spacedsl import` wrote",
        )
    with mistakes(CheckpointError):
        space = space_in(str(header.get("page")), str(path), CheckpointError)
    source = load_supernet(space, header["channels"], header["classes"])
    load_weights(path, header, tensors, source)
    program, wanted = source.program(source.largest()), plan.program(plan.largest())
    difference = first_difference(program, wanted)
    if difference is not None:
        raise CheckpointError(
            f"{path} does not fit: in the largest network of {plan.name}, {difference}",
            "write a space whose greatest widths, depths and kernels are those of the checkpoint's "
            f"network ({space.name})",
        )
    same = source.classes == plan.classes
    arrays = tuple(_arrays(source, program, wanted, same_classes=same))
    notes = []
    if not same:
        classes = f"{source.classes:,} classes, the data {plan.classes:,}"
        notes.append(f"{path} has {classes}: the classifier begins with random weights")
    for name, mine in (("mean", normalise.mean), ("std", normalise.std)):
        if name in header and tuple(header[name]) != tuple(mine):
            seen = f"normalised with {name} {tuple(header[name])}, here it is {tuple(mine)}"
            notes.append(f"the network of {path} saw images {seen}: the first steps make up for it")
    return Initial(stamp_of(path), arrays, tuple(notes))


def _arrays(
    source: Supernet, found: Program, wanted: Program, *, same_classes: bool
) -> Iterator[Arrays | None]:
    """For each layer of the wanted program: all that the checkpoint trained of it, where that is of
    the same form, else the one convolution that it is."""
    layers = zip(trained_weights(source, found), layer_weights(source, found), strict=True)
    for ((theirs, trained), (_, one)), mine in zip(layers, weighted(wanted), strict=True):
        if mine.kind == "linear" and not same_classes:
            yield None
        elif mine.reparam in (0, theirs.reparam):
            yield trained if mine.reparam else one
        else:
            yield one_convolution(one)


def first_difference(found: Program, wanted: Program) -> str | None:
    """Where a checkpoint's program first computes something else than the wanted one, classes and
    dropout left out; None where it does not."""
    pairs = zip_longest(*(flat(at_inference(program)) for program in (found, wanted)))
    for theirs, mine in pairs:
        if theirs is None:
            return f"{last_layer(mine).name} is a layer more than the checkpoint has"
        if mine is None:
            return f"{last_layer(theirs).name} of the checkpoint is missing"
        have, want = _computed(theirs), _computed(mine)
        folds = (COMPUTES["norm"], COMPUTES["bias"]) if getattr(mine, "reparam", 0) else ()
        for key in want | have:
            if key not in folds and have.get(key) != want.get(key):
                what = f"{last_layer(mine).name} has {key} {want.get(key)}"
                name = last_layer(theirs).name
                return f"{what}, {name} of the checkpoint {have.get(key)}"
    return None


def _computed(step: Step) -> dict[str, Any]:
    if not isinstance(step, Layer):
        sides = dict(zip(("main", "shortcut"), step.branches, strict=False))
        if step.join.kind == "concat":
            sides = {f"branch {i}": branch for i, branch in enumerate(step.branches, start=1)}
        layers = {f"layers of {name}": len(tuple(flat(side))) for name, side in sides.items()}
        return {"kind": step.join.kind, COMPUTES["act"]: step.join.act, **layers}
    left = {"pool": "kernel", "linear": "cout"}.get(step.kind)
    return {word: getattr(step, key) for key, word in COMPUTES.items() if key != left}
