"""Bodies that do not fit their stage: what is said, where in the text, and what mends it."""

from __future__ import annotations

from spacedsl.ir.space import Stage
from spacedsl.lang.bodytext import last_width, modifier, own_stride
from spacedsl.lang.joins import unjoined
from spacedsl.lang.report import Mend, Report
from spacedsl.lang.scope import Scope
from spacedsl.operators.operators import IN_BODIES, STRIDED
from spacedsl.passes.bind import (
    BindError,
    BranchError,
    GroupsError,
    ShortcutError,
    WidthError,
)
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span


class NotStrided(BindError):
    """No op of a body takes the stride of its stage."""


class Shrinking(BindError):
    """A body changes the size wherever it stands in its stage."""


def report_misfit(
    error: BindError, stage: Stage, owner: Node, report: Report, scope: Scope
) -> None:
    """Note why a stage of the space `owner` does not bind: in the body where it is in this page,
    else at the stage."""
    node = next(n for n in owner.all("stage") if n.token("NAME").text == stage.name)
    name = node.token("NAME")
    message = f"stage `{stage.name}`: {error}"
    body = _body(stage, node, scope)
    found = _in_body(error, body, node) if body is not None else None
    if found is None:
        report.error("bad-body", message, _at_stage(error, node))
        return
    at, help, fixes = found
    labels = [("it stands in this stage", name)] if body is not node else []
    report.error("bad-body", message, at, help, fixes, labels)


def _body(stage: Stage, node: Node, scope: Scope) -> Node | None:
    """The text of the only body of a stage, where it is in this page."""
    if node.all(*IN_BODIES):
        return node
    names = {choice.block.name for choice in stage.choices}
    item = scope.items.get(next(iter(names))) if len(names) == 1 else None
    return item if item is not None and item.rule == "block" else None


def _at_stage(error: BindError, node: Node) -> Node | Token:
    if isinstance(error, NotStrided):
        return node.first("stride") or node.token("NAME")
    return node.token("NAME")


def _in_body(
    error: BindError, body: Node, node: Node
) -> tuple[Node | Token, str | None, list[Mend]] | None:
    """Where in a body an error stands, what to do, and the fixes."""
    sized = body.all(*STRIDED)
    if isinstance(error, NotStrided) and sized:
        op = sized[0]
        help = "write `strided` on the op that takes the stage's stride"
        return op, help, [("write `strided`", _end(op), " strided")]
    if isinstance(error, Shrinking) or (isinstance(error, ShortcutError) and not error.width):
        token = own_stride(body)
        if token is not None:
            help = "write `strided`: the stage's stride, in the first block of a stage only"
            return token, help, [("write `strided`", token.span, "strided")]
    if isinstance(error, WidthError) or (isinstance(error, ShortcutError) and error.width):
        last = last_width(body)
        if last is not None and (last.rule == "to" or isinstance(error, WidthError)):
            help = "end the body with a `conv` without `->`, which goes to the stage's width"
            arrow = last.rule == "to"
            return last, help, [("leave it out", last.span, "")] if arrow else []
    if isinstance(error, ShortcutError):
        return _shortcut(body)
    if isinstance(error, BranchError):
        return unjoined(body)
    grouped = [found for op in body.all("conv") for found in op.all("groups")]
    if isinstance(error, GroupsError) and grouped:
        help = "choose widths that the groups divide, or say them by the width: `groups cin / 8`"
        return grouped[0], help, []
    return None


def _shortcut(body: Node) -> tuple[Node | Token, str | None, list[Mend]] | None:
    shortcut = body.first("shortcut")
    if shortcut is None:
        return None
    own = shortcut.all(*STRIDED)
    if own and not any(modifier(op, "strided") for op in own):
        help = "write `strided` on an op of the shortcut too, or `shortcut projected`"
        return own[0], help, [("write `strided`", _end(own[0]), " strided")]
    return shortcut, "its ops must end at the width and size of the main path", []


def _end(op: Node) -> Span:
    return Span(op.span.end, op.span.end)
