"""Ranges of latencies and costs, and words between a key and its number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from spacedsl.syntax.habits.numbers import quantity
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.vocabulary import synonyms

FILLERS = """
max maximum most at atmost up upto to less than under below latency latencies of is in size rate p
prob probability out outputs out_features features classes table file named name about total
exactly equal equals rgb nchw nhwc chw hwc
"""
"""What stands between a key and its number or text elsewhere, and says nothing more here."""

MOST_LIMITS = 8
EIGHT = re.compile(r"u?(int)?\s*8\W*([a-z]*\W*8?|bits?)", re.IGNORECASE)
"""Data types of 8 bits in other words."""

_N = r"([0-9]+(?:\.[0-9]+)?)\s*(us|ms|s|K|M|G)?"
_RANGE = re.compile(
    rf"{_N}\s*(?:\.\.\.?|-|~|:|/|\||\bto\b)\s*{_N}(?:\s*(?:step|by|:)\s*{_N})?(?![\w.])"
)


def spans(stopped: Stopped) -> Iterator[Rewrite]:
    """`limits 15ms..25ms`, `limits 15ms/25ms`, `limit flops 100M..900M`: a range of amounts."""
    for by in (-3, -2, -1, 0):
        first = stopped.index + by
        if first not in stopped.runs or "QUANTITY" not in stopped.may_at(by):
            continue
        start = stopped.tokens[first].span.start
        line = stopped.source.text[start : start + 80].partition("\n")[0]
        found = _RANGE.match(line)
        if found is None:
            continue
        after = min(stopped.past(first, start + found.end()), stopped.index + 8)
        latencies = any(t.type == "LIMITS" for t in stopped.tokens[max(0, first - 24) : first])
        meant = _listed(found) if latencies else f"{found[3]}{found[4] or ''}"
        said, at = found[0].strip(), stopped.span(first, after)
        message = (
            f"`{said}` is a range, but limits are single latencies"
            if latencies
            else f"`{said}` is a range, but a limit is the most that is allowed"
        )
        change, title = Change(first, after, meant), f"write `{meant}`"
        yield Rewrite("limits", message, at, (change,), title, title)


def _listed(found: re.Match[str]) -> str:
    """The latencies that a range of them means: its ends, or all of its steps."""
    low, one, high, other, step, third = found.groups()
    unit = one or other or third or "ms"
    ends = [Fraction(low), Fraction(high)]
    stride = Fraction(step) if step else Fraction(0)
    if stride > 0 and (ends[1] - ends[0]) / stride < MOST_LIMITS:
        count = int((ends[1] - ends[0]) // stride) + 1
        ends = [ends[0] + n * stride for n in range(count)]
    return ", ".join(f"{float(end):g}{unit}" for end in ends)


def fillers(stopped: Stopped) -> Iterator[Rewrite]:
    """`limits max 15ms`, `dropout p=0.2`, `linear out 10`, `latency table "onnxw"`."""
    for by in (-2, -1, 0):
        first = after = stopped.index + by
        if first not in stopped.runs or stopped.is_first(by):
            continue
        tokens = stopped.tokens
        while after < len(tokens) - 1 and tokens[after].text.lower() in FILLERS.split():
            after += 1
        words = after - first
        while words and after < len(tokens) - 1 and tokens[after].text in ("=", ":", "<", ">"):
            after += 1
        value = tokens[after]
        listed = value.text == "{" and tokens[after + 1].type in ("INT", "FLOAT")
        wanted = value.type in ("INT", "FLOAT", "QUANTITY", "STRING") or value.text in ("[", "(")
        wanted = wanted or listed or (value.type == "PAIR" and tokens[first - 1].type == "INPUT")
        if not words or not wanted or after < stopped.index:
            continue
        said, key = stopped.shown(first, after), tokens[first - 1].text
        change = Change(first, after, "")
        end = stopped.close(after, "{", "}") if listed else None
        closing = () if end is None else (Change(end, end + 1, ""),)
        if closing:
            change = Change(first, after + 1, "")
        arrow = tokens[first - 1].type == "LINEAR"
        if arrow:
            change = Change(first, after, "->")
        shown = tokens[after + 1].text if listed else value.text
        meant = f"{key} {'-> ' if arrow else ''}{shown}"
        yield Rewrite(
            "filler",
            f"`{said}` does not stand between `{key}` and what it takes",
            stopped.span(first, after),
            (change, *closing),
            f"write `{meant}`",
            f"write `{meant}`" if arrow else "leave it out",
        )


def types(stopped: Stopped) -> Iterator[Rewrite]:
    """`types u8, s8`, `types 8bit`: data types in several words."""
    before = [t.type for t in stopped.tokens[max(0, stopped.index - 2) : stopped.index]]
    named = (by for by in (0, -1) if "types" in synonyms(stopped.at(by).text))
    by = next((by for by in named if "TYPES" in stopped.may_at(by)), None)
    if "TYPES" in before:
        first = stopped.index - before[::-1].index("TYPES")
    elif by is not None:
        first = stopped.index + by + 1
    else:
        return
    after = stopped.line_end(first)
    while after > first + 1 and stopped.tokens[after - 1].text in ("}", "{"):
        after -= 1
    said = stopped.shown(first, after)
    if EIGHT.fullmatch(said) and "TYPES" in before:
        change = Change(first, after, "u8s8")
        message = f"`{said}` says no data types here"
        help = "write `u8s8`: uint8 activations, int8 weights"
        yield Rewrite("types", message, stopped.span(first, after), (change,), help, "write `u8s8`")
    elif by is not None and EIGHT.fullmatch(said.strip("=: '\"")):
        change, help = Change(first - 1, after, "types u8s8"), "write `types u8s8`"
        key = stopped.tokens[first - 1]
        message = f"unknown key `{key.text}`"
        yield Rewrite("types", message, key.span, (change,), help, help, code="unknown-key")


def texts(stopped: Stopped) -> Iterator[Rewrite]:
    """`device "phone", "LiteRT"`; `runtime "litert" 2.1`, `runtime litert 2.1`."""
    index, token = stopped.index, stopped.token
    last = stopped.at(-1)
    if token.text == "," and last.type == stopped.at(1).type == "STRING":
        whole = f'"{last.text[1:-1]}, {stopped.at(1).text[1:-1]}"'
        key = stopped.at(-2).text
        change, at = Change(index - 1, index + 2, whole), stopped.span(index - 1, index + 2)
        message = f"`{key}` takes one text"
        if stopped.at(-2).type in ("QUALITY", "RUNTIME", "LATENCY"):
            cut, change = stopped.span(index, index + 2), Change(index, index + 2, "")
            yield Rewrite("texts", message, cut, (change,), "keep one of them", puts=())
            return
        if stopped.at(-2).type == "USE":
            another = f"use {stopped.at(1).text}"
            apart, cut = Change(index, index + 2, another), stopped.span(index, index + 2)
            help, puts = "write a `use` for each", (Put(cut, f"\n{another}"),)
            yield Rewrite("texts", message, at, (apart,), help, "write it again", puts)
            return
        yield Rewrite("texts", message, at, (change,), f"write `{key} {whole}`", "make them one")
    version = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)$")
    if last.type == "STRING" and stopped.at(-2).type == "RUNTIME" and "STRING" in stopped.may:
        after = index
        while after < stopped.line_end(index) and stopped.tokens[after].text not in "{}":
            after += 1
        found = version.match(stopped.shown(index, after)) if after > index else None
        if found:
            text = f'"{found[1]}"'
            change, at = Change(index, after, text), stopped.span(index, after)
            message = "a runtime's version stands in quotes"
            yield Rewrite("version", message, at, (change,), f"write `{text}`", "put it in quotes")
    if last.type == "RUNTIME" and token.type == "NAME":
        after = stopped.line_end(index)
        name, _, number = stopped.shown(index, after).partition(" ")
        found = version.match(number)
        if found:
            text = f'"{name}" "{found[1]}"'
            change, at = Change(index, after, text), stopped.span(index, after)
            message = "`runtime` takes texts in quotes"
            help = f"write `runtime {text}`"
            yield Rewrite("version", message, at, (change,), help, "put them in quotes")


def bracketed(stopped: Stopped) -> Iterator[Rewrite]:
    """`limits [15, 25] ms`: a list with its unit behind it."""
    index, closing = stopped.index, {"[": "]", "(": ")", "{": "}"}.get(stopped.token.text)
    end = stopped.close(index, stopped.token.text, closing) if closing else None
    if end is None or stopped.at(-1).type != "LIMITS":
        return
    unit = stopped.tokens[end + 1]
    numbers = re.findall(r"[0-9]+(?:\.[0-9]+)?", stopped.shown(index, end))
    amounts = [quantity(number, unit.text, time=True) for number in numbers]
    if unit.type == "NAME" and None not in amounts:
        meant = ", ".join(filter(None, amounts))
        at, change = stopped.span(index, end + 2), Change(index, end + 2, meant)
        message = f"`{stopped.shown(index, end + 2)}` is no list of latencies"
        help = f"every number has its unit: write `{meant}`"
        yield Rewrite("limits", message, at, (change,), help, f"write `{meant}`")


_UNITLESS = re.compile(
    r"\w+\s*[:=]?\s*([\[({])?\s*(\d+(?:\.\d+)?(?:[ \t]*,[ \t]*\d+(?:\.\d+)?)*)(?(1)\s*[\])}])"
)


def named_units(stopped: Stopped) -> Iterator[Rewrite]:
    """Reads `limits_ms 15, 25` and `limits_ms: [15, 25]`, where the key's name holds the unit."""
    for by in (0, -1):
        first, word = stopped.index + by, stopped.at(by)
        start = word.span.start
        found = _UNITLESS.match(stopped.source.text, start, start + 120)
        named = word.text.lower().endswith("_ms") and "limits" in synonyms(word.text)
        if not named or found is None or "LIMITS" not in stopped.may_at(by):
            continue
        after = stopped.past(first, found.end())
        meant = f"limits {', '.join(f'{n}ms' for n in re.split('[, ]+', found[2]))}"
        change, help = Change(first, after, meant), f"write `{meant}`"
        message = f"unknown key `{word.text}`"
        yield Rewrite(
            "unit", message, word.span, (change,), help, help, code="unknown-key", sure=True
        )


def sources(stopped: Stopped) -> Iterator[Rewrite]:
    """`profile` alone, for `latency profile`."""
    token, index = stopped.token, stopped.index
    named = token.text.lower() in ("profile", "profiled", "measure", "measured")
    if named and "LATENCY" in stopped.may and stopped.is_first(0):
        after = index + 1 + (stopped.at(1).type == "LATENCY")
        change, help = Change(index, after, "latency profile"), "write `latency profile`"
        message = f"unknown key `{token.text}`"
        yield Rewrite("source", message, token.span, (change,), help, help, code="unknown-key")


HABITS = (named_units, bracketed, spans, types, texts, sources, fillers)
