"""Three-way merge of pages by meaning's parts: edits of different stages never conflict.

Canonical text is cut into parts with keys: the head of an item, each of its stages and keys, its
end. Parts that only one side changed are taken from it; of parts that both changed, `merge_text`
decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spacedsl.syntax.parser import parse
from spacedsl.syntax.printer import format_text
from spacedsl.syntax.tree import Node, leaves
from spacedsl.text import Source

Key = tuple[str, ...]
OPENED = ("space", "model", "blocks")
"""What is cut into its statements; a block's body is one part, since its order is its meaning."""

AGAIN = "again"
"""Marks what the language refuses to hold twice."""

MergeText = Callable[[str, str, str], tuple[str, bool]]
"""Base, ours and theirs to the merged text, and whether that holds a conflict."""


@dataclass(frozen=True, slots=True)
class Merged:
    text: str
    conflict: bool


def merge_pages(base: Source, ours: Source, theirs: Source, merge_text: MergeText) -> Merged:
    """`ours` with what `theirs` changed since `base`. Raises `SpaceError` where a page does not
    parse; the merged text may still be wrong in meaning, as any merge may."""
    old, mine, other = _parts(base), _parts(ours), _parts(theirs)
    parts: list[str] = []
    conflict = False
    for key in _order(list(old), list(mine), list(other)):
        text, clash = _merge_part(old.get(key), mine.get(key), other.get(key), merge_text)
        parts.append(text)
        conflict |= clash
    text = "".join(parts)
    return Merged(text if conflict else format_text(Source(ours.name, text)), conflict)


def _merge_part(
    base: str | None, ours: str | None, theirs: str | None, merge_text: MergeText
) -> tuple[str, bool]:
    if theirs in (base, ours):
        return ours or "", False
    if ours == base:
        return theirs or "", False
    return merge_text(base or "", ours or "", theirs or "")


def _order(base: list[Key], ours: list[Key], theirs: list[Key]) -> list[Key]:
    """Our order, with what only the others have after what it follows there. What one side left
    out is in the list too; its text decides."""
    order = list(ours)
    for keys in (theirs, base):
        for position, key in enumerate(keys):
            if key not in order:
                before = [k for k in keys[:position] if k in order]
                order.insert(order.index(before[-1]) + 1 if before else 0, key)
    return order


def _parts(source: Source) -> dict[Key, str]:
    """The parts of a page's canonical text, in order; joined they are that text."""
    text = format_text(source)
    cuts: list[tuple[Key, int]] = []
    canonical = Source(source.name, text)
    for node in parse(canonical).all():
        _cut(node, (), canonical, cuts)
    parts: dict[Key, str] = {}
    start = 0
    for key, end in cuts:
        again = sum(k[: len(key)] == key and set(k[len(key) :]) <= {AGAIN} for k in parts)
        parts[*key, *[AGAIN] * again] = text[start:end]
        start = end
    parts["end",] = text[start:]
    return parts


def _cut(node: Node, above: Key, source: Source, cuts: list[tuple[Key, int]]) -> None:
    """Keys of the parts of a statement and the offsets where they end."""
    key = (*above, node.rule, _name(node))
    first, last = (source.position(offset)[0] for offset in (node.span.start, node.span.end))
    if node.rule not in OPENED or first == last:
        cuts.append((key, _line_end(source, last)))
        return
    head, *_ = (t for t in node.tokens() if t.text == "{")
    cuts.append((key, _line_end(source, source.position(head.span.end)[0])))
    for inner in node.all():
        if inner.span.start > head.span.start:
            _cut(inner, key, source, cuts)
    cuts.append(((*key, "}"), _line_end(source, last)))


def _line_end(source: Source, line: int) -> int:
    end = source.text.find("\n", source.start(line))
    return len(source.text) if end < 0 else end + 1


def _name(node: Node) -> str:
    """What tells a statement from others of its rule."""
    if node.rule in ("use", "block", "space", "model", "target", "stage", "model_stage", "choice"):
        return next((t.text for t in leaves(node) if t.type in ("NAME", "STRING")), "")
    return ""
