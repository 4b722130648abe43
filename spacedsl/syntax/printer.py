"""The only printer: tree to canonical text. It has no options and knows no meaning.

Every statement has a line of its own. A body stands on its statement's line where it fits and
holds no comment; pages' items and block definitions always open up. Comments keep their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from spacedsl.diagnostics import fault
from spacedsl.operators.operators import IN_BODIES
from spacedsl.syntax.parser import parse
from spacedsl.syntax.tree import Node, Token, leaves
from spacedsl.text import Source

MAX_COLUMNS = 100
INDENT = "  "
ITEMS = ("block", "space", "model", "target")
OPEN_BODIES = (*ITEMS, "blocks")
BRANCH = "branch"
"""A body of several that stand behind each other: `{ ... } { ... }`."""
STATEMENTS = frozenset(
    (
        "language",
        "use",
        "block",
        "let",
        *IN_BODIES,
        BRANCH,
        "space",
        "input",
        "quality",
        "limit",
        "taps",
        "blocks",
        "stage",
        "choice",
        "arg",
        "width",
        "window",
        "depth",
        "stride",
        "shared",
        "model",
        "model_stage",
        "type",
        "model_block",
        "target",
        "device",
        "runtime",
        "threads",
        "types",
        "rules",
        "latency",
        "limits",
        "anchor",
        "reference",
    )
)
TIGHT_BEFORE = frozenset({",", ")", ".."})
TIGHT_AFTER = frozenset({"(", ".."})


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement taken apart: words before the body, statements in it, words after it."""

    rule: str
    head: tuple[Token, ...]
    body: tuple[_Statement, ...] | None
    tail: tuple[Token, ...]
    flat: str


def format_text(source: Source) -> str:
    """Canonical text of a page; comments kept. Raises `SpaceError` on a syntax error, or where
    the result would not say the same (then nothing should be written)."""
    tree = parse(source)
    text = print_tree(tree)
    again = parse(Source(source.name, text))
    if _content(again) != _content(tree) or print_tree(again) != text:
        message = f"formatting {source.name} would change what it says"
        raise fault("format-unsafe", message, help="please report this page; it is left as it was")
    return text


def _content(tree: Node) -> tuple[list[str], list[str]]:
    tokens = list(leaves(tree))
    comments = [c for t in tokens for c in (*t.leading, *t.trailing) if c]
    return [t.text for t in tokens], comments


def print_tree(tree: Node) -> str:
    """Canonical text of a parsed page."""
    end = tree.children[-1]
    lines: list[str] = []
    previous: Node | None = None
    for node in tree.all():
        statement = _take_apart(node)
        if previous is not None:
            apart = _is_item(previous) or _is_item(node) or _blank_before(statement)
            lines += [""] if apart else []
        _print(statement, 0, lines)
        previous = node
    if isinstance(end, Token):
        comments = _comments(end.leading)
        if comments and lines and end.leading[0] == "":
            lines.append("")
        lines += comments
    return "\n".join(lines) + "\n" if lines else ""


def _is_item(node: Node) -> bool:
    return node.rule in ITEMS


def _take_apart(node: Node) -> _Statement:
    head: list[Token] = []
    body: list[_Statement] | None = None
    tail: list[Token] = []
    for child in node.children:
        if isinstance(child, Token) and child.text == "{" and body is None:
            body = []
            head.append(child)
        elif isinstance(child, Token) and child.text == "}":
            tail.append(child)
        elif isinstance(child, Node) and child.rule in STATEMENTS:
            body = [] if body is None else body
            body.append(_take_apart(child))
        else:
            target = tail if tail or (body and body[-1].rule == BRANCH) else head
            target += _words(child)
    statements = None if body is None else tuple(body)
    flat = _flat(head, statements, tail)
    return _Statement(node.rule, tuple(head), statements, tuple(tail), flat)


def _words(tree: Node | Token) -> list[Token]:
    """Tokens as words: a setting such as `mid=24` is one."""
    tokens = list(leaves(tree))
    if isinstance(tree, Node) and tree.rule == "setting" and len(tokens) > 1:
        text, last = "".join(t.text for t in tokens), tokens[-1]
        inner = [(*t.trailing, *_comments(u.leading)) for t, u in pairwise(tokens)]
        leading = (*tokens[0].leading, *(c for comments in inner for c in comments))
        return [Token("SETTING", text, tree.span, leading, last.trailing)]
    if isinstance(tree, Node):
        return [word for child in tree.children for word in _words(child)]
    return tokens


def _join(tokens: list[Token] | tuple[Token, ...]) -> str:
    text = ""
    last = ""
    for token in tokens:
        call = token.text == "(" and (last == "round8" or _is_block_name(tokens, token))
        tight = token.text in TIGHT_BEFORE or last in TIGHT_AFTER or call
        text += token.text if not text or tight else f" {token.text}"
        last = token.text
    return text


def _is_block_name(tokens: list[Token] | tuple[Token, ...], token: Token) -> bool:
    return len(tokens) > 2 and tokens[0].text == "block" and token is tokens[2]


