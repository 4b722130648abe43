"""Ranges and lists as they are written elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from spacedsl.syntax.habits.characters import SIGNS
from spacedsl.syntax.rewrite import Change, Rewrite, Stopped

NUMBERS = ("INT", "FLOAT")
TO = ("to", "through", "until", "till", "thru", "-", "~", ":", "...")
BY = ("by", "in", "steps", "stepsize", "increment", "per", "every")
N = r"([0-9]+(?:\.[0-9]+)?)"
BETWEEN = rf"{N}\s*(?:-|~|:|\.\.\.|\.\.=|\bto\b|\bthrough\b|\bthru\b|\buntil\b|\btill\b)\s*{N}"
_WORDS = r"by|in steps of|steps|step\s*=|step:?|step_?size\s*=?|increment|every|\+"
STEP = rf"\s*(?::|\.\.|;|@|/|[(\[]|,?\s*(?:{_WORDS}))\s*{N}(?:\s*[)\]])?"
SPAN = re.compile(rf"(?:from\s+)?(?:{BETWEEN}(?:{STEP})?|{N}\s*\.\.\s*{N}{STEP})(?![\w.])")
_LOW, _HIGH = r"min(?:imum)?\s*[=: ]\s*", r"max(?:imum)?\s*[=: ]\s*"
_BY = rf"(?:\s*,?\s*(?:step|by)\s*[=:]?\s*{N})?"
LIMITED = [
    re.compile(rf"{_LOW}{N}\s*,?\s*{_HIGH}{N}{_BY}(?![\w.])"),
    re.compile(rf"[{{(\[]\s*{_LOW}{N}\s*,?\s*{_HIGH}{N}{_BY}\s*[)\]}}]"),
    re.compile(rf"[\[({{]\s*{N}\s*,\s*{N}\s*[\])}}]\s*,?\s*(?:step|by)\s*[=:]?\s*{N}(?![\w.])"),
    re.compile(rf"between\s+{N}\s+and\s+{N}{_BY}(?![\w.])"),
    re.compile(rf"{N}\s*<=?\s*\w+\s*<=?\s*{N}()(?![\w.])"),
    re.compile(rf"\w*(?:uniform|randint|interval)\s*\(\s*{N}\s*,\s*{N}(?:\s*,\s*{N})?\s*\)"),
]
"""Two ends and a step, in other words."""
DOTTED = re.compile(rf"{N}\s*,\s*(?:{N}\s*,\s*)?\.\.\.?\s*,\s*{N}(?![\w.])")
SLASHED = re.compile(rf"{N}(?:\s*/\s*{N})+(?![\w.])")
CALL = re.compile(
    r"(?:list\s*\(\s*)?(?:np\.|numpy\.)?a?range\s*\(\s*([0-9]+)(?:\s*,\s*([0-9]+))?(?:\s*,\s*([0-9]+))?\s*\)\s*\)?"
)
EVENLY = re.compile(r"(?:np\.|numpy\.)?linspace\s*\(\s*([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)\s*\)")
MOST_EVENLY = 32
DASHES = dict.fromkeys(map(ord, SIGNS["-"]), "-")
CHOICE = ("choice", "choices", "one_of", "oneof", "any_of", "values", "list", "set", "tuple")


def between(stopped: Stopped) -> Iterator[Rewrite]:
    """`32-64`, `32 to 64`, `32...64`, `32:64:16`, `32..64 by 16`, `range(32, 65, 16)`."""
    for by in range(-6, 1):
        first = stopped.index + by
        if first < 0 or first not in stopped.runs or not stopped.may_at(by) & {"INT", "FLOAT"}:
            continue
        start = stopped.tokens[first].span.start
        text = stopped.source.text
        line = text[start : min(start + 80, (text.find("\n", start) + 1 or len(text) + 1) - 1)]
        line = line.translate(DASHES)
        found, meant = _meant(line)
        halves = found is not None and found.re is SLASHED and found[0].count("/") == 1
        if not found or (halves and stopped.at(by - 1).text not in ("depth", "width", "kernel")):
            continue
        after = stopped.past(first, start + found.end())
        if meant is not None and after > stopped.index:
            said = found[0].strip()
            note = ", both ends included" if found.re is CALL else ""
            yield Rewrite(
                "range",
                f"`{said}` is no range here",
                stopped.span(first, after),
                (Change(first, after, meant),),
                f"write `{meant}`{note}",
                f"write `{meant}`",
            )


def _meant(line: str) -> tuple[re.Match[str] | None, str | None]:
    """What a line begins with, and how it is written here."""
    if found := CALL.match(line):
        return found, _call(found)
    if found := EVENLY.match(line):
        return found, _evenly(found)
    if found := DOTTED.match(line):
        first, second, last = found.groups()
        apart = Fraction(second) - Fraction(first) if second else Fraction(1)
        return found, f"{first}..{last}" + (f" step {float(apart):g}" if apart != 1 else "")
    for pattern in LIMITED:
        if found := pattern.match(line):
            low, high, step = found.groups()
            return found, f"{low}..{high}" + (f" step {step}" if step else "")
    if found := SPAN.match(line):
        return found, _span(found)
    found = SLASHED.match(line)
    return found, re.sub(r"\s*/\s*", ", ", found[0]) if found else None


def _evenly(found: re.Match[str]) -> str | None:
    """NumPy's linspace: so many numbers between two ends, both included."""
    first, last, count = (int(n[:9]) for n in found.groups())
    if not 1 < count <= MOST_EVENLY or (last - first) % (count - 1):
        return None
    return ", ".join(str(first + n * (last - first) // (count - 1)) for n in range(count))


def _span(found: re.Match[str]) -> str | None:
    first, last, step, other, end, by = found.groups()
    low, high = first or other, last or end
    stride = step or by
    if stride and float(high) < float(low) < float(stride):
        high, stride = stride, high  # start:step:stop
    return f"{low}..{high}" + (f" step {stride}" if stride and Fraction(stride) != 1 else "")


def _call(found: re.Match[str]) -> str | None:
    """Python's range, which leaves out its end."""
    numbers = [int(n[:9]) for n in found.groups() if n is not None]
    first, stop = (0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
    step = numbers[2] if len(numbers) == 3 else 1
    if step < 1 or stop <= first:
        return None
    last = first + (stop - 1 - first) // step * step
    if last == first:
        return str(first)
    return f"{first}..{last}" + (f" step {step}" if step > 1 else "")


def dots(stopped: Stopped) -> Iterator[Rewrite]:
    """`32...64`, `32. .64`."""
    index, first = stopped.index, stopped.at(1)
    if stopped.token.text == ".." and first.type == "INT" and "INT" in stopped.may:
        step, count = stopped.at(2).type == "STEP", stopped.at(3).text[:9]
        by = int(count) if step and count.isdecimal() else 1
        start = (int(first.text[:9]) - 1) % max(by, 1) + 1
        change = Change(index, index + 2, f"{start}..{first.text}")
        at = stopped.span(index, index + 2)
        help = f"a range has two ends: write `{start}..{first.text}`"
        yield Rewrite("open", "a range without its first end", at, (change,), help, help[22:])
    if stopped.token.text == "." and stopped.at(-1).text == "..":
        change = Change(stopped.index, stopped.index + 1, "")
        at = stopped.span(stopped.index - 1, stopped.index + 1)
        yield Rewrite("range", "a range has two dots", at, (change,), "write `..`", "write `..`")


def open_ends(stopped: Stopped) -> Iterator[Rewrite]:
    """`depth 1+`, `width >= 32`: a range whose greater end nobody said."""
    for by in (-2, -1, 0):
        first = stopped.index + by
        if first not in stopped.runs or not stopped.may_at(by) & {"INT", "FLOAT"}:
            continue
        start = stopped.tokens[first].span.start
        line = stopped.source.text[start : start + 40].partition("\n")[0]
        found = re.match(rf"(?:{N}\s*(?:\+|or more|and up)|>=?\s*{N})(?![\w.])", line)
        if found is None or re.match(r"\s*[0-9]", line[found.end() :]):
            continue
        after = stopped.past(first, start + found.end())
        number = found[1] or found[2]
        yield Rewrite(
            "open",
            f"`{found[0]}` is a range without its greater end",
            stopped.span(first, after),
            (Change(first, after, number),),
            f"say both ends, as `{number}..{4 * Fraction(number)}`",
            puts=(),
        )


def choices(stopped: Stopped) -> Iterator[Rewrite]:
    """`choice(3, 5)`, `list(3, 5)`."""
    name = stopped.at(-1)
    if stopped.token.text == "(" and name.text.lower() in CHOICE:
        end = stopped.close(stopped.index, "(", ")")
        if end is not None:
            first = stopped.index - 1
            drop = Change(first, first + 2, ""), Change(end, end + 1, "")
            help = "write the values with commas between them: `3, 5`"
            message = f"a list needs no `{name.text}(...)`"
            yield Rewrite("choice", message, name.span, drop, help, "write the values only")


HABITS = (between, dots, open_ends, choices)
