"""Numbers and units as they are written elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import OPERATORS
from spacedsl.vocabulary import is_unit_left_out

NUMBERS = ("INT", "FLOAT")
TIMES = {
    "us": "us usec usecs microsecond microseconds",
    "ms": "ms m msec msecs millis millisecond milliseconds",
    "s": "s sec secs second seconds",
}
SCALES = {
    "": "flops flop macs mac madds params b byte bytes ops",
    "K": "k kb kflops kparams thousand kmacs",
    "M": "m mb mflops mflop mmacs mmac mmadds mparams million mio mil mops",
    "G": "g gb gflops gflop gmacs gmac gmadds billion bn b",
}
MINUTES = ("min", "mins", "minute", "minutes")
RATES = ("fps", "hz", "ips", "qps")
"""Inferences a second: the latency is the inverse."""
BINARY = {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


def amounts(stopped: Stopped) -> Iterator[Rewrite]:
    """`900 M`, `900MFLOPs`, `2MB`, `15 ms`, `15msec`: a number and its unit, read before."""
    for by in (-2, -1, 0):
        number, unit = stopped.at(by), stopped.at(by + 1)
        if number.type not in NUMBERS or unit.type not in ("NAME", "SETTING", "X"):
            continue
        first = stopped.index + by
        words = [unit.text]
        if stopped.at(by + 2).type == "NAME" and not stopped.is_first(by + 2):
            words.append(stopped.at(by + 2).text)
        if stopped.is_first(by + 1):
            continue
        if "QUANTITY" in stopped.may_at(by):
            yield from _amount(stopped, first, number.text, words)
        elif is_unit_left_out(unit.text) and (stopped.touches(by + 1) or len(unit.text) > 1):
            said = stopped.shown(first, first + 2)
            yield Rewrite(
                "plain",
                f"`{said}` has a unit that needs none",
                stopped.span(first, first + 2),
                (Change(first, first + 2, number.text),),
                f"write `{number.text}`",
                "leave out the unit",
            )


def _amount(stopped: Stopped, first: int, number: str, words: list[str]) -> Iterator[Rewrite]:
    for count in range(len(words), 0, -1):
        after = first + 1 + count
        unit = "".join(words[:count])
        if unit.lower() == "b" and stopped.tokens[first - 1].text.lower() != "memory":
            unit = "bn"  # nobody counts operations or weights in bytes
        meant = quantity(number, unit, _is_time(stopped, first))
        if meant is not None:
            while (more := _next_amount(stopped, after)) is not None:
                meant, after = f"{meant}, {more}", after + 2
            said = " ".join(stopped.shown(first, after).split())
            help = f"a number and its unit are one word: write `{meant}`"
            change = Change(first, after, meant)
            message = f"`{said}` is no {'list of amounts' if ',' in meant else 'amount'}"
            at = stopped.span(first, after)
            yield Rewrite(
                "amount",
                message,
                at,
                (change,),
                help,
                f"write `{meant}`",
                code="unknown-unit",
                sure=True,
            )


def _next_amount(stopped: Stopped, number: int) -> str | None:
    """The amount in two words that stands at token `number`, after another without a comma."""
    if number + 1 >= len(stopped.tokens) or "\n" in stopped.shown(number - 1, number + 2):
        return None
    found, unit = stopped.tokens[number : number + 2]
    if found.type not in NUMBERS or unit.type != "NAME":
        return None
    return quantity(found.text, unit.text, _is_time(stopped, number))


def _is_time(stopped: Stopped, first: int) -> bool:
    """Whether a time is read there: a target's limits, its anchor."""
    before = [t.type for t in stopped.tokens[max(0, first - 12) : first]]
    keys = [kind for kind in before if kind in ("LIMIT", "LIMITS", "ANCHOR")]
    return not keys or keys[-1] != "LIMIT"


