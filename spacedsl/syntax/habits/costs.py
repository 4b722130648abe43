"""Limits and stages as they are said elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.habits.numbers import SCALES, quantity
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.vocabulary import scaled_amount

MOST = ("max", "maximum", "most", "total", "all", "upper", "under", "below")
NONE = ("none", "inf", "infinity", "unlimited", "any", "off", "no", "null", "nan")
AMOUNTS = ("INT", "FLOAT", "QUANTITY")
ON = "a limit is on `flops`, `params` or `memory`; a target says its latencies: `limits 15ms`"


def words(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit max flops 900M`, `limit flops none`."""
    index, token, before = stopped.index, stopped.token, stopped.at(-1)
    if stopped.at(-2).type == "LIMIT" and before.text.lower() in MOST and token.type == "NAME":
        message = f"`{before.text}` does not stand before `{token.text}`"
        change, help = Change(index - 1, index, ""), "a limit is the most that is allowed"
        yield Rewrite("most", message, before.span, (change,), help, "leave it out", sure=True)
    limited = "QUANTITY" in stopped.may and before.type == "NAME"
    if limited and token.text.lower() in NONE and stopped.at(-2).text in ("limit", ","):
        message = f"`{token.text}` is no limit"
        change, help = Change(index, index + 1, "1M"), f"without a limit, leave `{before.text}` out"
        yield Rewrite("none", message, token.span, (change,), help, puts=(), sure=True)


def units(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit flops 900MM`, `900M MACs`, `20Mbit`: a unit behind an amount that has one, or none."""
    index, unit = stopped.index, stopped.at(-1)
    amount, may = stopped.at(-2), stopped.may_at(-2)
    limited = amount.type in AMOUNTS and "QUANTITY" in may and "DEVICE" not in stopped.may_at(-1)
    known = unit.text.lower() in SCALES[""].split()
    attached = stopped.touches(-1) and unit.text[:1].isalpha()
    if unit.type != "NAME" or not limited or not (known or attached):
        return
    if amount.type != "QUANTITY" and quantity(amount.text, unit.text, time=False):
        return
    at, said = stopped.span(index - 2, index), stopped.shown(index - 2, index)
    change, message = Change(index - 1, index, ""), f"`{said}` is no amount"
    help = f"write `{amount.text}`" if known else "the units are K, M and G: write `900M`"
    puts = None if known else ()
    yield Rewrite(
        "unit", message, at, (change,), help, "leave it out", puts, code="unknown-unit", sure=True
    )


def scaled(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit gflops 0.9`: the scale of a number in the name of its cost."""
    index, name = stopped.index, stopped.at(-1)
    meant = scaled_amount(name.text, stopped.token.text)
    if "QUANTITY" in stopped.may and stopped.token.type == "FLOAT" and meant is not None:
        change = Change(index - 1, index + 1, meant)
        message = f"unknown cost `{name.text}`"
        help = f"write `{meant}`"
        yield Rewrite("cost", message, name.span, (change,), help, help, code="unknown-cost")


def signs(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit flops ~900M`, `limit flops >= 900M`."""
    index, sign = stopped.index, stopped.token.text
    after = index + 1 + (sign == ">" and stopped.at(1).text == "=")
    value = stopped.tokens[min(after, len(stopped.tokens) - 1)]
    if "QUANTITY" not in stopped.may or value.type not in AMOUNTS:
        return
    said, at, change = (
        stopped.shown(index, after),
        stopped.span(index, after),
        Change(index, after, ""),
    )
    if sign in ("~", "\u2248"):
        message = f"`{said}` does not stand before a number"
        yield Rewrite("about", message, at, (change,), f"write `{value.text}`", "leave it out")
    if sign == ">":
        message = f"`{said}` says the least, but a limit is the most that is allowed"
        yield Rewrite("least", message, at, (change,), f"at most is `{value.text}` alone", puts=())


def latencies(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit flops 900M, latency(vnni) 15ms`."""
    index = stopped.index
    if stopped.token.type == "LATENCY" and stopped.at(-1).text == "," and stopped.may == {"NAME"}:
        change = Change(index - 1, stopped.line_end(index), "")
        message = "a limit is not on `latency`"
        yield Rewrite(
            "latency",
            message,
            stopped.token.span,
            (change,),
            ON,
            puts=(),
            code="reserved-word",
            sure=True,
        )


def headers(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage1 of stage0 {`, `stage1: mbv2 {`, `stage1 x 2 {`, `stage1, stage2 {`."""
    index, name, tokens = stopped.index, stopped.at(-1), stopped.tokens
    staged = name.type == "NAME" and "LBRACE" in stopped.may and "OF" not in stopped.may
    begins = stopped.is_first(-1) or stopped.at(-2).type == "ELASTIC"
    after = index
    while (
        after < len(tokens) - 1
        and tokens[after].text != "{"
        and not stopped.is_first(after - index)
    ):
        after += 1
    if not (staged and begins) or tokens[after].text != "{" or after == index:
        return
    said, at = stopped.shown(index, after), stopped.span(index, after)
    drop, opening = Change(index, after, ""), tokens[after].span
    block = re.fullmatch(r"(?:[:=]\s*|\(\s*)([A-Za-z][\w-]*)\s*\)?", said)
    times = re.fullmatch(r"[x*]\s*([0-9]+)", said)
    if re.fullmatch(r"of\s+[\w-]+", said):
        message, help = f"a stage is of nothing: `{said}`", "leave it out"
        yield Rewrite("header", message, at, (drop,), help, help)
    elif said == ",":
        yield Rewrite("comma", "no `,` stands here", at, (drop,), "leave it out", "leave it out")
    elif said in ("->", "=>", ":=", "::"):
        message = f"`{said}` opens no body"
        yield Rewrite("header", message, at, (drop,), "leave it out", "leave it out")
    elif said.startswith(","):
        message, help = "a stage has one name", "write each stage for itself"
        yield Rewrite("header", message, at, (drop,), help, puts=())
    elif block:
        message = f"`{block[1]}` stands in the braces of its stage"
        help = f"write `{name.text} {{ {block[1]}`"
        puts = (Put(at, ""), Put(opening, f"{{ {block[1]}"))
        change = Change(index, after + 1, f"{{ {block[1]}")
        yield Rewrite("header", message, at, (change,), help, help, puts)
    elif times:
        message = f"`{said}` does not stand behind a stage's name"
        help = f"how often a block stands is the stage's depth: `depth {times[1]}`"
        yield Rewrite("header", message, at, (drop,), help, puts=())


HABITS = (words, units, scaled, signs, latencies, headers)
