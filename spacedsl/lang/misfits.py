"""Bodies that do not fit their stage: what is said, where in the text, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.ir.expr import expr_text
from spacedsl.ir.space import Stage
from spacedsl.lang.bodytext import last_width, modifier, own_stride
from spacedsl.lang.joins import unjoined
from spacedsl.lang.report import Mend, Report
from spacedsl.lang.scope import Scope
from spacedsl.operators.operators import IN_BODIES, STRIDED
from spacedsl.passes.errors import (
    BindError,
    BranchError,
    GroupsError,
    SaidError,
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
    found: tuple[Node | Token, str | None, list[Mend]] | None = None
    if isinstance(error, SaidError):
        found = _said(error, [part for part in (body, node) if part], report)
    elif body is not None:
        found = _in_body(error, body, node)
    if found is None:
        report.error("bad-body", message, _at_stage(error, node))
        return
    at, help, fixes = found
    inside = node.span.start <= at.span.start < node.span.end
    labels = [] if inside else [("it stands in this stage", name)]
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
    return None


SAYS = {"to": 1, "se": 1, "groups": 1, "shuffle": 1, "let": 2, "width": 1}
"""What says a size, and which of its children the expression is."""

GROUPS = ("groups", "shuffle")


def _said(
    error: SaidError, bodies: list[Node], report: Report
) -> tuple[Node | Token, str | None, list[Mend]] | None:
    """Where an expression stands that does not fit, what to do, and the fixes."""
    nodes = [n for body in bodies for n in _nodes(body) if n.rule in SAYS and not n.all("values")]
    says = [(n, n.children[SAYS[n.rule]]) for n in nodes]
    text, meant = report.source.text, expr_text(error.expr)
    rules = (
        GROUPS if isinstance(error, GroupsError) else tuple(rule for rule in SAYS if rule != "let")
    )
    found = [n for n, at in says if n.rule in rules and _alike(text[slice(*at.span)], meant)]
    if not found:
        return None
    if found[0].rule in GROUPS:
        help = "choose widths that the groups divide, or say them by the width"
        return found[0], f"{help}: `{found[0].rule} cin / 8`", []
    lets = [at for n, at in says if n.rule == "let" and n.token("NAME").text == meant]
    at = next(iter(lets), found[0].children[SAYS[found[0].rule]])
    if not error.fraction:
        return at, None, []
    rounded = f"round8({text[slice(*at.span)]})"
    return at, f"write `{rounded}`", [(f"write `{rounded}`", at.span, rounded)]


def _nodes(tree: Node) -> Iterator[Node]:
    for child in tree.all():
        yield child
        yield from _nodes(child)


def _alike(one: str, other: str) -> bool:
    """Whether two texts say the same but for blanks."""
    return "".join(one.split()) == "".join(other.split())


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
