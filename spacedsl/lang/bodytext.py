"""Finds mistakes in a body that do not depend on its sizes, and the places of those that do."""

from __future__ import annotations

from spacedsl.ir.block import Block, op_sizes
from spacedsl.ir.expr import EvaluationError, Expr, Num, evaluate, names_in
from spacedsl.lang.kernels import is_stride
from spacedsl.lang.report import Report
from spacedsl.operators.operators import STRIDED
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span

_DEPLOYED = "it is trained with batch norms, and deployed with a bias"

REPARAM_SAYS = {
    "nonorm": _DEPLOYED,
    "bias": _DEPLOYED,
    "stacked": "a stack is several convolutions, which do not fold into one",
}
"""What does not go with `reparam`, and why."""


def check_body(block: Block, node: Node, report: Report) -> None:
    """Report sizes that are never used, and two ops that both take the stage's stride."""
    used = {name for expr in op_sizes(block.ops) for name in names_in(expr)}
    used |= {name for let in block.lets for name in names_in(let.value)}
    for let in node.all("let"):
        name = let.token("NAME")
        if name.text not in used:
            end = _line_end(report.source.text, let.span.end)
            fixes = [("leave it out", Span(let.span.start, end), "")]
            message = f"`{name.text}` is never used"
            report.error("unused-name", message, name, "use it in an op, or leave it out", fixes)
    strided = [token for op in node.all(*STRIDED) for token in [modifier(op, "strided")] if token]
    if len(strided) > 1 and not any(modifier(op, "elide") for op in node.all(*STRIDED)):
        fixes = [("leave it out", report.with_blank(strided[1].span), "")]
        said = [("this op takes the stage's stride too", strided[0])]
        message = "two ops of one body are `strided`: the size would be divided twice"
        help = "write it on one of them"
        report.error("duplicate-modifier", message, strided[1], help, fixes, said)


def check_width(what: str, width: Expr, at: Node | Token, report: Report) -> None:
    """Report a ratio where `se` or `->` takes a width. Raises `Abandon`."""
    if names_in(width):
        return
    try:
        value = evaluate(width, {})
    except EvaluationError as error:
        raise report.fail("bad-value", str(error), at) from None
    if value.denominator != 1:
        from spacedsl.syntax.words import channels_at  # pages without mistakes do not need it

        cin = channels_at(report.source.text, at.span.start) if what == "se" else "cin"
        meant = f"round8({cin} * {float(value):g})"
        fixes = [(f"write `{meant}`", at.span, meant)] if value < 1 else []
        message = f"`{what}` takes a width, not a ratio as {float(value):g}"
        help = f"write a whole number, or a share of the channels: `{what} {meant}`"
        raise report.fail("bad-value", message, at, help, fixes)


def check_reparam(op: Node, report: Report) -> None:
    """Report what a convolution that is trained as a sum cannot say besides. Raises `Abandon`."""
    for word, why in REPARAM_SAYS.items():
        token = modifier(op, word)
        if token is not None:
            fixes = [("leave it out", report.with_blank(token.span), "")]
            message = f"one `{op.rule}` cannot take `reparam` and `{word}`: {why}"
            raise report.fail("duplicate-modifier", message, token, "leave one of them out", fixes)


def check_own_line(se: Node, report: Report) -> None:
    """An activation below `se` is read as one within it, which is hardly what is meant."""
    first, *_ = *se.all("modifier"), None
    if first and report.is_first(word := first.token("NAME")):
        message = f"`{word.text}` on a line of its own would be the activation within `se`"
        help = "if it is, write it on the line of `se`; if not, behind the op that it belongs to"
        gap = Span(se.children[1].span.end, word.span.start)
        fixes = [("write it on the line of `se`", gap, " ")]
        blank = report.is_blank(gap.start, gap.end)
        raise report.fail("misplaced", message, word, help, fixes if blank else ())


def check_ones(op: Node, kernel: Expr, report: Report) -> None:
    """Report what a batch norm alone cannot say besides. Raises `Abandon`."""
    token = modifier(op, "ones")
    if token is None:
        return
    if kernel != Num(value=1):
        message = "`ones` is of a `dwconv 1x1`, which is then a batch norm alone"
        help = "write `dwconv 1x1 ones`, or leave it out"
        raise report.fail("bad-value", message, op.get("kernel"), help)
    for other in (*op.all("modifier"), *op.all("reparam")):
        word = other.tokens()[0]
        if word.text in ("nonorm", "bias", "strided", "stacked", "reparam") or is_stride(word.text):
            fixes = [("leave it out", report.with_blank(other.span), "")]
            message = f"one `dwconv` cannot take `ones` and `{word.text}`: it is a batch norm alone"
            raise report.fail("duplicate-modifier", message, other, "leave one of them out", fixes)


def _line_end(text: str, at: int) -> int:
    """The start of the next word, on this line or after it."""
    rest = text[at:]
    return at + len(rest) - len(rest.lstrip())


def modifier(op: Node, word: str) -> Token | None:
    """A modifier of an op."""
    found = (m.token("NAME") for m in op.all("modifier"))
    return next((token for token in found if token.text == word), None)


def own_stride(body: Node) -> Token | None:
    """The first stride of its own that an op of a body has: `s2`."""
    for op in body.all(*STRIDED):
        for found in op.all("modifier"):
            token = found.token("NAME")
            if is_stride(token.text) and token.text != "s1":
                return token
    return None


def last_width(body: Node) -> Node | None:
    """What says the width that a body ends with: the `-> width` of its last convolution."""
    convs = body.all("conv")
    return (convs[-1].first("to") or convs[-1]) if convs else None
