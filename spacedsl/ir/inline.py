"""Bodies with their bindings written out, and the normal form of their ops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacedsl.ir.block import (
    ACTS,
    Block,
    DwConv,
    Join,
    Linear,
    Op,
    Optional,
    Shortcut,
    sizes_of,
    with_bodies,
)
from spacedsl.ir.expr import Expr, Num, Ref, substitute


def inlined(block: Block) -> tuple[Op, ...]:
    """The ops of `block` with its lets substituted."""
    env: dict[str, Expr] = {}
    for let in block.lets:
        env[let.name] = substitute(let.value, env)
    return substitute_ops(block.ops, env)


def substitute_ops(ops: tuple[Op, ...], env: Mapping[str, Expr]) -> tuple[Op, ...]:
    """Ops with names replaced by expressions."""
    return tuple(_substitute_op(op, env) for op in ops)


def _substitute_op(op: Op, env: Mapping[str, Expr]) -> Op:
    update: dict[str, object] = {field: substitute(size, env) for field, size in sizes_of(op)}
    if isinstance(op, Optional):
        named = env.get(op.param)
        update["param"] = named.name if isinstance(named, Ref) else op.param
    return with_bodies(op.model_copy(update=update), lambda ops: substitute_ops(ops, env))


def op_form(op: Op, acts: Mapping[str, str]) -> dict[str, Any]:
    """The normal form of an op, activations substituted."""
    form = op.model_dump(mode="json", exclude={"body", "branches"})
    for field in ACTS:
        if form.get(field) is not None:
            form[field] = acts.get(form[field], form[field])
    if isinstance(op, Shortcut | Optional):
        form["body"] = [op_form(inner, acts) for inner in op.body]
    if isinstance(op, Join):
        form["branches"] = [[op_form(inner, acts) for inner in ops] for ops in op.branches]
    if isinstance(op, Linear):
        del form["classes"]
    if isinstance(op, DwConv) and op.kernel == Num(value=3):
        form["stacked"] = False
    form.pop("ones", None)  # as deployed, where a norm is a factor and a bias for each channel
    if form.pop("reparam", 0):  # the network that is deployed has one convolution with a bias
        form |= {"norm": False, "bias": True}
    return form
