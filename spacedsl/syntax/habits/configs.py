"""What files of settings write: tables of TOML, lists of YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Rewrite, Stopped
from spacedsl.syntax.words import keywords
from spacedsl.vocabulary import synonyms

DECLARED = ("block", "hyperspace", "space", "model", "target")
TABLE = re.compile(
    rf"\[{{1,2}}[ \t]*({'|'.join(DECLARED)})[ \t]*[. \t][ \t]*[\"']?([\w-]+)[\"']?[ \t]*\]{{1,2}}"
    r"[ \t]*:?[ \t]*\{?"
)
_VALUE = r"[\"']?([\w.]+)[\"']?"
ITEMS = re.compile(rf"(?:[:=]\s*)?(?:-[ \t]+{_VALUE}(?![\w.]|\s*[:{{])[ \t]*,?\s*)+(?!-[ \t])")
ITEM = re.compile(rf"-[ \t]+{_VALUE}")


def tables(stopped: Stopped) -> Iterator[Rewrite]:
    """`[target.phone]`, `[target phone] {`, `target.phone {`."""
    index = stopped.index
    if stopped.token.text == "." and stopped.at(-1).text in DECLARED and stopped.may == {"NAME"}:
        meant = f"{stopped.at(-1).text} {stopped.at(1).text}"
        change, message = Change(index, index + 1, ""), "a name stands apart from its keyword"
        help = f"write `{meant}`"
        yield Rewrite("table", message, stopped.token.span, (change,), help, help)
    if stopped.token.text != "[" or "HYPERSPACE" not in stopped.may:
        return
    start = stopped.token.span.start
    found = TABLE.match(stopped.source.text, start, start + 120)
    if found:
        after = stopped.past(index, found.end())
        meant = f"{found[1]} {found[2]} {{"
        at, change = stopped.span(index, after), Change(index, after, meant)
        message = f"`{stopped.shown(index, after)}` begins nothing here"
        help = f"a body stands in braces: write `{meant}`, and `}}` behind it"
        yield Rewrite("table", message, at, (change,), help, f"write `{meant}`", sure=True)


def lists(stopped: Stopped) -> Iterator[Rewrite]:
    """`limits: - 15ms`, and each value on a line of its own behind a `-`."""
    index, key = stopped.index, stopped.at(-1)
    values = stopped.may & {"INT", "FLOAT", "QUANTITY", "NAME"} and "RBRACE" not in stopped.may
    blocks = key.type == "BLOCKS"
    start = stopped.token.span.start
    found = ITEMS.match(stopped.source.text, start, start + 400)
    if found is None or not (blocks or (key.type in ("NAME", *keywords()) and values)):
        return
    after = stopped.past(index, start + len(found[0].rstrip(", \t\n")))
    items = ITEM.findall(found[0])
    meant = f"{{ {' '.join(items)} }}" if blocks else ", ".join(items)
    at, change = stopped.span(index, after), Change(index, after, meant)
    message = f"a list behind `{key.text}` has no `-`"
    help = f"its values stand side by side, with commas: write `{key.text} {meant}`"
    if blocks:
        help = f"block types stand side by side in braces: write `{key.text} {meant}`"
    yield Rewrite("items", message, at, (change,), help, f"write `{meant}`")


_COST = r"[\"']?(flops|macs|params|parameters|memory)[\"']?\s*[:=]\s*[\"']?([\w.]+)[\"']?"
MAPPING = re.compile(rf"[:=]?\s*(\{{)?(?:\s*(?:-[ \t]+)?{_COST}\s*,?)+(?(1)\s*\}})", re.IGNORECASE)


def mappings(stopped: Stopped) -> Iterator[Rewrite]:
    """`limit: {flops: 900M}`, `"limit": {"flops": "900M", "params": "5M"}`."""
    index, start = stopped.index, stopped.token.span.start
    found = MAPPING.match(stopped.source.text, start, start + 200)
    if found is None or stopped.at(-1).type != "LIMIT":
        return
    after = stopped.past(index, start + len(found[0].rstrip(", \t\n")))
    said = re.findall(_COST, found[0], re.IGNORECASE)
    meant = ", ".join(f"{next(iter(synonyms(cost)), cost)} {amount}" for cost, amount in said)
    at, change = stopped.span(index, after), Change(index, after, meant)
    message = "limits stand side by side, without signs between a cost and its number"
    yield Rewrite("mapping", message, at, (change,), f"write `limit {meant}`", f"write `{meant}`")


HABITS = (tables, lists, mappings)
