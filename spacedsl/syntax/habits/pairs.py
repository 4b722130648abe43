"""Rows and columns, of images and of windows, as other notations join them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.habits.shapes import MOST_COLOURS
from spacedsl.syntax.rewrite import Change, Rewrite, Stopped
from spacedsl.text import Span

MOST_PARTS = 8
"""More words and signs than four sizes have, which is the most that is understood."""
PARTS = r"x|[0-9]+|x[0-9]+(x[0-9]+)*|[0-9]+x[0-9]+|\*"


def squares(stopped: Stopped) -> Iterator[Rewrite]:
    """`input 3x224x224`, `3 x 224 x 224`, `3 x 49 x 10`, `window 3x3`."""
    if stopped.at(-1).type == "INPUT" and stopped.token.text in ("(", "["):
        first, closing = stopped.index, {"(": ")", "[": "]"}[stopped.token.text]
        end = stopped.close(first, stopped.token.text, closing)
        listed = re.findall("[0-9]+", stopped.shown(first, end)) if end else []
        if end and len(listed) > 1 and ".." not in stopped.shown(first, end):
            said = stopped.shown(first, end + 1)
            yield from _square(stopped, first, end + 1, said, [int(n[:9]) for n in listed])
    yield from _pairs(stopped)
    for by in (0, -1):
        sign, number = stopped.at(by), stopped.index + by
        if sign.text in ("by", "@", "X", "*") and stopped.at(by - 2).type == "INPUT":
            message = f"`{sign.text}` is not how sizes are joined"
            change = Change(number, number + 1, "x")
            yield Rewrite("times", message, sign.span, (change,), "write `x`", "write `x`")
    for by in (-5, -4, -3, -2, -1, 0):
        first = stopped.index + by
        if first not in stopped.runs or stopped.at(by).type not in ("INT", "PAIR"):
            continue
        after = first + 1
        part = PARTS if stopped.at(by - 1).type != "INPUT" else f"{PARTS}|,"
        most = min(first + MOST_PARTS, len(stopped.tokens) - 1)
        while after < most and "\n" not in stopped.between(after - 1, after):
            if not re.fullmatch(part, stopped.tokens[after].text):
                break
            after += 1
        said = stopped.shown(first, after)
        sizes = re.fullmatch(r"[0-9]+(\s*[x*,]\s*[0-9]+)+", said)
        reach = after + (stopped.at(by - 1).type == "INPUT")  # a pair could end there
        if not sizes or reach <= stopped.index:
            continue
        found = [int(n[:9]) for n in re.findall("[0-9]+", said)]
        yield from _square(stopped, first, after, said, found)


def _square(
    stopped: Stopped, first: int, after: int, said: str, sizes: list[int]
) -> Iterator[Rewrite]:
    at = stopped.span(first, after)
    is_input = stopped.at(first - 1 - stopped.index).type == "INPUT"
    if is_input and len(sizes) == 4 and sizes[0] == 1:
        sizes = sizes[1:]  # one image
    if is_input and len(sizes) > 1 and min(sizes) > MOST_COLOURS:
        listed = list(dict.fromkeys(sizes))
        text = ", ".join(map(str, listed)) if "," in said else "x".join(map(str, listed))
        help = f"write `input 3 x {text}`, where 3 is the number of channels"
        message = f"`{said}` is no input"
        yield Rewrite("square", message, at, (Change(first, after, text),), help, f"write `{text}`")
    elif is_input and len(sizes) in (2, 3):
        last = sizes[0] > MOST_COLOURS >= sizes[-1]
        channels, *rest = (sizes[-1], *sizes[:-1]) if last else sizes
        text = f"{channels} x {'x'.join(map(str, dict.fromkeys(rest)))}"
        help = f"write channels x resolution, with blanks: `{text}`"
        message = f"`{said}` is no input"
        yield Rewrite("square", message, at, (Change(first, after, text),), help, f"write `{text}`")
    elif len(sizes) == 2 and len(set(sizes)) == 1 and "," not in said:
        text = str(sizes[0])
        message = f"`{said}` is one number here"
        change = Change(first, after, text)
        yield Rewrite("square", message, at, (change,), f"write `{text}`", f"write `{text}`")
    elif len(sizes) == 2 and _is_window(stopped, first) and "," not in said:
        yield _pair(at, said, Change(first, after, "x".join(map(str, sizes))))
    elif len(sizes) == 2 and "*" not in said and "," not in said:
        yield Rewrite(
            "square",
            f"`{said}` is two numbers, where one belongs",
            at,
            (Change(first, after, str(sizes[0])),),
            "write one number",
            puts=(),
        )


def _is_window(stopped: Stopped, index: int) -> bool:
    """Whether a stride, a dilation or a kernel stands there, which has rows and columns."""
    by = index - stopped.index
    key = stopped.at(by - 1)
    named = key.type in ("STRIDE", "DILATION") or "kernel" in key.text.lower()
    return named and "PAIR" in stopped.may_at(by)


def _pair(at: Span, said: str, change: Change) -> Rewrite:
    """Rows and columns that differ."""
    help = f"write `{change.text}`: rows, then columns"
    return Rewrite("square", f"`{said}` is no size", at, (change,), help, f"write `{change.text}`")


def _pairs(stopped: Stopped) -> Iterator[Rewrite]:
    """`stride (2, 2)`, `kernel [3, 3]`, `stride (2, 1)`, `kernel (1, 5)`: one size of two numbers.
    A choice of kernels rises in its brackets, and is of odd ones above 1."""
    index, closing = stopped.index, {"(": ")", "[": "]"}.get(stopped.token.text)
    end = stopped.close(index, stopped.token.text, closing) if closing else None
    said = stopped.shown(index, end + 1) if end else ""
    pair = re.fullmatch(r".\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*.", said)
    if not (end and pair and stopped.at(-1).type != "INPUT" and stopped.may & {"INT", "FLOAT"}):
        return
    at, sizes = stopped.span(index, end + 1), [int(n) for n in pair.groups()]
    if sizes[0] == sizes[1]:
        message = f"`{said}` is one number here, since rows and columns have the same"
        change = Change(index, end + 1, pair[1])
        yield Rewrite("square", message, at, (change,), f"write `{pair[1]}`", f"write `{pair[1]}`")
        return
    chosen = sizes == sorted(sizes) and all(n % 2 and n > 1 for n in sizes)
    one = stopped.at(-1).type != "NAME" or (stopped.token.text == "(" and not chosen)
    if one and _is_window(stopped, index):
        yield _pair(at, said, Change(index, end + 1, f"{sizes[0]}x{sizes[1]}"))


HABITS = (squares,)
