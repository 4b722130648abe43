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
STEP = (
    rf"\s*(?::|\.\.|;|@|/|,?\s*(?:by|in steps of|steps|step\s*=|step:?|increment|every|\+))\s*{N}"
)
SPAN = re.compile(rf"(?:from\s+)?(?:{BETWEEN}(?:{STEP})?|{N}\s*\.\.\s*{N}{STEP})(?![\w.])")
CALL = re.compile(
    r"(?:list\s*\(\s*)?(?:np\.|numpy\.)?a?range\s*\(\s*([0-9]+)(?:\s*,\s*([0-9]+))?(?:\s*,\s*([0-9]+))?\s*\)\s*\)?"
)
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
        found = CALL.match(line) or SPAN.match(line)
        if not found:
            continue
        after = first
        while (
            after < len(stopped.tokens) - 1
            and stopped.tokens[after].span.end <= start + found.end()
        ):
            after += 1
        meant = _call(found) if found.re is CALL else _span(found)
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


def _span(found: re.Match[str]) -> str | None:
    first, last, step, other, end, by = found.groups()
    low, high = first or other, last or end
    stride = step or by
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
    if stopped.token.text == "." and stopped.at(-1).text == "..":
        change = Change(stopped.index, stopped.index + 1, "")
        at = stopped.span(stopped.index - 1, stopped.index + 1)
        yield Rewrite("range", "a range has two dots", at, (change,), "write `..`", "write `..`")


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


HABITS = (between, dots, choices)
