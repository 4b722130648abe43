"""Brackets that do not match, judged by the lines' indentation."""

from __future__ import annotations

from dataclasses import dataclass

from spacedsl.syntax.tree import Token
from spacedsl.text import Source, Span


@dataclass(frozen=True, slots=True)
class Repair:
    """Tokens whose brackets match, and what was done: the brackets that were not closed, each with
    the token it should be closed before, and the closing brackets left out."""

    tokens: tuple[Token, ...]
    unclosed: tuple[tuple[Token, Token], ...]
    extra: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class _Open:
    token: Token
    line: int
    indent: int


def repair(source: Source, tokens: list[Token]) -> Repair:
    """Close what the next line's indentation says is closed; drop a `}` that closes a body in the
    middle of a line further down."""
    result: list[Token] = []
    unclosed: list[tuple[Token, Token]] = []
    extra: list[Token] = []
    opened: list[_Open] = []
    line = indent = 0
    for token in tokens:
        number, column = source.position(token.span.start)
        first = number != line
        line, indent = number, column if first else indent
        while first and opened and _is_closed(token, opened, column):
            unclosed.append((opened.pop().token, token))
            result.append(Token("RBRACE", "}", Span(token.span.start, token.span.start)))
        if token.type == "LBRACE":
            opened.append(_Open(token, number, indent))
        elif token.type == "RBRACE":
            if not opened or (not first and opened[-1].line != number):
                extra.append(token)
                continue
            opened.pop()
        result.append(token)
    return Repair(tuple(result), tuple(unclosed), tuple(extra))


def _is_closed(token: Token, opened: list[_Open], column: int) -> bool:
    """Whether the innermost open body must have ended before this token, first on its line."""
    if token.type == "RBRACE":
        return len(opened) > 1 and column < opened[-1].indent and column <= opened[-2].indent
    return column <= opened[-1].indent
