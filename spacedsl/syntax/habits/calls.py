"""Ops as calls of other libraries: `nn.Linear(64, 10)`, `Conv2d(3, 16, kernel_size=3)`,
`conv(3, relu)`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from spacedsl.diagnostics import suggest
from spacedsl.syntax.messages import is_op, misspelt
from spacedsl.syntax.rewrite import Change, Rewrite, Stopped
from spacedsl.syntax.words import OPS as EVERY_OP
from spacedsl.syntax.words import WINDOWED, channels_at, keywords, unglued
from spacedsl.vocabulary import bare, has_meaning

OPS = tuple(kind for kind in EVERY_OP if kind != "SHORTCUT")
NAMED = {
    "kernel": "kernel_size kernel k ks size window pool_size",
    "out": "out_channels out_features filters features units classes num_classes out width c",
    "rate": "p rate prob",
    "stride": "stride strides s",
    "groups": "groups",
    "act": "act activation act_layer",
    "ratio": "rd_ratio se_ratio ratio reduction reduction_ratio r",
    "": "in_channels in_features padding pad padding_mode bias use_bias inplace name device dtype",
}
"""What a named argument says -> its names; the last ones say nothing that is said here."""
MEANING = {bare(name): what for what, names in NAMED.items() for name in names.split()}
SQUARE = re.compile(r"[(\[]?\s*([0-9]+)\s*[,x]\s*\1\s*[)\]]?")
WINDOW = re.compile(r"\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)")
MOST_PARTS = 8

Argument = tuple[str | None, str]
"""A name, where it has one, and a value."""


def calls(stopped: Stopped) -> Iterator[Rewrite]:
    """An op with brackets, and a library's name before it: what it says, as it is written here."""
    tokens = stopped.tokens
    for by in (-1, 0):
        first = at = stopped.index + by
        if first not in stopped.runs:
            continue
        while at < min(first + MOST_PARTS, len(tokens) - 2) and tokens[at + 1].text == ".":
            at += 2
        word, opening = tokens[at], min(at + 1, len(tokens) - 1)
        if tokens[opening].text != "(":
            continue
        kind = word.type if word.type in OPS else _meant(word.text, stopped.may_at(by))
        end = stopped.close(opening, "(", ")")
        said = None if kind is None or end is None else _said(_arguments(stopped, opening, end))
        if kind is None or end is None or said is None:
            continue
        op = keywords()[kind]
        window = WINDOW.fullmatch(stopped.shown(opening, end + 1)) if kind in WINDOWED else None
        if window and (window[1] == window[2] or not stopped.touches(opening - stopped.index)):
            continue  # a kernel
        named, plain = said
        act = (unglued(word.text, "1x1") or "").split()[2:]
        plain = [*plain, *(a for a in act if "act" not in named and a not in plain)]
        cin = channels_at(stopped.source.text, word.span.start)
        meant = f"{op} {_behind(kind, named, plain, cin)}".strip()
        message = f"what `{op}` takes stands behind it, without brackets and commas"
        change, title = Change(first, end + 1, meant), f"write `{meant}`"
        yield Rewrite("call", message, tokens[opening].span, (change,), title, title)


def _meant(word: str, may: set[str]) -> str | None:
    """The kind of the op that a word means, where it may stand."""
    words = {keywords()[kind]: kind for kind in OPS if kind in may}
    glued = (unglued(word, "1x1") or "").partition(" ")[0]
    return words.get(glued or suggest(word, words) or "")


def _arguments(stopped: Stopped, opening: int, end: int) -> list[Argument]:
    """What stands between brackets, by its commas."""
    found: list[Argument] = []
    first, depth = opening + 1, 0
    for number in range(opening + 1, end + 1):
        text = stopped.tokens[number].text
        if number == end or (text == "," and not depth):
            named = number > first + 2 and stopped.tokens[first + 1].text in ("=", ":")
            if number > first:
                name = stopped.tokens[first].text if named else None
                value = stopped.shown(first + 2 * named, number).strip("\"'")
                square = SQUARE.fullmatch(value)
                found.append((name, square[1] if square else value))
            first = number + 1
        depth += (text in ("(", "[")) - (text in (")", "]"))
    return found


