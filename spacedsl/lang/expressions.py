"""Lower expressions: numbers, pairs, names, arithmetic and `round8`."""

from __future__ import annotations

from typing import Literal

from spacedsl.ir.block import MAX_KERNEL
from spacedsl.ir.expr import Binary, Expr, Num, Ref, Round8
from spacedsl.lang.report import Report
from spacedsl.lang.values import number, size_said
from spacedsl.syntax.tree import Node, Token


def lower_ref(token: Token, known: list[str], report: Report) -> Ref:
    """A name that means something. Raises `Abandon`."""
    if token.text not in known:
        raise report.unknown("name", token, known)
    return Ref(name=token.text)


def lower_expr(tree: Node | Token, known: list[str], report: Report) -> Expr:
    """An expression over names that are `known`, or one token of it. Raises `Abandon`."""
    if isinstance(tree, Token):
        if tree.type == "NAME":
            return lower_ref(tree, known, report)
        if tree.type == "PAIR":
            return Num(value=size_said(tree, report, "a size", MAX_KERNEL))
        return Num(value=number(tree, report))
    if tree.rule == "ref":
        return lower_ref(tree.token("NAME"), known, report)
    if tree.rule == "round8":
        return Round8(arg=lower_expr(tree.children[2], known, report))
    if tree.rule == "parens":
        return lower_expr(tree.children[1], known, report)
    left, sign, right = tree.children
    if not isinstance(sign, Token):
        raise TypeError(f"grammar changed: {tree.rule}")
    operators: dict[str, Literal["+", "-", "*", "/"]] = {"+": "+", "-": "-", "*": "*", "/": "/"}
    return Binary(
        op=operators[sign.text],
        left=lower_expr(left, known, report),
        right=lower_expr(right, known, report),
    )
