"""Text to tree. Every text has one; what is wrong with it comes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacedsl.diagnostics import Diagnostic, SpaceError, place
from spacedsl.syntax.foreign import line_ends, merge_conflict, no_page
from spacedsl.syntax.lexer import MAX_TOKENS, significant
from spacedsl.syntax.machine import Machine
from spacedsl.syntax.tree import Node, Token
from spacedsl.syntax.words import keywords
from spacedsl.text import Source, Span

MAX_CHARACTERS = 1 << 18
MAX_DEPTH = 32
OPERATORS = ("+", "-", "*", "/")
ENDS = ("{", "}", "=", "->")
"""What an arithmetic expression cannot reach across."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A page's tree and its syntax errors. `broken`: per statement of the page that holds an
    error its first words (its keyword and its name, where it has them)."""

    tree: Node
    errors: tuple[Diagnostic, ...] = ()
    broken: tuple[tuple[Token, ...], ...] = ()


def parse(source: Source) -> Node:
    """The tree of a page, comments attached to its tokens. Raises `SpaceError` with every syntax
    error."""
    parsed = parse_any(source)
    if parsed.errors:
        raise SpaceError(parsed.errors)
    return parsed.tree


def parse_any(source: Source) -> Parsed:
    """The tree of any text, with its syntax errors. Never raises."""
    if len(source.text) > MAX_CHARACTERS:
        message = f"the page has {len(source.text):,} characters, more than {MAX_CHARACTERS:,}"
        return _refused(Diagnostic("too-large", message, place(source, Span(0, 0))))
    tokens = significant(source)
    if len(tokens) > MAX_TOKENS:
        message = f"the page has more than {MAX_TOKENS:,} words and signs"
        return _refused(Diagnostic("too-large", message, place(source, Span(0, 0))))
    deep = _too_deep(source, tokens)
    if deep is not None:
        return _refused(deep)
    one_line = line_ends(source)
    if one_line is not None:
        return _refused(one_line)
    tree = _straight(tokens)
    if tree is not None:
        return Parsed(tree)
    return _with_mistakes(source, tokens)


def _refused(error: Diagnostic) -> Parsed:
    """A page that is not read: an empty tree that lacks what the page may say."""
    end = Token("$END", "", Span(0, 0))
    return Parsed(Node("start", (end,), Span(0, 0)), (error,), ((),))


def _straight(tokens: list[Token]) -> Node | None:
    """The tree of a page without errors."""
    machine = Machine()
    for token in tokens:
        if not machine.take(token):
            return None
    root = machine.values[0]
    if not isinstance(root, Node):
        raise TypeError("the tables of the grammar changed")
    return Node(root.rule, (*root.children, tokens[-1]), root.span)


def _with_mistakes(source: Source, tokens: list[Token]) -> Parsed:
    """As `parse_any`, of a page with a syntax error. Most pages have none, so what only errors need
    is imported here: it costs a tenth of the start."""
    from spacedsl.syntax.brackets import recovered
    from spacedsl.syntax.pasted import pasted

    error = merge_conflict(source) or pasted(source) or no_page(source, tokens)
    if error is not None:
        return _refused(error)
    found = recovered(source, tokens)
    return Parsed(found.tree, found.errors, found.broken)


def _too_deep(source: Source, tokens: Sequence[Token]) -> Diagnostic | None:
    depth = operators = 0
    words = keywords().keys() - {"ROUND8"}
    for token in tokens:
        depth += (token.text in ("{", "(")) - (token.text in ("}", ")"))
        ends = token.text in ENDS or token.type in words
        operators = 0 if ends else operators
        operators += token.text in OPERATORS
        if depth > MAX_DEPTH or operators > MAX_DEPTH:
            message = f"nested or chained more than {MAX_DEPTH} deep"
            return Diagnostic("too-deep", message, place(source, token.span))
    return None