def _said(arguments: Sequence[Argument]) -> tuple[dict[str, str], list[str]] | None:
    """What the named arguments say, and the others; None where a name says something else."""
    named: dict[str, str] = {}
    for name, value in arguments:
        what = "" if name is None else MEANING.get(bare(name))
        if what is None:
            return None
        named |= {what: value} if what else {}
    return named, [value for name, value in arguments if name is None]


def _behind(kind: str, named: Mapping[str, str], plain: Sequence[str], cin: str) -> str:
    """What stands behind an op that is called with this, and reads `cin` channels."""
    numbers = [value for value in plain if _is_size(value)]
    words = [value for value in plain if not _is_size(value)]
    if kind == "POOL":
        return ""
    if kind == "DROPOUT":
        return named.get("rate") or " ".join(plain)
    if kind == "LINEAR":
        classes = named.get("out") or " ".join(numbers[-1:])
        return f"-> {classes}" if classes else " ".join(words)
    if kind == "SE" and "ratio" in named:
        part = "/" if named["ratio"].isdecimal() else "*"
        return f"round8({' '.join(plain[:1]) or cin} {part} {named['ratio']})"
    if kind == "SE" and len(plain) == 2:
        return plain[1].replace("//", "/")
    if kind not in WINDOWED:
        return " ".join(plain)
    order = (role for role in _order(kind, named, numbers) if role not in named)
    said = {**dict(zip(order, numbers, strict=False)), **named}
    kernel = said.get("kernel") or " ".join(words[:1])
    rest = words if "kernel" in said else words[1:]
    grouped = said.get("groups", "1") != "1"
    return " ".join(
        (
            *([f"{kernel}x{kernel}" if kernel.isdecimal() else kernel] if kernel else []),
            *(["->", said["out"]] if kind == "CONV" and "out" in said else []),
            *rest,
            *([said["act"]] if "act" in said else []),
            *(["groups", said["groups"]] if grouped else []),
            *(["strided"] if said.get("stride", "1") != "1" else []),
        )
    )


def _is_size(value: str) -> bool:
    """Whether a value is a number, or a name of which nothing else is known."""
    return value.isdecimal() or value in ("cin", "cout") or not has_meaning(value)


def _order(kind: str, named: Mapping[str, str], numbers: Sequence[str]) -> tuple[str, ...]:
    """What the numbers of a call say: channels stand first in PyTorch, filters in Keras."""
    count = len(numbers)
    small = [n.isdecimal() and len(n) < 3 and int(n) % 2 == 1 for n in numbers]  # as a kernel is
    if kind not in ("CONV", "DWCONV"):
        return "kernel", "stride"
    if "kernel" in named:
        return ("out",) if count == 1 else ("in", "out", "stride")
    if count == 1 or (count == 2 and (kind == "DWCONV" or not small[1])):
        return "kernel", "stride" if kind == "DWCONV" else "out"
    if count == 2 or (count == 3 and small[1] and not small[2]):
        return "out", "kernel", "stride"
    return "in", "out", "kernel", "stride"


def renamed(stopped: Stopped) -> Iterator[Rewrite]:
    """`head { gap  fc -> 10 }`: a body's first ops by other names, which read as block types."""
    index, tokens = stopped.index, stopped.tokens
    after = index + (stopped.token.type == "NAME")
    first = after
    while first > 0 and first - 1 in stopped.runs and tokens[first - 1].type == "NAME":
        first -= 1
    words = tokens[first:after]
    kinds = [_meant(word.text, set(OPS)) if is_op(word.text) else None for word in words]
    if (
        first >= index
        or None in kinds
        or misspelt(stopped) is not None
        or "CONV" not in stopped.may_at(first - index)
    ):
        return
    meant = " ".join(keywords()[kind] for kind in kinds if kind)
    change, at = Change(first, after, meant), stopped.span(first, after)
    message, help = f"there is no op `{words[0].text}`", f"write `{meant}`"
    yield Rewrite("op", message, at, (change,), help, help, code="unknown-op", sure=True)


HABITS = (calls, renamed)
