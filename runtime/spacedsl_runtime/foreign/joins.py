"""Operations that join paths or part them: sums, gates, concats, splits, shuffles."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import fx

from spacedsl.ir.block import Conv, DwConv, GlobalPool, Se, Shuffle
from spacedsl.ir.expr import Num
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl_runtime.foreign.graph import argument
from spacedsl_runtime.foreign.modules import BRANCHES, GATES, SPLIT, folded
from spacedsl_runtime.foreign.steps import Joined, Part, Step
from spacedsl_runtime.foreign.values import Value, chain, common, concat
from spacedsl_runtime.foreign.walk import Walk


def add(walk: Walk, node: fx.Node, a: Value, b: Value) -> Value | None:
    """The sum of two paths from one tensor."""
    start = common(a, b)
    if start is None or a is b or (walk.shapes[node][1] != a.channels):
        walk.refuse(node, "a sum of two paths from one tensor is what the language has")
        return None
    paths = chain(start, a), chain(start, b)
    main, shortcut = paths if len(paths[0]) >= len(paths[1]) else paths[::-1]
    step = Joined((main, shortcut), start.channels, a.channels)
    return walk.after(node, start, step)


def product(walk: Walk, node: fx.Node, a: Value, b: Value) -> Value | None:
    """Reads squeeze and excitation: a tensor multiplied by a gate that is computed from it. A gate
    of one convolution is one whose other one, before its relu, keeps what is never below 0."""
    x, gate = (a, b) if common(a, b) is a else (b, a)
    match chain(x, gate) if common(a, b) is x else ():
        case (
            Step(op=GlobalPool()),
            Step(op=Conv(kernel=Num(value=1), act=str(act))) as squeeze,
            Step(op=Conv(kernel=Num(value=1), act=str(end))) as excite,
        ) if excite.cout == x.channels:
            op = Se(squeeze=Num(value=squeeze.cout), act=act, gate=end)
            arrays = folded(squeeze.arrays[0]), folded(excite.arrays[0])
            return walk.after(node, x, Step(op, walk.path(node), x.channels, x.channels, arrays))
        case (
            Step(op=GlobalPool()),
            Step(op=Conv(kernel=Num(value=1), act=str(end))) as excite,
        ) if excite.cout == x.channels and _never_negative(x):
            op = Se(squeeze=Num(value=x.channels), act="relu", gate=end)
            same = {
                "weight": torch.eye(x.channels)[:, :, None, None],
                "bias": torch.zeros(x.channels),
            }
            arrays = same, folded(excite.arrays[0])
            return walk.after(node, x, Step(op, walk.path(node), x.channels, x.channels, arrays))
    walk.refuse(node, GATES)
    return None


def _never_negative(x: Value) -> bool:
    """Whether a tensor stands right behind an activation whose values are never below 0."""
    doing = x.doing
    if isinstance(doing, Step):
        act = doing.op.act if isinstance(doing.op, Conv | DwConv) else None
    else:
        act = doing.act if isinstance(doing, Joined) else None
    return act is not None and ACTIVATIONS[act].low == 0


def join(walk: Walk, node: fx.Node) -> Value | None:
    """The channels of several paths, one behind the other."""
    tensors = argument(node, 0, "tensors", ())
    if len(walk.shapes[node]) != 4 or argument(node, 1, "dim", 0) % 4 != 1:
        walk.refuse(node, "a concat is one of channels in the language")
        return None
    if any(tensor not in walk.values for tensor in tensors):
        return None
    if len(tensors) == 1:
        return walk.same(node, walk.values[tensors[0]])
    ends = [walk.values[tensor] for tensor in tensors]
    key = tuple(map(id, ends))
    for known in range(len(ends) - 1, 1, -1):  # what was joined before grows
        if key[:known] in walk.joined:
            ends = [walk.joined[key[:known]], *ends[known:]]
            break
    found = concat(ends)
    if found is None:
        walk.refuse(node, BRANCHES)
        return None
    walk.joined[key] = found
    return found


def part(walk: Walk, node: fx.Node, value: Value) -> Value | None:
    """What stands behind a split, or a slice: a part of the channels, or all of them."""
    before, index = cast(tuple[fx.Node, Any], node.args)
    channels = walk.shapes[node][1]
    if channels == value.channels and walk.shapes[node] == walk.shapes.get(before):
        return walk.same(node, value)
    count, rest = divmod(value.channels, channels)
    if isinstance(index, tuple) and walk.shapes[node][2:] == walk.shapes[before][2:]:
        index, odd = divmod(index[1].start or 0, channels)
        rest += odd
    if not isinstance(index, int) or rest:
        walk.refuse(node, SPLIT)
        return None
    part = Part(index, count, walk.path(node), value.channels, channels)
    return Value(channels, value, part)


def shuffle(walk: Walk, node: fx.Node, before: fx.Node, groups: int) -> Value | None:
    """Channels in another order, group by group."""
    value, op = walk.values.get(before), Shuffle(groups=Num(value=groups))
    return None if value is None else walk.weightless(node, value, op)
