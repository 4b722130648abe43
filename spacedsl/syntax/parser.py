"""Text to tree. A syntax error becomes one diagnostic at the token that does not fit."""

from __future__ import annotations

from functools import cache
from typing import Any

from lark import Token as LarkToken
from lark import Tree
from lark.exceptions import UnexpectedToken
from lark.lexer import TerminalDef
from lark.parsers.lalr_interactive_parser import InteractiveParser

from spacedsl.diagnostics import Diagnostic, SpaceError, place, suggest
from spacedsl.syntax.lexer import grammar, significant
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source, Span

MAX_CHARACTERS = 1 << 18
MAX_DEPTH = 32
OPERATORS = ("+", "-", "*", "/")
ENDS = ("{", "}", "=", "->")
"""What an arithmetic expression cannot reach across."""


def parse(source: Source) -> Node:
    """The tree of a page, comments attached to its tokens. Raises `SpaceError` with the first
    syntax error."""
    _check_size(source)
    tokens = significant(source)
    _check_depth(source, tokens)
    parser = grammar().parse_interactive("")
    for index, token in enumerate(tokens[:-1]):
        try:
            parser.feed_token(LarkToken(token.type, token))
        except UnexpectedToken:
            raise SpaceError(_unexpected(source, tokens, index)) from None
    try:
        tree: Tree[Any] = parser.feed_eof()  # type: ignore[no-untyped-call]
    except UnexpectedToken:
        raise SpaceError(_unexpected(source, tokens, len(tokens) - 1)) from None
    return _node(tree, tokens[-1])


def _node(tree: Tree[Any], end: Token) -> Node:
    root = _convert(tree)
    return Node(root.rule, (*root.children, end), root.span)


def _convert(tree: Tree[Any]) -> Node:
    children: list[Node | Token] = [
        _convert(child) if isinstance(child, Tree) else child.value for child in tree.children
    ]
    if not children:
        return Node(str(tree.data), (), Span(0, 0))
    return Node(str(tree.data), tuple(children), children[0].span.to(children[-1].span))


def _check_size(source: Source) -> None:
    if len(source.text) > MAX_CHARACTERS:
        message = f"the page has {len(source.text):,} characters, more than {MAX_CHARACTERS:,}"
        raise SpaceError(Diagnostic("too-large", message, place(source, Span(0, 0))))


def _check_depth(source: Source, tokens: list[Token]) -> None:
    depth = operators = 0
    for token in tokens:
        depth += (token.text in ("{", "(")) - (token.text in ("}", ")"))
        ends = token.text in ENDS or token.type in keywords().keys() - {"ROUND8"}
        operators = 0 if ends else operators
        operators += token.text in OPERATORS
        if depth > MAX_DEPTH or operators > MAX_DEPTH:
            message = f"nested or chained more than {MAX_DEPTH} deep"
            raise SpaceError(Diagnostic("too-deep", message, place(source, token.span)))


@cache
def keywords() -> dict[str, str]:
    """Terminal name -> word, for the words the grammar reserves."""
    found = {t.name: t.pattern.value for t in grammar().terminals if _is_word(t)}
    return dict(sorted(found.items()))


def _is_word(terminal: TerminalDef) -> bool:
    return terminal.pattern.type == "str" and terminal.pattern.value.isidentifier()


READABLE = {
    "NAME": "a name",
    "INT": "a number",
    "FLOAT": "a number",
    "STRING": "a text in quotes",
    "KERNEL": "a kernel such as 3x3",
    "QUANTITY": "a quantity such as 15ms",
    "SETTING": "a setting such as e0.5",
    "$END": "the end of the page",
}


def _readable(terminal: str) -> str:
    if terminal in READABLE:
        return READABLE[terminal]
    patterns = {t.name: t.pattern.value for t in grammar().terminals}
    return f"`{patterns[terminal]}`"


def _accepted(tokens: list[Token], count: int) -> set[str]:
    """Terminals that may follow the first `count` tokens."""
    parser: InteractiveParser = grammar().parse_interactive("")
    for token in tokens[:count]:
        parser.feed_token(LarkToken(token.type, token))
    return set(parser.accepts())  # type: ignore[no-untyped-call]


def _unexpected(source: Source, tokens: list[Token], index: int) -> Diagnostic:
    token = tokens[index]
    misspelt = _misspelt(tokens, index)
    if misspelt is not None:
        at, word = misspelt
        return Diagnostic(
            "unknown-key",
            f"unknown key `{tokens[at].text}`",
            place(source, tokens[at].span),
            help=f"did you mean `{word}`?",
        )
    accepted = _accepted(tokens, index)
    if token.type in keywords() and "NAME" in accepted and token.type not in accepted:
        return Diagnostic(
            "reserved-word",
            f"`{token.text}` is a word of the language and cannot be a name",
            place(source, token.span),
            help="choose another name",
        )
    if _is_unknown_key(tokens, index):
        return Diagnostic(
            "unknown-key",
            f"unknown key `{tokens[index - 1].text}`",
            place(source, tokens[index - 1].span),
            help=f"expected {_expected(_accepted(tokens, index - 1))}",
        )
    if token.type == "$END":
        message = "the page ends too early"
    elif token.type == "UNKNOWN":
        message = f"unexpected character {token.text!r}"
    else:
        message = f"unexpected `{token.text}`"
    help = f"expected {_expected(accepted)}"
    return Diagnostic("syntax", message, place(source, token.span), help=help)


def _expected(accepted: set[str]) -> str:
    found = sorted({_readable(t) for t in accepted})
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} or {found[-1]}"


def _misspelt(tokens: list[Token], index: int) -> tuple[int, str] | None:
    """A name at or just before the error that is close to a word accepted in its place."""
    for at in (index, index - 1):
        if at >= 0 and tokens[at].type == "NAME":
            words = [keywords()[t] for t in _accepted(tokens, at) if t in keywords()]
            word = suggest(tokens[at].text, words)
            if word is not None:
                return at, word
    return None


def _is_unknown_key(tokens: list[Token], index: int) -> bool:
    """A name followed by a value, where keys are read."""
    value = tokens[index].type in ("INT", "FLOAT", "STRING", "KERNEL")
    if index == 0 or not value or tokens[index - 1].type != "NAME":
        return False
    return bool(_accepted(tokens, index - 1) & {"WIDTH", "INPUT"})