def quantity(number: str, unit: str, time: bool) -> str | None:
    """A quantity as it is written here; None where the unit is none of this kind."""
    word = unit.lower().rstrip(".")
    if time and word in MINUTES:
        return f"{_digits(60 * Fraction(number))}s"
    if time and word in RATES and Fraction(number) > 0:
        return f"{1000 / float(number):.3g}ms" if float(number) <= 1000 else None
    if word == "b" and not time and Fraction(number).denominator > 1:
        return f"{number}G"  # billions; there are no parts of bytes
    for short, known in (TIMES if time else SCALES).items():
        if word in known.split():
            return f"{number}{short}"
    if not time and word in BINARY:
        return _digits(Fraction(number) * BINARY[word])
    power = re.fullmatch(r"e([+-]?[0-9]{1,2})", word)
    if power:
        amount = Fraction(number) * Fraction(10) ** int(power[1])
        return _digits(amount) and (f"{_digits(amount)}ms" if time else short_amount(amount))
    return None


def short_amount(amount: Fraction) -> str | None:
    """A whole amount with K, M or G where that is shorter."""
    if amount.denominator != 1:
        return None
    for letter, scale in (("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if amount >= scale and (amount * 1000 / scale).denominator == 1:
            return f"{_digits(amount / scale)}{letter}"
    return str(amount)


def _digits(value: Fraction) -> str | None:
    """A number in at most six decimals; None where it needs more."""
    if 10**6 % value.denominator:
        return None
    return f"{(Decimal(value.numerator) / value.denominator).normalize():f}"


def notations(stopped: Stopped) -> Iterator[Rewrite]:
    """`50%`, `1/2`, `.5`, `5.`, `1e-1`, `1_000`, `16*2`, `2.0` where a whole number stands."""
    for by in (-2, -1, 0):
        first = stopped.index + by
        for width in range(5, 0, -1):
            if first < 0 or first + width >= len(stopped.tokens) or width < max(1, -by):
                continue
            if first not in stopped.runs:
                continue
            said = stopped.shown(first, first + width)
            value, may = _value(said), stopped.may_at(by)
            apart = re.search(r"[0-9] [0-9]", said) and "QUANTITY" not in may
            goes_on = stopped.tokens[first + width].text in ("^", "**")
            if value is None or "\n" in said or apart or goes_on:
                continue
            text = short_amount(value) if "QUANTITY" in may else _digits(value)
            if text is not None and "QUANTITY" in may and _is_time(stopped, first):
                text = f"{_digits(value)}ms"
            if "/" in said and stopped.at(by - 1).text in ("depth", "width", "kernel"):
                continue  # a list
            if text is None:
                text = _digits(Fraction(round(value * 100), 100))
                about = True
            else:
                about = False
            word = "is about" if about else "is written"
            yield Rewrite(
                "number",
                f"`{said}` is no number here",
                stopped.span(first, first + width),
                (Change(first, first + width, text or "1"),),
                f"it {word} `{text}`",
                f"write `{text}`",
            )


def _value(said: str) -> Fraction | None:
    """What a number in another notation is worth."""
    plain = re.fullmatch(r"\+?([0-9]{0,15}(?:\.[0-9]*)?)(?:[eE]([+-]?[0-9]{1,2}))?", said)
    if plain and re.search(r"[0-9]", plain[1]) and plain[0] != "":
        base = Fraction(plain[1].rstrip(".") or "0") if plain[1] != "." else None
        return None if base is None else base * Fraction(10) ** int(plain[2] or 0)
    comma = re.fullmatch(r"0,([0-9]{1,6})", said)
    if comma:
        return Fraction(f"0.{comma[1]}")
    power = re.fullmatch(r"([0-9]{1,4})\s*(?:\*\*|\^)\s*([0-9])", said)
    if power:
        return Fraction(power[1]) ** int(power[2])
    power = re.fullmatch(
        r"([0-9]{1,4}(?:\.[0-9]+)?)\s*[*x]\s*10\s*(?:\*\*|\^)\s*([0-9]{1,2})", said
    )
    if power:
        return Fraction(power[1]) * Fraction(10) ** int(power[2])
    percent = re.fullmatch(r"([0-9]{1,5}(?:\.[0-9]+)?)\s*%", said)
    if percent:
        return Fraction(percent[1]) / 100
    grouped = re.fullmatch(r"[0-9]{1,3}(?:([,_' ])[0-9]{3})(?:\1[0-9]{3})*", said)
    grouped = grouped or re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}", said)
    if grouped:
        return Fraction(re.sub(r"[^0-9]", "", said))
    sum_ = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)\s*([*/+])\s*([0-9]{1,6}(?:\.[0-9]+)?)", said)
    if sum_ and not (sum_[2] == "/" and Fraction(sum_[3]) == 0):
        left, right = Fraction(sum_[1]), Fraction(sum_[3])
        return {"*": left * right, "/": left / right if right else None, "+": left + right}[sum_[2]]
    return None


