"""Classifiers as one line of ops, joined by signs: `avgpool fc -> 10`, `gap -> fc 10`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.operators.operators import IN_BODIES
from spacedsl.syntax.rewrite import Change, Rewrite, Stopped
from spacedsl.vocabulary import bare, leaves_out, synonyms

PART = re.compile(
    r"(?P<sign>->|=>|[,;|/+>])?\s*(?P<op>[A-Za-z_][\w.]*)"
    r"[ \t]*(?P<to>->|=>|[(=:>])?[ \t]*(?:p|rate|units|out)?[ \t]*=?[ \t]*"
    r"(?P<value>[0-9]+(?:\.[0-9]+)?(?:x[0-9]+)?)?[ \t]*\)?[ \t]*"
)
"""An op and the number that it takes, with the sign before it."""
BACK = 6
"""How far before the token that does not fit such a line begins at most."""


def classifiers(stopped: Stopped) -> Iterator[Rewrite]:
    """Reads a pool, dropout and a classifier that signs join instead of blanks."""
    for by in range(1 - BACK, 1):
        first = stopped.index + by
        if first not in stopped.runs or "CONV" not in stopped.may_at(by):
            continue
        start = stopped.tokens[first].span.start
        found = _read(stopped.source.text[start : start + 200].partition("\n")[0])
        if found is None:
            continue
        after = stopped.past(first, start + found[1])
        if after > stopped.index:
            meant, at = found[0], stopped.span(first, after)
            message = f"`{stopped.shown(first, after)}` is no list of ops"
            help = f"ops stand side by side, a `pool` over the whole map first: write `{meant}`"
            change, title = Change(first, after, meant), f"write `{meant}`"
            yield Rewrite("classifier", message, at, (change,), help, title, sure=True)
            return


def _read(line: str) -> tuple[str, int] | None:
    """The ops from a pool to the classifier as they are written here, and where they end; None
    where each says what it is, so that nothing but its own signs is wrong."""
    ops: list[str] = []
    odd, at = False, 0
    while found := PART.match(line, at):
        word, value = _op(found["op"]), found["value"] or ""
        at = found.end()
        odd = odd or (found["sign"] or ",") not in ",;"
        if not ops:
            if word not in ("pool", "avgpool"):
                return None
            ops, odd = ["pool"], word == "avgpool"
        elif word == "dropout" and "." in value:
            ops.append(f"dropout {value}")
        elif word == "linear" and value.isdecimal():
            if not odd and (found["op"] == word or found["to"]):
                return None
            ops.append(f"linear -> {value}")
            scores = PART.match(line, at)
            end = scores.end() if scores and leaves_out(scores["op"]) else at
            return "  ".join(ops), len(line[:end].rstrip())
        elif not leaves_out(found["op"]) or value:
            return None
    return None


def _op(word: str) -> str:
    """The op that a word says, here or elsewhere."""
    name = word.rpartition(".")[2]
    said = (bare(name), *synonyms(name))
    return next((op for op in said if op in IN_BODIES), "")


HABITS = (classifiers,)
