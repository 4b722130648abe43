"""Kernels of ops as they are written elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import WINDOWED, unglued
from spacedsl.vocabulary import bare

KERNEL = re.compile(
    r"(?:(?:k|kernel|kernel_size|ks)\s*[= :]\s*)?"
    r"[(\[]?\s*([0-9]+)(?:\s*[xX*,]\s*([0-9]+))?\s*[)\]]?(?![\w.])"
)
POINTWISE = ("pwconv", "pw", "pointwise", "pointwise_conv", "conv_pw", "pw_conv", "pointwiseconv")
SEVERAL = re.compile(r"([0-9]+)\s*(?:\.\.|,|/|\|)\s*[0-9]+")


def kernels(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv 3`, `conv 3 x 3`, `conv 3*3`, `conv k=3`, `conv kernel 3`, `conv3x3`."""
    index = stopped.index
    for by in (0, -1, -2):
        op = stopped.at(by - 1)
        if op.type not in WINDOWED or index + by - 1 not in stopped.runs:
            continue
        first = index + by
        said = stopped.shown(first, min(first + 5, len(stopped.tokens) - 1))
        found = KERNEL.match(said)
        if found and (found[2] in (None, found[1]) or re.search(r"[(\[xX*]", found[0])):
            end = stopped.tokens[first].span.start + found.end()
            after = first
            while stopped.tokens[after].span.start < end and after < len(stopped.tokens) - 1:
                after += 1
            meant = f"{found[1]}x{found[2] or found[1]}"
            if after > index:
                yield Rewrite(
                    "kernel",
                    f"`{found[0].strip()}` is no kernel",
                    stopped.span(first, after),
                    (Change(first, after, meant),),
                    f"write `{op.text} {meant}`",
                    f"write `{meant}`",
                )
    yield from _pointwise(stopped)
    for by in (0, -1):
        yield from _glued(stopped, index + by)


def _glued(stopped: Stopped, number: int) -> Iterator[Rewrite]:
    """`conv3x3`, `conv3x3-bn-relu -> 32`, `conv_bn_relu 3x3 -> 32`: an op as one word."""
    word, after = stopped.tokens[number], number + 1
    follows = stopped.tokens[min(after, len(stopped.tokens) - 1)]
    apart = unglued(word.text) if word.type == "NAME" else None
    if apart is None and word.type == "NAME" and follows.type in ("PAIR", "NAME"):
        apart, after = unglued(word.text, follows.text), after + 1
    op, kernel, *act = apart.split() if apart else ("", "")
    glued = act or after == number + 1
    if not op or not glued or number not in stopped.runs:
        return
    if act and after + 1 < len(stopped.tokens) and stopped.tokens[after].text == "->":
        kernel, after = f"{kernel} -> {stopped.tokens[after + 1].text}", after + 2
    meant = " ".join((op, kernel, *act))
    change, help = Change(number, after, meant), f"write `{meant}`"
    message = f"`{word.text}` is several words here"
    yield Rewrite("glued", message, word.span, (change,), help, help)


def named_kernels(stopped: Stopped) -> Iterator[Rewrite]:
    """`dwconv kernel x kernel`, `conv 1x1x1`, `conv 3..5`: kernels with too much in them."""
    index, token, before = stopped.index, stopped.token, stopped.at(-1)
    if (
        token.type in ("X", "STAR")
        and stopped.at(1).text == before.text
        and stopped.at(-2).type in WINDOWED
    ):
        yield _kernel(stopped, index - 1, index + 2, before.text)
    for by in (0, -1):
        side = re.fullmatch("x[0-9]+", stopped.at(by).text)
        if side and stopped.at(by - 2).type in WINDOWED and stopped.touches(by):
            number = index + by - 1
            yield _kernel(stopped, number, number + 2, stopped.at(by - 1).text)
    start = token.span.start
    listed = SEVERAL.match(stopped.source.text[start : start + 20])
    if before.type in WINDOWED and listed:
        after = stopped.past(index, start + listed.end())
        at, change = stopped.span(index, after), Change(index, after, f"{listed[1]}x{listed[1]}")
        message = f"an op has one kernel, not several as `{listed[0]}`"
        help = "name a parameter, `block b(kernel)`; a stage lists its values: `b { kernel 3, 5 }`"
        yield Rewrite("kernels", message, at, (change,), help, puts=(), sure=True)


FLAT = {"conv1d": "conv", "dwconv1d": "dwconv"}


