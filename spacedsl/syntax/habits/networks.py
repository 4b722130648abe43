"""Models as they are written elsewhere: their resolution, and the blocks of their stages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Rewrite, Stopped

MOST = 16
"""How often a block is written again at most."""
LETTERED = re.compile(r"[cwo]{1,2}([0-9]+)")
"""A width with the first letter of its name elsewhere."""
SETTINGS = 8
"""How many settings such a block has at most."""


def resolutions(stopped: Stopped) -> Iterator[Rewrite]:
    """`model m at 32 of s {`, `model m of s {`, `model m of s at 3 x 32`, `space s of h at 32`."""
    index, token = stopped.index, stopped.token
    one, two = stopped.at(1), stopped.at(2)
    if token.type == "AT" and one.type == "INT" and two.type == "OF" and "OF" in stopped.may:
        meant = f"of {stopped.at(3).text} at {one.text}"
        change, at = Change(index, index + 4, meant), stopped.span(index, index + 4)
        message = "a model says first what it is of, then at which resolution"
        yield Rewrite("at", message, at, (change,), f"write `{meant}`", f"write `{meant}`")
    elif token.type == "AT" and "LBRACE" in stopped.may and one.type == "INT":
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "")
        message = "only a model says `at` which resolution it is"
        yield Rewrite("at", message, at, (change,), "leave it out", "leave it out")
    if stopped.may == {"AT"} and token.text == "{":
        at, change = stopped.at(-1).span, Change(index, index, "at 224")
        message = f"the model does not say its resolution behind `{stopped.at(-1).text}`"
        help = f"write one that `{stopped.at(-1).text}` has, as `at 224 {{`"
        yield Rewrite("at", message, at, (change,), help, puts=(), code="syntax")
    if stopped.at(-2).type == "AT" and token.type == "X" and one.type == "INT":
        at, change = stopped.span(index - 1, index + 2), Change(index - 1, index + 2, one.text)
        message = f"`{stopped.shown(index - 1, index + 2)}` is no resolution"
        help = f"the channels are the space's: write `at {one.text}`"
        yield Rewrite("at", message, at, (change,), help, f"write `{one.text}`")
    if stopped.at(-2).type == "OF" and token.text == "." and one.text == "space":
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "")
        message = f"`of` takes a name, not a file: `{stopped.at(-1).text}`"
        yield Rewrite("file", message, at, (change,), "leave `.space` out", "leave it out")


def blocks(stopped: Stopped) -> Iterator[Rewrite]:
    """`width 8 k3`, `k3 e2 8`, `c8 k3`, `2 x 8 k3`, `{ 8 k3 } { 16 k3 }` in a stage of a model."""
    index, token = stopped.index, stopped.token
    if token.type == "WIDTH" and {"INT", "RBRACE"} <= stopped.may and stopped.at(1).type == "INT":
        at, change = token.span, Change(index, index + 1, "")
        message = "a block of a model begins with its width, without the word"
        yield Rewrite("width", message, at, (change,), "leave it out", "leave it out")
    if token.text == "{" and {"INT", "RBRACE"} <= stopped.may:
        end = stopped.close(index, "{", "}")
        if end is not None and stopped.at(1).type == "INT":
            changes = Change(index, index + 1, ""), Change(end, end + 1, "")
            message = "the blocks of a model's stage stand side by side, without braces"
            yield Rewrite("block", message, token.span, changes, "leave them out", "leave them out")
    before = stopped.at(-1)
    if stopped.may != {"INT", "RBRACE"}:
        return
    lettered = LETTERED.fullmatch(before.text)
    if lettered and token.type in ("NAME", "SETTING"):
        end = next(n for n in range(index, len(stopped.tokens)) if stopped.tokens[n].text in "}")
        words = ((n, LETTERED.fullmatch(stopped.tokens[n].text)) for n in range(index - 1, end))
        numbers = tuple(Change(n, n + 1, word[1]) for n, word in words if word)
        message, help = f"`{before.text}` is no width", f"write `{lettered[1]}`"
        yield Rewrite("width", message, before.span, numbers, help, help)
    start = before.span.start
    said = stopped.source.text[start : start + 400].partition("}")[0].rstrip()
    turned = re.compile(r"((?:[a-bd-np-vx-z][0-9.]+\s+)+)[cwo]?([0-9]+)(?:\s+|$)")
    if turned.sub("", said) == "" and said:
        meant = "  ".join(
            f"{width} {' '.join(rest.split())}" for rest, width in turned.findall(said)
        )
        after = stopped.past(index, start + len(said))
        at, change = stopped.span(index - 1, after), Change(index - 1, after, meant)
        message = "a block begins with its width, which stands last here"
        yield Rewrite("order", message, at, (change,), f"write `{meant}`", f"write `{meant}`")


def separated(stopped: Stopped) -> Iterator[Rewrite]:
    """`16 k3 -> 24 k5`, `16 k3 / 24 k5`: blocks of a model with signs between them."""
    index, token = stopped.index, stopped.token
    if token.text in ("->", "/", "-", "+", "=>") and {"INT", "SETTING"} <= stopped.may:
        message, change = (
            f"`{token.text}` does not stand between blocks",
            Change(index, index + 1, ""),
        )
        help = "the blocks of a stage stand side by side: leave it out"
        yield Rewrite("between", message, token.span, (change,), help, "leave it out")


def repeated(stopped: Stopped) -> Iterator[Rewrite]:
    """`2 x 8 k3 e2`, `2 * 8 k3 e2`: a block that stands several times."""
    index, tokens = stopped.index, stopped.tokens
    count, block = stopped.at(-1), stopped.at(1)
    if stopped.token.text not in ("x", "*") or not count.type == block.type == "INT":
        return
    if not {"INT", "RBRACE"} <= stopped.may_at(-1) or not 0 < int(count.text[:3]) <= MOST:
        return
    after = index + 2
    while tokens[after].type in ("NAME", "SETTING"):
        after += 1
    if after - (index + 2) > SETTINGS:
        return
    once = stopped.shown(index + 1, after)
    meant = "  ".join([once] * int(count.text))
    said = stopped.shown(index - 1, after)
    at, change = stopped.span(index - 1, after), Change(index - 1, after, meant)
    help = f"every block is written: `{meant}`"
    yield Rewrite("times", f"`{said}` is no block", at, (change,), help, f"write `{meant}`")


DASHED = re.compile(r"[:=]?\s*((?:-[ \t]+[0-9]+[^-\n}]*\n?\s*)+)")


def dashed(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage1:` or `stage1 {`, and each block behind a `-`, on a line of its own or not."""
    index, before = stopped.index, stopped.at(-1)
    start = stopped.token.span.start
    found = DASHED.match(stopped.source.text, start, start + 400)
    braced = {"INT", "RBRACE"} <= stopped.may and "WIDTH" not in stopped.may
    if found is None or not (braced or (before.type == "NAME" and "LBRACE" in stopped.may)):
        return
    listed = found[1].split("-")[1:]
    blocks = "  ".join(" ".join(block.split()) for block in listed)
    meant = blocks if braced else f"{{ {blocks} }}"
    after = stopped.past(index, start + len(found[0].rstrip()))
    at, change = stopped.span(index, after), Change(index, after, meant)
    message = "the blocks of a stage stand side by side in braces, without `-`"
    help = f"write `{meant}`"
    yield Rewrite("dashed", message, at, (change,), help, "put them side by side")


HABITS = (dashed, resolutions, blocks, separated, repeated)
