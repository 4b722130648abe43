"""Lossless lexing: the tokens of a text join to the text; comments are attached to tokens."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from lark import Lark
from lark import Token as LarkToken

from spacedsl.syntax.tree import Token
from spacedsl.text import Source, Span

BLANK = ("SPACE", "NEWLINE", "COMMENT")


@cache
def grammar() -> Lark:
    """The parser built from grammars/space.lark."""
    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


def grammar_text() -> str:
    """The grammar file: inside the installed package, or beside the package in a checkout."""
    installed = resources.files("spacedsl") / "grammars" / "space.lark"
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "grammars" / "space.lark").read_text(encoding="utf-8")


def lex(text: str) -> list[LarkToken]:
    """Every token, blank space and comments included: `"".join(lex(t)) == t`. Characters that no
    token starts with become UNKNOWN tokens. Never raises."""
    return list(grammar().lex(text, dont_ignore=True))


def significant(source: Source) -> list[Token]:
    """The tokens the parser reads, with comments and blank lines attached; last an `$END`."""
    tokens: list[Token] = []
    leading: list[str] = []
    trailing: list[str] = []
    newlines = 0

    def close(found: list[str]) -> None:
        if tokens and found:
            last = tokens[-1]
            tokens[-1] = Token(last.type, last.text, last.span, last.leading, tuple(found))

    for raw in lex(source.text):
        if raw.type == "NEWLINE":
            newlines += 1
            if newlines == 2:
                leading.append("")
        elif raw.type == "COMMENT":
            same_line = newlines == 0 and tokens
            (trailing if same_line else leading).append(raw.rstrip())
            if not same_line:
                newlines = 0
        elif raw.type != "SPACE":
            close(trailing)
            span = Span(raw.start_pos or 0, raw.end_pos or 0)
            tokens.append(Token(raw.type, str(raw), span, tuple(leading)))
            leading, trailing, newlines = [], [], 0
    close(trailing)
    end = len(source.text)
    tokens.append(Token("$END", "", Span(end, end), tuple(leading)))
    return tokens