def swapped(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit 900M flops`."""
    index, token, name = stopped.index, stopped.token, stopped.at(1)
    limited = stopped.at(-1).type == "LIMIT" or _in_limit(stopped)
    if limited and token.type in ("QUANTITY", "INT") and name.type == "NAME":
        meant = f"{name.text} {token.text}"
        change, at = Change(index, index + 2, meant), stopped.span(index, index + 2)
        message = "a limit says first what it is on"
        help = f"write `limit {meant}`"
        yield Rewrite("swapped", message, at, (change,), help, f"write `{meant}`")
    said = stopped.at(-1).text in ("flops", "params", "memory") and stopped.is_first(-1)
    if said and "LIMIT" in stopped.may_at(-1):
        first = index - 1
        change = Change(first, index, f"limit {stopped.at(-1).text}")
        message = f"`{stopped.at(-1).text}` is no key"
        if first > 2 and stopped.tokens[first - 1].type in ("QUANTITY", "INT"):
            change = Change(first, index, f", {stopped.at(-1).text}")
        help = f"write `limit {stopped.at(-1).text} {token.text}`"
        at = stopped.at(-1).span
        yield Rewrite("limit", message, at, (change,), help, "put in `limit`", code="unknown-key")


def _in_limit(stopped: Stopped) -> bool:
    """Whether a further cost of a limit is read here."""
    before = [t.type for t in stopped.tokens[max(0, stopped.index - 8) : stopped.index]]
    return stopped.at(-1).type == "COMMA" and "LIMIT" in before and stopped.may == {"NAME"}


def unitless(stopped: Stopped) -> Iterator[Rewrite]:
    """`limits 15, 25`, `limits 15, 25s`, `limits 15,5ms`."""
    token, index = stopped.token, stopped.index
    alone = not stopped.touches(1) or stopped.at(1).type not in ("NAME", "UNKNOWN", "SETTING")
    if not (token.type in NUMBERS and "QUANTITY" in stopped.may and alone):
        return
    if not _is_time(stopped, index):
        return
    start = token.span.start
    line = stopped.source.text[start : start + 80].partition("\n")[0]
    listed = re.match(r"[0-9., \t]*?[0-9][ \t]*(us|ms|s)\b", line)
    if float(token.text) < 1 and not listed:
        message, help = f"{token.text} has no unit", f"say it, as `{token.text}s`: seconds have `s`"
        change = Change(index, index + 1, f"{token.text}s")
        yield Rewrite(
            "unit", message, token.span, (change,), help, puts=(), code="unknown-unit", sure=True
        )
        return
    last = listed[1] if listed else "ms"
    meant = f"{token.text}{last}"
    change = Change(index, index + 1, meant)
    unit = "for milliseconds" if meant.endswith("ms") else "with the unit of the others"
    ways = [(token.span, change, f"{token.text} has no unit", f"write `{meant}` {unit}", meant)]
    decimal = re.match(r"([0-9]+),([0-9]+)([ \t]*(?:us|ms|s)\b)?(?![0-9])", line)
    if decimal and token.type == "INT":
        point = f"{decimal[1]}.{decimal[2]}{(decimal[3] or last).strip()}"
        after = stopped.past(index, start + decimal.end())
        at, said = stopped.span(index, after), decimal[0].strip()
        help = f"write `{point}` for one latency; two have a blank after the comma"
        way = (at, Change(index, after, point), f"`{said}` is no number here", help, point)
        ways.insert(int(decimal[2]) > int(decimal[1]), way)  # limits are listed in their order
    at, change, message, help, text = ways[0]
    also = tuple((f"write `{other}`", (Put(span, other),)) for span, _, _, _, other in ways[1:])
    yield Rewrite(
        "unit", message, at, (change,), help, f"write `{text}`", also=also, code="unknown-unit"
    )


def negatives(stopped: Stopped) -> Iterator[Rewrite]:
    """`width -16`."""
    number = stopped.at(1).type in (*NUMBERS, "QUANTITY")
    listed = (stopped.is_first(0) or stopped.at(-1).text == "{") and not stopped.touches(1)
    if stopped.token.text == "-" and number and not listed and stopped.may & {"INT", "QUANTITY"}:
        first = stopped.index
        said = stopped.shown(first, first + 2)
        change = Change(first, first + 2, stopped.at(1).text)
        message = f"`{said}` is negative"
        help = "sizes and settings are never below 0"
        yield Rewrite("negative", message, stopped.span(first, first + 2), (change,), help, puts=())


def several(stopped: Stopped) -> Iterator[Rewrite]:
    """`stride 1, 2`, `window 2..3`, `width cin + 8, cin + 16`: a list where one number stands."""
    if stopped.token.text not in (",", "..") or stopped.at(-1).type not in NUMBERS:
        return
    first, grows = stopped.index, [stopped.at(by).text for by in (-4, -3)] == ["width", "cin"]
    key = stopped.shown(first - 4, first - 1) if grows else stopped.at(-2).text
    after = first + 1
    while stopped.tokens[after].type in (*NUMBERS, "COMMA", "__ANON_2", "STEP") or (
        grows and (stopped.tokens[after].text == "cin" or stopped.tokens[after].type in OPERATORS)
    ):
        after += 1
    if after > first + 1:
        one = f"write one of them, as `{key} {stopped.at(-1).text}`"
        if key in ("stride", "dilation") and stopped.token.text == ",":
            one += f", or rows and columns as `{stopped.at(-1).text}x{stopped.at(1).text}`"
        yield Rewrite(
            "several",
            f"`{key}` takes one number, not several",
            stopped.span(first - 1, after),
            (Change(first, after, ""),),
            f"{one}, or list the widths to choose from: `width 32, 48`" if grows else one,
            puts=(),
            code="bad-value",
        )


_GROUPED = re.compile(
    r"([0-9]{1,3}(?:([.,' \u2019])[0-9]{3})(?:\2[0-9]{3})*)(?:([.,])([0-9]{1,6}))?"
    r"[ \t]*(us|ms|s|K|M|G)?(?![\w.']|,[0-9])"
)
"""A number with a sign between its thousands."""


def grouped(stopped: Stopped) -> Iterator[Rewrite]:
    """`limits 1.000,5ms`, `limits 1'000ms`, `limits 1 000ms`."""
    for by in (-1, 0):
        first = stopped.index + by
        if first not in stopped.runs or "QUANTITY" not in stopped.may_at(by):
            continue
        start = stopped.tokens[first].span.start
        found = _GROUPED.match(stopped.source.text, start, start + 80)
        whole, sign, point, parts, unit = found.groups() if found else (None,) * 5
        if found is None or whole is None or sign is None or point == sign:
            continue
        if (sign in ", " and whole.partition(sign)[2][0] != "0") or (sign == "." and not point):
            continue  # a list, or a fraction
        digits = whole.replace(sign, "") + (f".{parts}" if parts else "")
        meant = digits + (unit or ("ms" if _is_time(stopped, first) else ""))
        after = stopped.past(first, found.end())
        at, title = stopped.span(first, after), f"write `{meant}`"
        message = f"`{found[0].strip()}` is no number here"
        yield Rewrite("grouped", message, at, (Change(first, after, meant),), title, title)


HABITS = (grouped, amounts, swapped, unitless, notations, negatives, several)