def flat(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv1d 3`: a window of one row."""
    for by in (0, -1):
        word, first = stopped.at(by - 1), stopped.index + by - 1
        start = word.span.end
        found = KERNEL.match(stopped.source.text[start : start + 40].lstrip(" \t"))
        op = FLAT.get(bare(word.text))
        if op is None or found is None or found[2] or first not in stopped.runs:
            continue
        gap = len(stopped.source.text[start:]) - len(stopped.source.text[start:].lstrip(" \t"))
        after = stopped.past(first, start + gap + found.end())
        if stopped.tokens[after].type == "INT":
            continue
        ways = f"{op} 1x{found[1]}", f"{op} {found[1]}x1"
        at, change = stopped.span(first, after), Change(first, after, ways[0])
        message = f"there is no op `{word.text}`: maps have rows and columns"
        help = f"write `{ways[0]}` where the signal is a row, `{ways[1]}` where it is a column"
        also = ((f"write `{ways[1]}`", (Put(at, ways[1]),)),)
        title = f"write `{ways[0]}`"
        yield Rewrite(
            "flat", message, at, (change,), help, title, also=also, code="unknown-op", sure=True
        )


PADDING = ("pad", "pads", "padding")


def paddings(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv 4x4 padding 0`, `dwconv 3x3 pad=1`: what is padded, in pixels."""
    for by in (0, -1):
        word, first = stopped.at(by - 1), stopped.index + by - 1
        number = first + 1 + (stopped.tokens[first + 1].text in ("=", ":"))
        if word.text.lower() not in PADDING or stopped.tokens[number].type != "INT":
            continue
        at = next((i for i in range(first, 0, -1) if stopped.tokens[i].type in WINDOWED), 0)
        kernel = stopped.tokens[at + 1].text if at else ""
        said = int(stopped.tokens[number].text[:4])
        sides = [int(n) for n in kernel.split("x") if n.isdecimal()]
        meant, title, puts = "", "leave it out", None
        if said == 0 and kernel != "1x1":
            meant, title = "valid", "write `valid`"
            help = "without padding it is `valid`: write that"
        elif sides and all(said == side // 2 for side in sides):
            help = "an op keeps the size of the map, less its stride: leave it out"
        elif at:
            help = "an op is padded so that it keeps the size of the map, or not at all: `valid`"
            title, puts = "write it as here", ()
        else:
            continue
        span, change = stopped.span(first, number + 1), Change(first, number + 1, meant)
        message = f"`{stopped.shown(first, number + 1)}` is no word of an op"
        yield Rewrite("padding", message, span, (change,), help, title, puts, code="unknown-key")


def _kernel(stopped: Stopped, first: int, after: int, meant: str) -> Rewrite:
    at, change = stopped.span(first, after), Change(first, after, meant)
    message, help = f"`{stopped.shown(first, after)}` is no kernel", f"write `{meant}`"
    return Rewrite("kernel", message, at, (change,), help, help)


def shortcuts(stopped: Stopped) -> Iterator[Rewrite]:
    """`shortcut 1`, `shortcut 1x1`, `shortcut conv 1x1`, `shortcut { identity }`."""
    index, token, before = stopped.index, stopped.token, stopped.at(-1)
    if before.type == "SHORTCUT" and token.text in ("0", "1"):
        kind = ("none", "identity")[int(token.text)]
        change, help = Change(index, index + 1, kind), f"write `shortcut {kind}`"
        message = f"`{token.text}` is no kind of shortcut"
        yield Rewrite("shortcut", message, token.span, (change,), help, f"write `{kind}`")
    if before.type == "SHORTCUT" and (token.text == "1x1" or token.type == "CONV"):
        after = index + 1 + (token.type == "CONV" and stopped.at(1).type == "PAIR")
        at, change = stopped.span(index, after), Change(index, after, "projected")
        message = f"`{stopped.shown(index, after)}` is no kind of shortcut"
        help = "a convolution where width or size change is `shortcut projected`"
        yield Rewrite("shortcut", message, at, (change,), help, "write `projected`")
    braced = before.text == "{" and stopped.at(-2).type == "SHORTCUT" and stopped.at(1).text == "}"
    if braced and token.type == "NAME":
        at, change = stopped.span(index - 1, index + 2), Change(index - 1, index + 2, token.text)
        message, help = "a kind of shortcut stands without braces", f"write `shortcut {token.text}`"
        yield Rewrite("shortcut", message, at, (change,), help, "leave them out")


def _pointwise(stopped: Stopped) -> Iterator[Rewrite]:
    """`pwconv -> 64`."""
    index, word = stopped.index, stopped.at(-1)
    if word.text.lower() in POINTWISE and stopped.token.type in ("__ANON_0", "NAME"):
        change = Change(index - 1, index, "conv 1x1")
        message, help = f"there is no op `{word.text}`", "write `conv 1x1`"
        yield Rewrite("pointwise", message, word.span, (change,), help, help, code="unknown-op")


HABITS = (flat, paddings, kernels, named_kernels, shortcuts)
