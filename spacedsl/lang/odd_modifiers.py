"""Words behind an op that are none of its own, but say elsewhere what has another form here."""

from __future__ import annotations

import re

from spacedsl.lang.parameters import SIZES
from spacedsl.lang.report import Abandon, Mend, Report
from spacedsl.operators.operators import OPERATORS
from spacedsl.syntax.tree import Token

OFF = ("false", "no", "off", "0")
LETTERS = {"g": "groups", "d": "dilation"}
"""The first letters of what a convolution says with a number."""


def odd_modifier(op: str, token: Token, report: Report) -> Abandon | None:
    """Note `bias false`, `g8`, `p1`, `identity`, and a size without its arrow; None where the word
    is none of these."""
    word, text = token.text, report.source.text
    before = text[: token.span.start]
    flags = OPERATORS[op].flags
    message = f"`{word}` is no word of an op"
    help = "what is not written is not there: leave it out"
    cut: list[Mend] = [("leave it out", report.with_blank(token.span), "")]
    if word.lower() in OFF and (said := re.search(r"[ \t]+([\w-]+)[ \t]+$", before)):
        span = token.span._replace(start=said.start())
        message = f"`{said[1]} {word}` is no word of an op"
        return report.fail("unknown-modifier", message, token, help, [("leave it out", span, "")])
    way = re.match(r"[ \t]+(valid|same)\b", text[token.span.end :])
    if word.lower() in ("pad", "padding") and way:
        end = token.span.end + (way.end() if way[1] == "same" else 0)
        fixes = [("leave it out", report.with_blank(token.span._replace(end=end)), "")]
        help = "write `valid` alone" if way[1] == "valid" else "ops are padded so: leave it out"
        return report.fail("unknown-modifier", message, token, help, fixes)
    if op == "conv" and word in ("to", "into") and re.match(r"[ \t]+\w", text[token.span.end :]):
        fixes = [("write `->`", token.span, "->")]
        return report.fail("notation", f"`{word}` is no arrow here", token, "write `->`", fixes)
    if word == "identity" or re.fullmatch("p[0-9]", word):
        return report.fail("unknown-modifier", message, token, help, cut)
    grouped = re.search("[0-9]{1,3}$", before) if re.fullmatch("(_[0-9]{3})+", word) else None
    if grouped:
        meant = f"{grouped[0]}{word.replace('_', '')}"
        span = token.span._replace(start=grouped.start())
        message = f"`{grouped[0]}{word}` is no number here"
        fixes = [(f"write `{meant}`", span, meant)]
        return report.fail("notation", message, token, f"write `{meant}`", fixes)
    lettered = re.fullmatch("([gd])([0-9]+)", word)
    if lettered and LETTERS[lettered[1]] in flags:
        meant = f"{LETTERS[lettered[1]]} {lettered[2]}"
        fixes = [(f"write `{meant}`", token.span, meant)]
        return report.fail("unknown-modifier", message, token, f"write `{meant}`", fixes)
    is_size = word in SIZES or re.search(rf"^[ \t]*{word}[ \t]*=", before, re.MULTILINE)
    if op == "conv" and is_size and re.search(r"conv\s+\S+\s+$", before):
        fixes = [("put in `->`", token.span, f"-> {word}")]
        help = f"the width that an op goes to has an arrow: `-> {word}`"
        return report.fail("notation", message, token, help, fixes)
    return None