def _flat(head: list[Token], body: tuple[_Statement, ...] | None, tail: list[Token]) -> str:
    parts = [_join(head)]
    if body:
        parts.append(_between(body).join(s.flat for s in body))
    if tail:
        parts.append(_join(tail))
    return " ".join(p for p in parts if p)


def _between(body: tuple[_Statement, ...]) -> str:
    """What stands between statements on one line."""
    return " " if body[0].rule == BRANCH else "  "


def _inner_comments(tokens: tuple[Token, ...]) -> list[str]:
    """Comments between these tokens, in order."""
    inner: list[str] = []
    for token, following in pairwise(tokens):
        inner += (*token.trailing, *_comments(following.leading))
    return inner


def _tokens(statement: _Statement) -> Iterator[Token]:
    yield from statement.head
    for inner in statement.body or ():
        yield from _tokens(inner)
    yield from statement.tail


def _blank_before(statement: _Statement) -> bool:
    first = _first(statement)
    return bool(first.leading) and first.leading[0] == ""


def _first(statement: _Statement) -> Token:
    return statement.head[0] if statement.head else _first((statement.body or ())[0])


def _comments(leading: tuple[str, ...]) -> list[str]:
    return [c for c in leading if c]


def _with_blanks(leading: tuple[str, ...]) -> list[str]:
    """Comments with the blank lines between them and after them; none before the first."""
    lines = list(leading)
    while lines and lines[0] == "":
        lines.pop(0)
    return lines


def _print(statement: _Statement, depth: int, lines: list[str]) -> None:
    pad = INDENT * depth
    if not statement.head:  # a body without a word before it: cannot be, but loses nothing
        for inner in statement.body or ():
            _print(inner, depth, lines)
        return
    first = statement.head[0]
    lines += [f"{pad}{c}".rstrip() for c in _with_blanks(first.leading)]
    if _stays_flat(statement, len(pad)):
        lines += [f"{pad}{c}" for c in _inner_comments(_opening(statement))]
        last = statement.tail[-1] if statement.tail else _last(statement)
        lines.append("  ".join([f"{pad}{statement.flat}", *last.trailing]))
        return
    _print_open(statement, pad, depth, lines)


def _last(statement: _Statement) -> Token:
    if statement.body and not statement.tail:
        return _last(statement.body[-1])
    return (*statement.head, *statement.tail)[-1]


def _opening(statement: _Statement) -> tuple[Token, ...]:
    """The words of a statement up to the brace that opens its body: of several, the first that is
    not empty."""
    words = [*statement.head]
    for branch in statement.body or ():
        if branch.rule != BRANCH:
            break
        brace, end = branch.head[0], branch.tail[0]
        words.append(brace)
        if branch.body or brace.trailing or _comments(end.leading):
            break
        words.append(end)
    return tuple(words)


def _stays_flat(statement: _Statement, indent: int) -> bool:
    if statement.body is None:
        return True
    if statement.body and statement.rule in OPEN_BODIES:
        return False
    opening = _opening(statement)
    rest = tuple(_tokens(statement))[len(opening) - 1 :]
    comments = _inner_comments(rest)
    return not comments and indent + len(statement.flat) <= MAX_COLUMNS


def _print_open(statement: _Statement, pad: str, depth: int, lines: list[str]) -> None:
    head, tail = statement.head, statement.tail
    if statement.body and statement.body[0].rule == BRANCH:
        _print_branches(statement, pad, depth, lines)
        return
    lines += [f"{pad}{c}" for c in _inner_comments(head)]
    lines.append("  ".join([f"{pad}{_join(head)}", *head[-1].trailing]))
    for i, inner in enumerate(statement.body or ()):
        if i > 0 and _blank_before(inner):
            lines.append("")
        _print(inner, depth + 1, lines)
    if not tail:
        return
    closing = [*_comments(tail[0].leading), *_inner_comments(tail)]
    lines += [f"{pad}{INDENT}{c}" for c in closing]
    lines.append("  ".join([f"{pad}{_join(tail)}", *tail[-1].trailing]))


def _print_branches(statement: _Statement, pad: str, depth: int, lines: list[str]) -> None:
    """`op {`, what is in it, `} {`, and so on: a body that is empty stays on its line."""
    words, above = [*statement.head], pad
    for branch in statement.body or ():
        (brace, *_), (end, *_) = branch.head, branch.tail
        words.append(brace)
        if branch.body or brace.trailing or _comments(end.leading):
            _print_line(words, pad, above, lines)
            above = f"{pad}{INDENT}"
            for i, inner in enumerate(branch.body or ()):
                if i > 0 and _blank_before(inner):
                    lines.append("")
                _print(inner, depth + 1, lines)
            lines += [f"{pad}{INDENT}{c}" for c in _comments(end.leading)]
            words = []
        words.append(end)
    words += statement.tail
    _print_line(words, pad, above, lines)


def _print_line(words: list[Token], pad: str, above: str, lines: list[str]) -> None:
    """Words on one line. What was said of all but the last stands above it, indented by `above`."""
    lines += [f"{above}{c}" for c in _inner_comments(tuple(words))]
    lines.append("  ".join([f"{pad}{_join(words)}", *words[-1].trailing]))
