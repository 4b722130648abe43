"""Three-way merge of pages by meaning's parts: edits of different stages never conflict.

Canonical text is cut into parts with keys: the head of an item, each of its stages and keys, its
end. Parts that only one side changed are taken from it; of parts that both changed, `merge_text`
decides. The order of parts is content too (see `merge_order`): nothing that one side wrote is ever
lost without a conflict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from spacedsl.lang.merge_order import ordered, unfaithful
from spacedsl.syntax.parser import parse
from spacedsl.syntax.printer import format_text
from spacedsl.syntax.tree import Node, leaves
from spacedsl.text import Source

Key = tuple[str, str, int]
"""The rule of a statement, its name, and how many of its kind stand before it."""

OPENED = ("space", "model", "blocks")
"""What is cut into its statements; a block's body is one part, since its order is its meaning."""

MergeText = Callable[[str, str, str], tuple[str, bool]]
"""Base, ours and theirs to the merged text, and whether that holds a conflict."""


@dataclass(frozen=True, slots=True)
class Merged:
    text: str
    conflict: bool


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement's text. Of one that is cut further, `parts` stand between `head` and `tail`."""

    text: str
    head: str = ""
    parts: _Statements | None = None
    tail: str = ""


_Statements = dict[Key, _Statement]


def merge_pages(base: Source, ours: Source, theirs: Source, merge_text: MergeText) -> Merged:
    """`ours` with what `theirs` changed since `base`. Raises `SpaceError` where a page does not
    parse; the merged text may still be wrong in meaning, as any merge may."""

    def checked(base: str, ours: str, theirs: str) -> tuple[str, bool]:
        return merge_lines(base, ours, theirs, merge_text)

    old, mine, other = map(_page, (base, ours, theirs))
    found = _merge_part(old, mine, other, checked, apart=True)
    return found if found.conflict else Merged(format_text(Source(ours.name, found.text)), False)


def merge_lines(base: str, ours: str, theirs: str, merge_text: MergeText) -> tuple[str, bool]:
    """As `merge_text`, but a conflict also where lines that both sides moved or changed come out
    as neither side wrote them."""
    if theirs in (base, ours) or ours == base:
        return (theirs if ours == base else ours), False
    text, conflict = merge_text(base, ours, theirs)
    sides = (t.splitlines() for t in (base, ours, theirs, text))
    if conflict or not unfaithful(*sides):
        return text, conflict
    return _both(ours, theirs), True


def _both(ours: str, theirs: str) -> str:
    """Both sides between the markers of a conflict, as git writes them."""
    return f"<<<<<<< ours\n{_ended(ours)}=======\n{_ended(theirs)}>>>>>>> theirs\n"


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _merge_part(
    base: _Statement | None,
    ours: _Statement | None,
    theirs: _Statement | None,
    merge_text: MergeText,
    *,
    apart: bool = False,
) -> Merged:
    """`apart`: whether the parts of this part are items, whose order says nothing."""
    if theirs in (base, ours):
        return Merged(ours.text if ours else "", False)
    if ours == base:
        return Merged(theirs.text if theirs else "", False)
    if base and ours and theirs and base.parts and ours.parts and theirs.parts:
        heads = merge_text(base.head, ours.head, theirs.head)
        inner = _merge_parts(base.parts, ours.parts, theirs.parts, merge_text, apart=apart)
        tails = merge_text(base.tail, ours.tail, theirs.tail)
        text = heads[0] + inner.text + tails[0]
        return Merged(text, heads[1] or inner.conflict or tails[1])
    return Merged(*merge_text(*(part.text if part else "" for part in (base, ours, theirs))))


def _merge_parts(
    base: _Statements, ours: _Statements, theirs: _Statements, merge_text: MergeText, *, apart: bool
) -> Merged:
    order = ordered(list(base), list(ours), list(theirs), apart=apart)
    if order is None:
        return Merged(_clash(list(ours.values()), list(theirs.values())), True)
    found = [
        _merge_part(base.get(key), ours.get(key), theirs.get(key), merge_text) for key in order
    ]
    return Merged("".join(part.text for part in found), any(part.conflict for part in found))


def _clash(ours: list[_Statement], theirs: list[_Statement]) -> str:
    """Both sides' parts between markers, what they begin and end with in common outside."""
    most = min(len(ours), len(theirs))
    start = next((i for i in range(most) if ours[i] != theirs[i]), most)
    end = next((i for i in range(most - start) if ours[-1 - i] != theirs[-1 - i]), most - start)
    before, after = ours[:start], ours[len(ours) - end :]
    mine, other = (side[start : len(side) - end] for side in (ours, theirs))
    return _joined(before) + _both(_joined(mine), _joined(other)) + _joined(after)


def _joined(parts: list[_Statement]) -> str:
    return "".join(part.text for part in parts)


def _page(source: Source) -> _Statement:
    """The whole page as a part: its canonical text, cut."""
    text = format_text(source)
    canonical = Source(source.name, text)
    parts, end = _cut(parse(canonical).all(), canonical, 0)
    return _Statement(text, "", parts, text[end:])


def _cut(nodes: tuple[Node, ...], source: Source, start: int) -> tuple[_Statements, int]:
    """The parts of some statements, from `start` on, and the offset where they end."""
    parts: _Statements = {}
    seen: Counter[tuple[str, str]] = Counter()
    for node in nodes:
        said = node.rule, _name(node)
        part, start = _part(node, source, start)
        parts[*said, seen[said]] = part
        seen[said] += 1
    return parts, start


def _part(node: Node, source: Source, start: int) -> tuple[_Statement, int]:
    first, last = (source.position(offset)[0] for offset in (node.span.start, node.span.end))
    end = _line_end(source, last)
    text = source.text[start:end]
    if node.rule not in OPENED or first == last:
        return _Statement(text), end
    brace = next(t for t in node.tokens() if t.text == "{")
    head = _line_end(source, source.position(brace.span.end)[0])
    inner = tuple(n for n in node.all() if n.span.start > brace.span.start)
    parts, tail = _cut(inner, source, head)
    return _Statement(text, source.text[start:head], parts, source.text[tail:end]), end


def _line_end(source: Source, line: int) -> int:
    end = source.text.find("\n", source.start(line))
    return len(source.text) if end < 0 else end + 1


def _name(node: Node) -> str:
    """What tells a statement from others of its rule."""
    if node.rule in ("use", "block", "space", "model", "target", "stage", "model_stage", "choice"):
        return next((t.text for t in leaves(node) if t.type in ("NAME", "STRING")), "")
    return ""
