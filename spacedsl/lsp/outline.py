"""The outline of a page, and what of it can be folded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spacedsl.lang.page import Page
from spacedsl.syntax.tree import Node
from spacedsl.text import Span

PARTS = {
    "block": "let",
    "space": "stage",
    "model": "model_stage",
}
"""What of an item is listed below it."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """`kind`: the word that defines it, `stage` or `let`."""

    kind: str
    name: str
    detail: str
    span: Span
    name_span: Span
    children: tuple[Symbol, ...] = ()


def outline(page: Page) -> tuple[Symbol, ...]:
    """The items of a page, with their stages and lets."""
    return tuple(_symbol(node, node.tokens()[0].text) for node in _named(page.tree, *ITEMS))


ITEMS = ("block", "space", "model", "target")


def _symbol(node: Node, kind: str) -> Symbol:
    part = PARTS.get(node.rule)
    inner = _named(node, part) if part else ()
    children = tuple(_symbol(n, "let" if n.rule == "let" else "stage") for n in inner)
    of = node.first("of")
    detail = f"of {of.tokens('NAME')[0].text}" if of and of.tokens("NAME") else ""
    name = node.token("NAME")
    return Symbol(kind, name.text, detail, node.span, name.span, children)


def _named(node: Node, *rules: str) -> tuple[Node, ...]:
    return tuple(n for n in node.all(*rules) if n.tokens("NAME"))


def folds(page: Page) -> Iterator[Span]:
    """From `{` to `}` of every body that has lines of its own."""
    todo = list(page.tree.all())
    while todo:
        node = todo.pop()
        todo += node.all()
        braces = node.tokens("LBRACE", "RBRACE")
        if len(braces) > 1 and "\n" in page.source.text[braces[0].span.end : braces[-1].span.start]:
            yield braces[0].span.to(braces[-1].span)
