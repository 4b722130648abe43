"""The syntax tree: nodes named by the grammar's rules, tokens with their place and comments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from spacedsl.text import Span


class Token(NamedTuple):
    """`type` is the grammar's terminal. `leading`: comments on lines of their own before the
    token ("" stands for a blank line); `trailing`: comments after it on its line."""

    type: str
    text: str
    span: Span
    leading: tuple[str, ...] = ()
    trailing: tuple[str, ...] = ()


class Node(NamedTuple):
    """`rule` is the grammar's rule. Every token of the text is in the tree."""

    rule: str
    children: tuple[Node | Token, ...]
    span: Span

    def all(self, *rules: str) -> tuple[Node, ...]:
        """Child nodes of these rules, in order (of any rule where none is given)."""
        nodes = (c for c in self.children if isinstance(c, Node))
        return tuple(n for n in nodes if not rules or n.rule in rules)

    def first(self, *rules: str) -> Node | None:
        """The first child node of these rules."""
        return next(iter(self.all(*rules)), None)

    def get(self, *rules: str) -> Node:
        """The first child node of these rules, which the grammar guarantees."""
        return self.all(*rules)[0]

    def tokens(self, *types: str) -> tuple[Token, ...]:
        """Child tokens of these types, in order (of any type where none is given)."""
        tokens = (c for c in self.children if isinstance(c, Token))
        return tuple(t for t in tokens if not types or t.type in types)

    def token(self, *types: str) -> Token:
        """The first child token of these types, which the grammar guarantees."""
        return self.tokens(*types)[0]


def leaves(tree: Node | Token) -> Iterator[Token]:
    """Every token below `tree`, in order of the text."""
    if isinstance(tree, Token):
        yield tree
        return
    for child in tree.children:
        yield from leaves(child)
