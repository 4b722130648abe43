"""Lossless lexing: the tokens of a text join to the text; comments are attached to tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from spacedsl.syntax.compiled import compiled
from spacedsl.syntax.tree import Token
from spacedsl.text import Source, Span

MAX_TOKENS = 100_000
"""More are not read: the page is refused."""

BLANK = ("SPACE", "NEWLINE", "COMMENT")


@dataclass(frozen=True, slots=True)
class _Scanner:
    """One expression for all terminals, and the words that are terminals of their own."""

    pattern: re.Pattern[str]
    words: dict[str, str]


@cache
def _scanner() -> _Scanner:
    """A word is a NAME until it is looked up, as in Lark; one with hyphens too."""
    terminals = compiled()["terminals"]
    words = {text: name for name, text, fixed in terminals if fixed and text[0].isalpha()}
    parts = (
        f"(?P<{name}>{re.escape(text) if fixed else text})"
        for name, text, fixed in terminals
        if text not in words
    )
    return _Scanner(re.compile("|".join(parts)), words)


def scan(text: str) -> Iterator[tuple[str, int, int]]:
    """Terminal, start and end of every token, blank space and comments included."""
    scanner = _scanner()
    words = scanner.words
    for found in scanner.pattern.finditer(text):
        kind = found.lastgroup or "UNKNOWN"
        start, end = found.span()
        if kind == "NAME":
            kind = words.get(text[start:end], kind)
        yield kind, start, end


def lex(text: str) -> list[Token]:
    """Every token, blank space and comments included: joined they are the text. Characters that no
    token starts with become UNKNOWN tokens. Never raises."""
    return [Token(kind, text[start:end], Span(start, end)) for kind, start, end in scan(text)]


def is_name(word: str) -> bool:
    """Whether `word` can name an item: a NAME, no word of the language."""
    return [token.type for token in lex(word)] == ["NAME"]


def significant(source: Source) -> list[Token]:
    """The tokens the parser reads, with comments and blank lines attached; last an `$END`.
    Ends early, after more than `MAX_TOKENS`."""
    text = source.text
    tokens: list[Token] = []
    leading: list[str] = []
    trailing: list[str] = []
    newlines = 0

    def close(found: list[str]) -> None:
        if tokens and found:
            last = tokens[-1]
            tokens[-1] = Token(last.type, last.text, last.span, last.leading, tuple(found))

    for kind, start, end in scan(text):
        if kind == "SPACE":
            continue
        if kind == "NEWLINE":
            newlines += 1
            if newlines == 2:
                leading.append("")
        elif kind == "COMMENT":
            same_line = newlines == 0 and tokens
            (trailing if same_line else leading).append(text[start:end].rstrip())
            if not same_line:
                newlines = 0
        else:
            if trailing:
                close(trailing)
            tokens.append(Token(kind, text[start:end], Span(start, end), tuple(leading)))
            leading, trailing, newlines = [], [], 0
            if len(tokens) > MAX_TOKENS:
                break
    close(trailing)
    tokens.append(Token("$END", "", Span(len(text), len(text)), tuple(leading)))
    return tokens
