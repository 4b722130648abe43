"""`concat` and `sum`, bodies side by side: read, and where they do not meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacedsl.ir.block import Join, Op
from spacedsl.lang.bodytext import modifier
from spacedsl.lang.report import Mend, Report
from spacedsl.operators.operators import STRIDED
from spacedsl.syntax.tree import Node
from spacedsl.text import Span

JOINS = ("concat", "sum")
MAX_BRANCHES = 16


def lower_join(
    node: Node, said: dict[str, Any], lower: Callable[[Node], tuple[Op, ...]], report: Report
) -> Join:
    """A `concat` or a `sum` of which `said` holds the fields but its bodies; `lower` reads the ops
    of a body. Raises `Abandon`."""
    branches = node.all("branch")
    if len(branches) < 2:
        message, help = (
            f"a `{node.rule}` of one body joins nothing",
            "add a body: `{ }` is the input",
        )
        raise report.fail(
            "bad-value", message, node, help, [("add `{ }`", _end(branches[0]), " { }")]
        )
    if len(branches) > MAX_BRANCHES:
        message = f"a `{node.rule}` of {len(branches)} bodies, more than {MAX_BRANCHES}"
        raise report.fail("too-large", message, node)
    for op in (op for branch in branches for op in branch.all("linear")):
        message, help = (
            "a classifier among bodies that are joined",
            f"write it after the `{node.rule}`",
        )
        raise report.fail("misplaced", message, op, help)
    return Join(branches=tuple(map(lower, branches)), **said)


def unjoined(body: Node) -> tuple[Node, str, list[Mend]] | None:
    """The op whose bodies do not meet, what to do, and the fixes."""
    for join in body.all(*JOINS):
        sized = [branch.all(*STRIDED) for branch in join.all("branch")]
        strided = [any(modifier(op, "strided") for op in ops) for ops in sized]
        for ops, is_strided in zip(sized, strided, strict=True):
            if any(strided) and ops and not is_strided:
                help = "write `strided` on an op of every body"
                return ops[0], help, [("write `strided`", _end(ops[0]), " strided")]
        same = "at one size" if join.rule == "concat" else "at one width and size"
        return join, f"its bodies must end {same}, and a split has equal parts", []
    return None


def _end(node: Node) -> Span:
    return Span(node.span.end, node.span.end)
