"""Keys of stages and of pages in short or as one word with their number: `d2..4`, `max_flops`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Rewrite, Stopped
from spacedsl.syntax.words import keywords
from spacedsl.vocabulary import STAGE_LETTERS, synonyms

AMOUNTS = ("INT", "FLOAT", "QUANTITY")


def lettered(stopped: Stopped) -> Iterator[Rewrite]:
    """`d2..4`, `w32, 64`: the first number of a list with the first letter of its key."""
    index, word = stopped.index, stopped.at(-1)
    meant = STAGE_LETTERS.get(word.text.lower(), "")
    if stopped.token.type == "INT" and meant.upper() in stopped.may_at(-1):
        change, help = Change(index - 1, index, meant), f"write `{meant}`"
        message = f"unknown key `{word.text}`"
        yield Rewrite("letter", message, word.span, (change,), help, help, code="unknown-key")
    found = re.fullmatch(r"([a-z]|x)[_-]?([0-9]+)", word.text, re.IGNORECASE)
    if found is None or stopped.token.text not in ("..", ",", "-", "~", ":"):
        return
    key = STAGE_LETTERS.get(found[1].lower())
    may, at = stopped.may_at(-1), word.span
    if "INT" in may:
        meant = found[2]
    elif key is not None and key.upper() in may:
        meant = f"{key} {found[2]}"
    else:
        return
    change, help = Change(index - 1, index, meant), f"write `{meant}`"
    yield Rewrite("lettered", f"`{word.text}` is no number", at, (change,), help, help)


def factors(stopped: Stopped) -> Iterator[Rewrite]:
    """`width x1.0`, `width multiplier 0.75`: a factor of widths that are said elsewhere."""
    for by in (-1, 0):
        first = stopped.index + by
        if first not in stopped.runs or stopped.at(by - 1).type != "WIDTH":
            continue
        start = stopped.tokens[first].span.start
        line = stopped.source.text[start : start + 40]
        found = re.match(
            r"(?:mult\w*|scale|factor|alpha)?\s*[=:]?\s*[x*]?\s*([0-9]+\.[0-9]+)x?", line
        )
        if found is None or found[0] == found[1]:
            continue
        after = stopped.past(first, start + found.end())
        message = f"`{stopped.shown(first, after)}` is no width"
        help = (
            "a width is a number of channels: write those that the factor gives, as `width 16, 24`"
        )
        change, at = Change(first, after, "16"), stopped.span(first, after)
        yield Rewrite("factor", message, at, (change,), help, puts=(), sure=True)


def limits(stopped: Stopped) -> Iterator[Rewrite]:
    """`max_flops 900M`, `flops_limit = 900M`: a limit as one word."""
    index, word = stopped.index, stopped.at(-1)
    found = re.fullmatch(
        r"(?:max|maximum|limit|budget|target)_?([a-z]+)|([a-z]+)_?(?:limit|max|budget|target)",
        word.text.lower(),
    )
    if found is None or "LIMIT" not in stopped.may_at(-1):
        return
    said = found[1] or found[2]
    cost = next((c for c in (said, *synonyms(said)) if c in ("flops", "params", "memory")), None)
    after = index + (stopped.token.text in ("=", ":"))
    amount = stopped.tokens[min(after, len(stopped.tokens) - 1)]
    if cost is None or amount.type not in AMOUNTS:
        return
    at, change = stopped.span(index - 1, after), Change(index - 1, after, f"limit {cost}")
    help = f"write `limit {cost} {amount.text}`"
    message, title = f"unknown key `{word.text}`", f"write `limit {cost}`"
    yield Rewrite("limit", message, at, (change,), help, title, code="unknown-key", sure=True)


def decimals(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit params 5,3M`: a comma where English has a point."""
    index, whole = stopped.index, stopped.at(-2)
    if stopped.at(-1).text != "," or stopped.token.type not in ("QUANTITY", "FLOAT", "INT"):
        return
    touch = stopped.touches(0) and stopped.touches(-1) and whole.type == "INT"
    if not touch or "QUANTITY" not in stopped.may_at(-2) or stopped.may != {"NAME"}:
        return
    meant = f"{whole.text}.{stopped.token.text}"
    at, change = stopped.span(index - 2, index + 1), Change(index - 2, index + 1, meant)
    message = f"`{stopped.shown(index - 2, index + 1)}` is no number here"
    yield Rewrite("decimal", message, at, (change,), f"write `{meant}`", f"write `{meant}`")


def goals(stopped: Stopped) -> Iterator[Rewrite]:
    """`block b(kernel) -> cout {`: where a block goes to."""
    opening = stopped.at(2)
    if stopped.token.text in ("->", "=>") and opening.text == "{" and stopped.may == {"LBRACE"}:
        index = stopped.index
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "")
        message = f"`{stopped.shown(index, index + 2)}` does not stand here"
        help = "a block goes to the width of its stage: leave it out"
        yield Rewrite("goal", message, at, (change,), help, "leave it out")


def second_texts(stopped: Stopped) -> Iterator[Rewrite]:
    """`quality "onnxw" "mobilew"`: two texts where one stands."""
    index, before = stopped.index, stopped.at(-1)
    if stopped.token.type != "STRING" or stopped.is_first(0):
        return
    at, change = stopped.token.span, Change(index, index + 1, "")
    if before.type == "STRING":
        key = next(t.text for t in reversed(stopped.tokens[:index]) if t.type in keywords())
        message = f"`{key}` takes one text" if key != "runtime" else "a runtime has one version"
        yield Rewrite("texts", message, at, (change,), "keep one of them", puts=())
    elif before.text == "profile" and stopped.at(-2).type == "LATENCY":
        message = "`latency profile` takes no file"
        help = "what was measured on a device is found by the device: leave it out"
        yield Rewrite("texts", message, at, (change,), help, "leave it out")


HABITS = (lettered, factors, limits, decimals, goals, second_texts)
