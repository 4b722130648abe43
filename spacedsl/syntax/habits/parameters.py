"""Parameters of blocks as they are given elsewhere: without braces, as options, as settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.diagnostics import suggest
from spacedsl.syntax.messages import PARAMETERS, is_op
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import keywords
from spacedsl.text import Span
from spacedsl.vocabulary import SHORT, synonyms

_VALUE = r"[0-9]+(?:\.[0-9]+)?(?:x[0-9]+)?(?:\s*\.\.\s*[0-9]+(?:\.[0-9]+)?(?:\s+step\s+[0-9.]+)?)?"
_LIST = rf"{_VALUE}(?:\s*,\s*{_VALUE})*"
ITEM = re.compile(
    rf"-{{0,2}}(?P<name>[A-Za-z_][A-Za-z_-]*)\s*[=:]?\s*"
    rf"(?:[\[(]\s*(?P<bracketed>{_LIST})\s*[\])]|(?P<plain>{_LIST}))(?![\w.])[ \t]*,?[ \t]*"
)
VALUES = ("INT", "FLOAT", "QUANTITY", "PAIR", "STRING")
BACK = 3
"""How far before the token that does not fit the parameters begin at most."""


def parameter(said: str) -> str:
    """The name of a parameter, from one of its letters or of its names elsewhere."""
    same = [word for word in synonyms(said) if word in PARAMETERS]
    return SHORT.get(said) or (same[0] if same else said)


def unbraced(stopped: Stopped) -> Iterator[Rewrite]:
    """`mbv2 -k 3,5 -e 4`, `mbv2 kernel=[3, 5], expand=[2, 4]`, `mbv2 k3,5 e4`."""
    for by in range(1 - BACK, 1):
        first, block = stopped.index + by, stopped.at(by - 1)
        if first not in stopped.runs or block.type != "NAME" or stopped.is_first(by):
            continue
        may = stopped.may_at(by)
        if "LBRACE" not in may or not may & {"WIDTH", "RBRACE"} or is_op(block.text):
            continue
        words = [word for kind, word in keywords().items() if kind in may]
        start = stopped.tokens[first].span.start
        line = stopped.source.text[start : start + 160].partition("\n")[0]
        parts: list[str] = []
        at = len(line) - len(line.lstrip(": "))
        while found := ITEM.match(line, at):
            if suggest(found["name"], words) is not None:
                break
            parts.append(f"{parameter(found['name'])} {found['bracketed'] or found['plain']}")
            at = found.end()
        end = start + len(line[:at].rstrip(" \t,"))
        after = stopped.past(first, end)
        if not parts or after <= stopped.index:
            continue
        meant = f"{{ {'  '.join(parts)} }}"
        message = f"the parameters of `{block.text}` stand in `{{` and `}}`"
        change, where = Change(first, after, meant), stopped.span(first, after)
        help, title = f"write `{block.text} {meant}`", f"write `{meant}`"
        yield Rewrite("unbraced", message, where, (change,), help, title)


def braces(stopped: Stopped) -> Iterator[Rewrite]:
    """`mbv2 kernel 3, 5  expand 4`: a block's parameters without braces."""
    index, tokens = stopped.index, stopped.tokens
    block = stopped.at(-2)
    if stopped.token.type not in VALUES or stopped.at(-1).type != block.type or "X" in stopped.may:
        return
    if is_op(block.text):
        return
    if block.type != "NAME" or "LBRACE" not in stopped.may or "LBRACE" not in stopped.may_at(-1):
        return
    keys = [word for kind, word in keywords().items() if kind in stopped.may_at(-1)]
    if suggest(stopped.at(-1).text, keys) is not None:
        return
    after = index
    listed = ("NAME", "COMMA", "STEP", *VALUES)
    while tokens[after].type in listed or tokens[after].text == "..":
        after += 1
        if "\n" in stopped.between(after - 1, after):
            break
    said = stopped.shown(index - 1, after)
    start, end = tokens[index - 1].span.start, tokens[after - 1].span.end
    message = f"the parameters of `{block.text}` stand in `{{` and `}}`"
    puts = (Put(Span(start, start), "{ "), Put(Span(end, end), " }"))
    change = Change(index - 1, after, f"{{ {said} }}")
    help = f"write `{block.text} {{ {said} }}`"
    title, at = "put them in braces", stopped.span(index - 1, after)
    yield Rewrite("unbraced", message, at, (change,), help, title, puts)


OPTION = re.compile(r"--?(?=[A-Za-z])")


def options(stopped: Stopped) -> Iterator[Rewrite]:
    """Keys that are written as options of a command line: `-k 3,5 -e 4,6`, `--kernel 3,5`."""
    start = stopped.token.span.start
    found = OPTION.match(stopped.source.text, start)
    if found is None or not stopped.source.text[start - 1 : start].isspace():
        return
    after = stopped.past(stopped.index, found.end())
    message = f"`{found[0]}` does not stand before a key"
    key = parameter(stopped.tokens[after].text)
    change, at = Change(stopped.index, after + 1, key), stopped.span(stopped.index, after)
    yield Rewrite("option", message, at, (change,), f"write `{key}`", f"write `{key}`")


def short(stopped: Stopped) -> Iterator[Rewrite]:
    """`mbv2 { k3,5 e4,6 }`: parameters as models say settings."""
    word, index = stopped.at(-1), stopped.index
    found = re.fullmatch(r"([ke])([0-9]+)", word.text)
    if found and stopped.token.text in (",", "}") and "RBRACE" not in stopped.may:
        meant = f"{SHORT[found[1]]} {found[2]}"
        change = Change(index - 1, index, meant)
        message = f"`{word.text}` is a setting of a model's block"
        yield Rewrite(
            "short", message, word.span, (change,), f"write `{meant}`", f"write `{meant}`"
        )


HABITS = (braces, unbraced, options, short)
