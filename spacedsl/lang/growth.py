"""`width cin`, `width cin + 32`: the width of a block by the one that comes into it; `width cin +
growth`: by a setting of the block, too."""

from __future__ import annotations

from spacedsl.ir.expr import Binary, EvaluationError, Expr, expr_text, names_in
from spacedsl.ir.settings import always_mentioned
from spacedsl.ir.space import Arg, BlockChoice, Stage
from spacedsl.lang.expressions import lower_expr
from spacedsl.lang.models import MAX_WIDTH
from spacedsl.lang.report import Report
from spacedsl.operators.size import Pair
from spacedsl.passes.errors import BindError, unsized
from spacedsl.syntax.tree import Node, Token, leaves

CIN = "cin"


def growth_said(width: Node) -> Node | None:
    """Where a stage's `width` is said by `cin`; None where widths are listed."""
    values = width.first("values")
    if values is not None and [leaf.text for leaf in leaves(values)] == [CIN]:
        return values
    return width.first("growth")


def lower_growth(
    width: Node, elastic: bool, known: bool, choice: BlockChoice, report: Report
) -> Expr | None:
    """What a stage's `width` says of `cin` and of the settings of its block, None where it lists
    widths; `known`: has a stage before it a width? Raises `Abandon`."""
    node = growth_said(width)
    if node is None:
        return None
    first, *rest = node.children
    names = [CIN, *(arg.name for arg in choice.chosen if _are_numbers(arg))]
    found: Expr = lower_expr(first, names, report)
    if rest:
        sign, other = rest
        left, right = found, lower_expr(other, names, report)
        found = Binary(op=sign.text, left=left, right=right)  # type: ignore[union-attr]
    text = expr_text(found)
    if CIN not in names_in(found):
        help = f"write a number where the width is always the same, `{CIN} + 32` where it grows"
        raise report.fail("bad-value", f"`{text}` does not depend on `{CIN}`", node, help)
    if elastic:
        message = f"`width {text}` leaves no width to choose, and an elastic stage has a window"
        help = (
            "list its widths, as `width 32, 48`, or leave `elastic` out: depth and settings stay "
            "free"
        )
        raise report.fail("no-widths", message, node, help)
    if not known:
        message = f"`{CIN}` is the image's channels here, which the data decide"
        help = "give this stage, or one before it, a width of its own"
        raise report.fail("bad-value", message, node, help)
    for name in names_in(found):
        if name != CIN and name not in always_mentioned(choice):
            message = f"the width follows from `{name}`, which not every block of the stage has"
            help = f"say `{name}` in an op of `{choice.block.name}` that no `optional` leaves out"
            raise report.fail("bad-value", message, node, help)
    return found


def require_names(growth: Expr, choice: BlockChoice, at: Token, report: Report) -> None:
    """Raises `Abandon` where a block has not what the inherited width of its stage follows from."""
    text, names = expr_text(growth), {CIN, *(arg.name for arg in choice.chosen)}
    for name in names_in(growth):
        if name not in names:
            block = f"`{choice.block.name}`" if choice.block.name else "its body"
            message = f"the width of `{at.text}` is `{text}`, and {block} has no `{name}`"
            raise report.fail("bad-value", message, at, "say its width here too")


def _are_numbers(arg: Arg) -> bool:
    return not any(isinstance(value, str | Pair) for value in arg.values)


def widths_behind(stage: Stage, before: tuple[int, ...]) -> tuple[int, ...]:
    """The widths that may come out of a stage. Raises `BindError` where a block of it would have
    none, or one that is too great."""
    try:
        found = stage.outs(before)
        most = max(*stage.within(before), *found, 0)
    except EvaluationError as error:
        raise unsized(error) from None
    if stage.growth is not None and most > MAX_WIDTH:
        said = expr_text(stage.growth)
        raise BindError(f"`width {said}` leads to {most:,} channels, more than {MAX_WIDTH:,}")
    return found
