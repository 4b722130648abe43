"""Sizes as they are computed elsewhere: other functions and signs, parts of the channels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Rewrite, Stopped
from spacedsl.syntax.words import channels_at

ROUNDING = (
    "round8",
    "round_8",
    "round",
    "make_divisible",
    "_make_divisible",
    "make-divisible",
    "round_to_8",
    "int",
    "ceil",
    "floor",
)
SQUEEZE = re.compile(
    r"\(?\s*(?:\w*ratio|\w*reduction|r|rd|factor|squeeze|divisor)"
    r"\s*[=: ]\s*(?:1\s*/\s*)?([0-9]+(?:\.[0-9]+)?)\s*\)?"
    r"|([0-9]+)\s*%"
)


def unbracketed(stopped: Stopped) -> Iterator[Rewrite]:
    """`round8[cin * expand]`, `round8 cin * expand`."""
    index, token = stopped.index, stopped.token
    if stopped.at(-1).type != "ROUND8" or stopped.may != {"LPAR"}:
        return
    closing = {"[": "]", "{": "}"}.get(token.text)
    end = stopped.close(index, token.text, closing) if closing else stopped.line_end(index) - 1
    if end is None or end <= index or stopped.is_first(0):
        return
    inner = stopped.shown(index + 1, end) if closing else stopped.shown(index, end + 1)
    meant = f"({inner})"
    at, change = stopped.span(index, end + 1), Change(index, end + 1, meant)
    message, help = "what `round8` rounds stands in `(` and `)`", f"write `round8{meant}`"
    yield Rewrite("round8", message, at, (change,), help, f"write `{meant}`")


def functions(stopped: Stopped) -> Iterator[Rewrite]:
    """`round(x)`, `make_divisible(x, 8)`, `max(a, b)`; `cin // 4`."""
    index, name = stopped.index, stopped.at(-1)
    if stopped.token.text == "/" and stopped.at(-1).text == "/" and stopped.touches(0):
        change = Change(index - 1, index + 1, "/")
        number = stopped.at(1).type in ("INT", "FLOAT", "LPAR")
        if number:
            at = stopped.span(index - 1, index + 1)
            help = "write `/`; round8(...) makes a whole number of it"
            yield Rewrite("divide", "`//` is no sign here", at, (change,), help, "write `/`")
    power = stopped.token.text == "^" or (
        stopped.token.text == stopped.at(-1).text == "*" and stopped.touches(0)
    )
    first = index if stopped.token.text == "^" else index - 1
    exponent, base = stopped.at(1), stopped.tokens[first - 1]
    if power and exponent.text in ("2", "3") and base.type in ("NAME", "INT", "FLOAT"):
        meant = " * ".join([base.text] * int(exponent.text))
        at, change = stopped.span(first - 1, index + 2), Change(first - 1, index + 2, meant)
        message = f"`{stopped.shown(first, index + 1)}` is no sign here"
        yield Rewrite("power", message, at, (change,), f"write `{meant}`", f"write `{meant}`")
    if stopped.token.text == "," and stopped.at(2).text == ")" and "RPAR" in stopped.may:
        said = stopped.shown(index, index + 2)
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "")
        message, help = f"`{said}` does not stand in brackets", "round8(...) takes one size"
        yield Rewrite("function", message, at, (change,), help, "leave it out")
    if stopped.token.text != "(" or name.type != "NAME":
        return
    end = stopped.close(index, "(", ")")
    if end is None or "ROUND8" not in stopped.may_at(-1):
        return
    tail = re.search(r",\s*(divisor\s*=\s*)?8\s*\)$", stopped.shown(index, end + 1))
    if name.text.lower() in ROUNDING:
        drop = end - (4 if tail and tail[1] else 2)
        cut = (Change(drop, end, ""),) if tail else ()
        yield Rewrite(
            "function",
            f"there is no function `{name.text}`",
            name.span,
            (Change(index - 1, index, "round8"), *cut),
            "write `round8(...)`, which rounds to a multiple of 8; it is the only function",
            "write `round8`",
        )
    else:
        yield Rewrite(
            "function",
            f"there is no function `{name.text}`",
            name.span,
            (Change(index - 1, end + 1, "8"),),
            "sizes are made with + - * / and round8(...)",
            puts=(),
        )


def squeezes(stopped: Stopped) -> Iterator[Rewrite]:
    """`se ratio=4`, `se(reduction=4)`, `se r 0.25`: a part of the channels instead of a width."""
    for by in (0, -1, -2, -3):
        first = stopped.index + by
        if first - 1 not in stopped.runs or stopped.at(by - 1).type != "SE":
            continue
        start = stopped.tokens[first].span.start
        found = SQUEEZE.match(stopped.source.text, start, start + 60)
        after = stopped.past(first, found.end()) if found else first
        part = (found[1] or f"{int(found[2]) / 100:g}") if found else "0"
        if after <= stopped.index or float(part) <= 0:
            continue
        sign = "/" if float(part) > 1 else "*"
        cin = channels_at(stopped.source.text, start)
        meant = f"round8({cin} {sign} {part})"
        message = "`se` squeezes to a width, not to a part of the channels"
        change, at = Change(first, after, meant), stopped.span(first, after)
        yield Rewrite("se", message, at, (change,), f"write `se {meant}`", f"write `{meant}`")


def products(stopped: Stopped) -> Iterator[Rewrite]:
    """`cin x expand` in a size."""
    index, token = stopped.index, stopped.token
    if "STAR" not in stopped.may:
        return
    if token.text in ("x", "X") and not stopped.is_first(0):
        message = f"`{token.text}` does not multiply"
        change = Change(index, index + 1, "*")
        yield Rewrite("times", message, token.span, (change,), "write `*`", "write `*`")


def glued(stopped: Stopped) -> Iterator[Rewrite]:
    """`2cin` in a size."""
    for by in (0, -1):
        number, name, index = stopped.at(by - 1), stopped.at(by), stopped.index + by
        sized = number.type in ("INT", "FLOAT") and name.type == "NAME" and stopped.touches(by)
        if sized and "STAR" in stopped.may_at(by):
            meant = f"{number.text} * {name.text}"
            change, at = Change(index - 1, index + 1, meant), stopped.span(index - 1, index + 1)
            message, help = f"`{number.text}{name.text}` is no size", f"write `{meant}`"
            yield Rewrite("product", message, at, (change,), help, help)


HABITS = (unbracketed, squeezes, products, glued, functions)
