"""Brackets that do not match, judged by the lines' indentation."""

from __future__ import annotations

from dataclasses import dataclass

from spacedsl.diagnostics import Diagnostic, Fix, Label, order, place
from spacedsl.syntax.recovery import Recovered, Recovery
from spacedsl.syntax.tree import Node, Token
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


def recovered(source: Source, tokens: list[Token]) -> Recovered:
    """The reading with the fewest errors: of the tokens as they are, or of those with the brackets
    matched by indentation."""
    found = Recovery(source, tokens).run()
    mended = repair(source, tokens)
    changes = len(mended.unclosed) + len(mended.extra)
    if 0 < changes < 4:
        other = Recovery(source, mended.tokens).run()
        if changes + len(other.errors) <= len(found.errors):
            return _with_brackets(source, mended, other)
    return found


def _with_brackets(source: Source, mended: Repair, found: Recovered) -> Recovered:
    errors = [*found.errors]
    for opened, before in mended.unclosed:
        where = place(source, Span(before.span.start, before.span.start))
        label = Label(place(source, before.span), "it should be closed before this")
        labels = () if before.type == "$END" else (label,)
        fix = Fix("close it with `}`", where, "}\n")
        message = "this `{` is never closed"
        errors.append(
            Diagnostic("unclosed", message, place(source, opened.span), labels=labels, fixes=(fix,))
        )
    for extra in mended.extra:
        where = place(source, extra.span)
        fix = Fix("remove it", where, "")
        errors.append(Diagnostic("unopened", "this `}` closes nothing", where, fixes=(fix,)))
    wrong = [*(o for o, _ in mended.unclosed), *mended.extra]
    broken = [*found.broken, *(_statement(found.tree, token) for token in wrong)]
    return Recovered(found.tree, tuple(sorted(errors, key=order)), tuple(broken))


def _statement(tree: Node, token: Token) -> tuple[Token, ...]:
    """The first words of the statement that `token` stands in or after."""
    before = [n for n in tree.all() if n.span.start <= token.span.start]
    return before[-1].tokens()[:3] if before else ()


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
