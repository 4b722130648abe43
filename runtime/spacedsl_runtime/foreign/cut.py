"""The steps of a network, cut into blocks as its author cut the network into modules.

A block is a module that stands in a list of modules, or in a stage. What comes before the first
block is the stem, and what comes after the last one is the head."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from torch import nn

from spacedsl.ir.block import Join, Op, Shortcut
from spacedsl.passes.pieces import Piece
from spacedsl_runtime.foreign.steps import Doing, Joined, Part, Step, steps_of


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a step stands: the list of its block ("" outside of lists), the block, its class."""

    stage: str
    block: str
    kind: str


def pieces_of(network: nn.Module, steps: tuple[Doing, ...]) -> list[Piece]:
    """The blocks of a network, in order. A sum ends its block."""
    places = [_place(network, one) for one in steps]
    inside = [i for i, place in enumerate(places) if place.stage]
    first, last = (inside[0], inside[-1]) if inside else (len(steps), len(steps))
    numbers: dict[str, int] = {}
    found: list[Piece] = []
    for place, group in groupby(range(len(steps)), places.__getitem__):
        indices = list(group)
        at = indices[0]
        for run in _blocks([steps[i] for i in indices]):
            if not place.stage:
                name = "stem" if at < first else "head" if at > last else "between"
            else:
                name = f"stage{numbers.setdefault(place.stage, len(numbers))}"
            piece = _piece(name, place.kind, run)
            if found and _separable(found[-1], piece):
                before = found.pop()
                piece = replace(before, cout=piece.cout, ops=before.ops + piece.ops)
            found.append(piece)
    return found


def _separable(first: Piece, second: Piece) -> bool:
    """Are two modules of a list one block, since a dense convolution follows a depthwise one?"""
    if first.stage != second.stage or not first.block or second.shortcut:
        return False
    return [op.op for op in first.ops] == ["dwconv"] and second.ops[0].op == "conv"


def _place(network: nn.Module, one: Doing) -> _Origin:
    """The block of a step: the first module on the step's path that is no list of modules."""
    path = next(steps_of((one,))).path.split(".")
    module, depth = network, 0
    while depth < len(path) and (depth == 0 or _lists(module)):
        module = module.get_submodule(path[depth])
        depth += 1
    single = next(module.children(), None) is None
    if depth < 2 or single:
        return _Origin("", "", "")
    stage, block = ".".join(path[: depth - 1]), ".".join(path[:depth])
    return _Origin(stage, block, _kebab(type(module).__name__))


def _lists(module: nn.Module) -> bool:
    """Is it a list of modules, or what its author calls a stage (RegNet's)?"""
    return isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) or type(
        module
    ).__name__.endswith("Stage")


def _kebab(name: str) -> str:
    """`InvertedResidual` -> `inverted-residual`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
    return parts.replace("_", "-").strip("-")


def _blocks(steps: list[Doing]) -> Iterator[list[Doing]]:
    run: list[Doing] = []
    for one in steps:
        if _is_sum(one) and run:
            yield run
            run = []
        run.append(one)
        if _is_sum(one):
            yield run
            run = []
    if run:
        yield run


def _is_sum(one: Doing) -> bool:
    return isinstance(one, Joined) and one.how == "sum"


def _piece(stage: str, kind: str, run: list[Doing]) -> Piece:
    ops: tuple[Op, ...] = ()
    for one in run:
        ops += _ops(one)
    block = kind if stage.startswith("stage") else ""
    return Piece(stage, block, run[0].cin, run[-1].cout, ops)


def _ops(one: Doing, inside: bool = False) -> tuple[Op, ...]:
    """`inside`: in a body of another op, where more may follow a sum."""
    if isinstance(one, Step):
        return (one.op,)
    if isinstance(one, Part):
        raise TypeError("a part that nothing joins again")
    bodies = tuple(tuple(op for s in path for op in _ops(s, True)) for path in one.branches)
    if inside or one.how == "concat":
        return (Join(op=one.how, branches=bodies, split=one.split, act=one.act),)
    main, path = bodies
    return (*main, Shortcut(kind="body" if path else "identity", body=path, act=one.act))
