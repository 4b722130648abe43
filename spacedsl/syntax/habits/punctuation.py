"""Signs that other languages put where here is none: separators, brackets, quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from spacedsl.diagnostics import suggest
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.syntax.habits.characters import QUOTES
from spacedsl.syntax.messages import is_op
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import fixed, keywords, units
from spacedsl.text import Span
from spacedsl.vocabulary import leaves_out, synonyms

LISTED = ("INT", "FLOAT", "NAME", "PAIR", "QUANTITY", "STRING", "COMMA", "__ANON_2", "STEP", "X")
"""What a list of values is made of."""
OPS = ("CONV", "DWCONV", "MAXPOOL", "AVGPOOL", "SHORTCUT", "STAR", "SLASH", "LPAR")
HOLDERS = (
    "WIDTH",
    "DEPTH",
    "WINDOW",
    "STRIDE",
    "INPUT",
    "LIMIT",
    "LIMITS",
    "X",
    "NAME",
    "UNKNOWN",
    *OPS,
)
"""What a list of values follows."""


def separators(stopped: Stopped) -> Iterator[Rewrite]:
    """`;` and `,` between what stands side by side; `;` in lists."""
    token, index = stopped.token, stopped.index
    ends = token.text == "." and (stopped.is_first(1) or stopped.at(1).text == "}")
    if token.text in (";", "|") or ends:
        message = f"`{token.text}` ends and separates nothing here"
        help = "statements and keys stand side by side; the values of a list have commas"
        yield Rewrite(
            "semicolon", message, token.span, (Change(index, index + 1, ""),), help, "leave it out"
        )
        yield Rewrite(
            "semicolon",
            f"`{token.text}` does not separate values",
            token.span,
            (Change(index, index + 1, ","),),
            "write `,` between the values of a list",
            "write `,`",
        )
    for by in (0, -1, -2):
        if stopped.at(by).text == ",":
            yield _comma(stopped, index + by)


def joined(stopped: Stopped) -> Iterator[Rewrite]:
    """`3 or 5`, `relu / swish`, `15ms and 25ms`; `- >`."""
    for by in (0, -1):
        token, number = stopped.at(by), stopped.index + by
        words = ("or", "and", "&", "/") if by == 0 else ("or", "and", "&")
        if token.text.lower() in words and not stopped.is_first(by):
            message = f"`{token.text}` does not separate values"
            change, help = Change(number, number + 1, ","), "write `,` between values"
            yield Rewrite("or", message, token.span, (change,), help, "write `,`")
    index = stopped.index
    if stopped.token.text == "-" and stopped.at(1).text == ">":
        change, at = Change(index, index + 2, "->"), stopped.span(index, index + 2)
        yield Rewrite("arrow", "an arrow is one sign", at, (change,), "write `->`", "write `->`")
    start = stopped.token.span.start
    found = re.match(r"[-=~|]*>+", stopped.source.text[start : start + 8])
    if found and "__ANON_0" in stopped.may:
        after = stopped.past(index, start + found.end())
        change, at = Change(index, after, "->"), stopped.span(index, after)
        message = f"`{found[0]}` is no arrow here"
        yield Rewrite("arrow", message, at, (change,), "write `->`", "write `->`")


def missing(stopped: Stopped) -> Iterator[Rewrite]:
    """`kernel 3 5`, `act relu hswish`, `limits 15ms 20ms`: values side by side."""
    token, before, index = stopped.token, stopped.at(-1), stopped.index
    listed = ("INT", "FLOAT", "QUANTITY")
    if token.type in listed[:2] and before.text in units() and stopped.at(1).text == before.text:
        text = f", {token.text}{before.text}"
        change, at = Change(index, index + 2, text), stopped.span(index, index + 2)
        message, help = "a `,` is missing before this", f"write `{text}`"
        yield Rewrite("missing", message, at, (change,), help, help, code="syntax")
    if token.type in listed and stopped.at(-2).text == ".." and "STEP" in stopped.may:
        change, help = Change(index, index, "step"), f"write `step {token.text}`"
        message = f"a `step` is missing before `{token.text}`"
        yield Rewrite("step", message, token.span, (change,), help, "put in `step`", code="syntax")
    if token.type in listed and before.type in listed and "COMMA" in stopped.may:
        yield _missing_comma(stopped, index, listed)
    if (
        token.type == "NAME"
        and before.type in ("NAME", *listed)
        and "COMMA" in stopped.may
        and ("RPAR" in stopped.may or stopped.at(-2).type == "RULES")
    ):
        acts = before.type == "NAME" and token.text in ACTIVATIONS
        if acts and "RPAR" in stopped.may and "EQUAL" in stopped.may:
            message = f"an `=` is missing between `{before.text}` and `{token.text}`"
            put = Put(Span(before.span.end, token.span.start), " = ")
            help = f"write `{before.text} = {token.text}`"
            change = Change(index, index, "=")
            yield Rewrite(
                "equal", message, token.span, (change,), help, "put in `=`", (put,), code="syntax"
            )
        yield _missing_comma(stopped, index, ("NAME",))
    amount = ("QUANTITY", "INT")
    around = token.type in amount and stopped.at(-2).type in amount
    words = before.text in ACTIVATIONS and stopped.at(-2).text in ACTIVATIONS
    if (around or words) and before.type == "NAME" and "COMMA" in stopped.may_at(-1):
        yield _missing_comma(stopped, index - 1, ())


def _missing_comma(stopped: Stopped, number: int, listed: tuple[str, ...]) -> Rewrite:
    """A comma before token `number`, and before those of its line that follow without one and are
    of a kind in `listed`."""
    after = number + 1
    while stopped.tokens[after].type in listed and not stopped.is_first(after - stopped.index):
        after += 1
    more = range(number, after)
    before, token = stopped.tokens[number - 1], stopped.tokens[number]
    message = f"a `,` is missing between `{before.text}` and `{token.text}`"
    ends = [stopped.tokens[n - 1].span.end for n in more]
    puts = tuple(Put(Span(end, end), ",") for end in ends)
    changes = tuple(Change(n, n, ",") for n in more)
    shown = ", ".join(stopped.tokens[n].text for n in (number - 1, *more))
    help = f"write `{shown}`" if len(shown) < 120 else "put in `,`"
    return Rewrite("missing", message, token.span, changes, help, "put in `,`", puts, code="syntax")


def _comma(stopped: Stopped, number: int) -> Rewrite:
    last = stopped.tokens[number + 1].text in ("}", ")", ",", "]")
    message = "a list does not end with `,`" if last else "no `,` stands between these"
    help = "commas separate the values of one list only; everything else stands side by side"
    change = Change(number, number + 1, "")
    at = stopped.tokens[number].span
    return Rewrite("comma", message, at, (change,), help, "leave out the `,`")


def assignments(stopped: Stopped) -> Iterator[Rewrite]:
    """`key: value`, `key = value`, `key <= value`, `name: {`, `name = {`."""
    index = stopped.index
    touching = takewhile(stopped.touches, (1, 2))
    signs = "".join(stopped.at(by).text for by in (0, *touching))
    sign = next(
        (s for s in (":=", "==", "<=", "<-", "=>", ":", "=", "<", "->") if signs.startswith(s)), ""
    )
    if not sign:
        return
    width = 1 if sign == "->" else len(sign)
    after = index + width
    if sign == "->" and stopped.at(-1).type not in HOLDERS[:5]:
        return
    if sign == "<" and stopped.at(-1).text == "..":
        return  # a range without its end
    at = stopped.span(index, after)
    yield from _renamed(stopped, index, after)
    key, value = stopped.at(-1).text, stopped.at(width).text
    side = f"write `{key} {value}`" if key and value and value not in "[({" else "leave it out"
    what = "a key and its values stand side by side"
    ways = {
        "": (f"`{sign}` does not stand here: {what}", side, "leave it out"),
        "=": (f"`{sign}` does not stand here", "write `=`", "write `=`"),
        "{": (f"`{sign}` opens no body", "a body stands in `{` and `}`", "write `{`"),
        "of": (f"`{sign}` names no parent", "write `of` and the parent's name", "write `of`"),
        "->": (f"`{sign}` is no arrow here", "write `->`", "write `->`"),
    }
    order = ("->", "") if sign == "=>" else tuple(ways)
    for text in order:
        message, help, title = ways[text]
        if text != sign:
            change = Change(index, after, text)
            yield Rewrite(f"assignment{text}", message, at, (change,), help, title)


def _renamed(stopped: Stopped, index: int, after: int) -> Iterator[Rewrite]:
    """A sign behind a key of another name: `num_layers = 2`, `act=relu`."""
    name, may = stopped.at(-1), stopped.may_at(-1)
    if name.type != "NAME":
        return
    words = {text: kind for kind, text in keywords().items() if kind in may}
    meant = suggest(name.text, words)
    value = stopped.at(after - index)
    if "act" in (name.text, *synonyms(name.text)) and value.type == "NAME" and "CONV" in may:
        meant, at, change = "", name.span, Change(index - 1, after, "")
        help = f"write `{value.text}`"
        message = f"unknown key `{name.text}`"
        yield Rewrite("renamed", message, at, (change,), help, help, code="unknown-key")
        return
    if meant is None and not (leaves_out(name.text) and "CONV" in may):
        return
    help = f"write `{meant}`" if meant else "leave it out"
    if meant is None and value.text not in ACTIVATIONS:
        closing = stopped.source.text.find("'", stopped.tokens[after].span.start + 1)
        after = stopped.past(after, closing + 1) if value.text == "'" else after + 1
    at, change = name.span, Change(index - 1, after, meant or "")
    message = f"unknown key `{name.text}`"
    yield Rewrite("renamed", message, at, (change,), help, help, code="unknown-key")


def brackets(stopped: Stopped) -> Iterator[Rewrite]:
    """`[3, 5]`, `(3, 5)`, `{3, 5}` where values stand; `(`...`)` for the braces of a body."""
    token, index = stopped.token, stopped.index
    pairs = {"[": "]", "(": ")", "{": "}", "<": ">"}
    if token.text in ("]", ")"):
        brace = Change(index, index + 1, "}")
        message = f"`{token.text}` closes no body"
        yield Rewrite("closing", message, token.span, (brace,), "write `}`", "write `}`")
        change = Change(index, index + 1, "")
        yield Rewrite(
            "bracket",
            f"this `{token.text}` closes nothing",
            token.span,
            (change,),
            "leave it out",
            "leave it out",
        )
    if token.text not in pairs:
        return
    closing = pairs[token.text]
    end = stopped.close(index, token.text, closing)
    if end is None:
        return
    inner = " ".join(stopped.shown(index + 1, end).split()) if end > index + 1 else ""
    between = {t.type for t in stopped.tokens[index + 1 : end]} - set(LISTED)
    if token.text == "{" and (between or stopped.at(-1).type not in HOLDERS):
        return
    drop = Change(index, index + 1, ""), Change(end, end + 1, "")
    shown = (
        f"write `{f'{stopped.at(-1).text} {inner}'.strip()}`"
        if len(inner) < 40
        else "leave them out"
    )
    body = Change(index, index + 1, "{"), Change(end, end + 1, "}")
    named = stopped.at(-1).type in ("NAME", "BLOCKS") and not is_op(stopped.at(-1).text)
    if token.text not in "{<" and named:
        message = f"a body stands in `{{` and `}}`, not in `{token.text}` and `{closing}`"
        help = f"write `{stopped.at(-1).text} {{ {inner} }}`" if len(inner) < 40 else None
        yield Rewrite("braces", message, token.span, body, help, "write `{` and `}`")
    if stopped.at(-1).type == "BLOCK":
        return
    message = f"values stand without `{token.text}` and `{closing}`"
    yield Rewrite("bracket", message, token.span, drop, shown, "leave out the brackets")
    if token.text in "[{<" and stopped.at(-2).type == "BLOCK":
        params = Change(index, index + 1, "("), Change(end, end + 1, ")")
        message = f"parameters stand in `(` and `)`, not in `{token.text}` and `{closing}`"
        help = f"write `({inner})`" if len(inner) < 40 else None
        yield Rewrite("parens", message, token.span, params, help, "write `(` and `)`")


def quotes(stopped: Stopped) -> Iterator[Rewrite]:
    """`"relu"` and `'relu'` where a word or a number stands; `'...'` where a text stands."""
    token, index = stopped.token, stopped.index
    if token.type == "STRING":
        yield from _unquoted(stopped, index, index + 1, token.text[1:-1])
    elif token.text in ("'", "`"):
        text, start = stopped.source.text, token.span.start
        end = text.find(token.text, start + 1)
        after = index
        while after < len(stopped.tokens) - 1 and stopped.tokens[after].span.start <= end:
            after += 1
        inner = text[start + 1 : end]
        if end > 0 and "\n" not in inner:
            message = f'a text stands in `"`, not in `{token.text}`'
            change = Change(index, after, f'"{inner}"')
            at = stopped.span(index, after)
            yield Rewrite("quote", message, at, (change,), f'write `"{inner}"`', 'write `"`')
            yield from _unquoted(stopped, index, after, inner)


def _unquoted(stopped: Stopped, first: int, after: int, inner: str) -> Iterator[Rewrite]:
    found = re.fullmatch(r"([1-4])\s*[x*,]\s*([0-9]+)(?:\s*[x*,]\s*\2)?", inner)
    if found and stopped.at(-1).type == "INPUT":
        inner = f"{found[1]} x {found[2]}"
    message = f"`{inner[:40]}` stands without quotes here"
    yield Rewrite(
        "quotes",
        message,
        stopped.span(first, after),
        (Change(first, after, inner),),
        f"write `{inner[:40]}`",
        "leave out the quotes",
    )


def unclosed(stopped: Stopped) -> Iterator[Rewrite]:
    """A text whose second quote is missing, or looks like one only."""
    token, index = stopped.token, stopped.index
    if token.type != "UNKNOWN" or token.text[0] != '"':
        return
    found = re.match(rf'"([^{{}}#;{QUOTES}]*?)[{QUOTES}]?\s*([{{}};#].*)?$', token.text)
    if found and found[1]:
        text = f'"{found[1]}"'
        change = Change(index, index + 1, f"{text} {found[2] or ''}".strip())
        message = "the text in quotes does not end on its line"
        yield Rewrite(
            "unended",
            message,
            token.span,
            (change,),
            f"write `{text}`",
            'put in `"`',
            code="syntax",
        )


def unquoted(stopped: Stopped) -> Iterator[Rewrite]:
    """A text without quotes: `use std/blocks.space`, `device my phone`."""
    before = -1 if stopped.at(-1).type == "NAME" and stopped.touches(0) else 0
    index, first = stopped.index + before, stopped.at(before)
    if "STRING" not in stopped.may_at(before) or first.type in ("STRING", "RBRACE", "$END"):
        return
    key = stopped.at(before - 1)
    if key.type not in keywords() or stopped.is_first(before):
        return
    if stopped.at(before + 1).type == "STRING" or first.type == "QUANTITY":
        return
    ends = [index + 1]
    while ends[-1] < stopped.line_end(index) and _goes_on(stopped, ends[-1]):
        ends.append(ends[-1] + 1)
    text = stopped.shown(index, ends[-1]).strip("<>:='` ")
    if key.type == "USE" and not text.endswith(".space"):
        text = text.replace("::", ".").replace(".", "/").rstrip(";") + ".space"
    if key.type == "QUALITY" and text.lower() in ("none", "null", "no", "off"):
        at, change = stopped.span(index, ends[-1]), Change(index, ends[-1], '""')
        message, help = f"`{text}` is no table", "without a table of its own, leave `quality` out"
        yield Rewrite("unquoted", message, at, (change,), help, puts=())
        return
    if key.type == "RUNTIME":
        text = text.lower()
    word = key.text
    yield Rewrite(
        "unquoted",
        f"`{word}` takes a text in quotes",
        stopped.span(index, ends[-1]),
        (Change(index, ends[-1], f'"{text}"'),),
        f'write `{word} "{text}"`',
        "put it in quotes",
    )


def _goes_on(stopped: Stopped, number: int) -> bool:
    """Whether a text without quotes goes on with this token."""
    token, before = stopped.tokens[number], stopped.tokens[number - 1]
    touches = before.span.end == token.span.start
    return touches or (token.type not in (*keywords(), *fixed(), "STRING") and token.text != ";")


HABITS = (separators, joined, missing, assignments, brackets, quotes, unclosed, unquoted)
