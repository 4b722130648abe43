"""Merging pages: whatever two sides edit, nothing is lost without a conflict. Random pairs of edits
against a reference that knows no gaps and no anchors, only which of two stages stands first."""

from __future__ import annotations

import random
import re
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacedsl.cli.git import _merge_text
from spacedsl.lang.merge import merge_lines, merge_pages
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source

NAMES = [f"s{i}" for i in range(9)]
Page = dict[str, str]
"""The stages of a page in order, and what each says."""


def text_of(page: Page) -> str:
    stages = "".join(f"# of {name}\n{name} {{ {body} }}\n" for name, body in page.items())
    return format_text(Source("p", f"language 1\n\nspace s of t {{\ninput 3 x 32\n{stages}}}\n"))


def page_of(text: str) -> Page:
    return dict(re.findall(r"^ +(?:elastic )?(s\d) \{ (.*) \}$", text, re.MULTILINE))


def edited(page: Page, rng: random.Random, side: int) -> Page:
    """One to three edits: a stage changed, left out, added, moved, or swapped with another."""
    order, bodies = list(page), dict(page)
    for _ in range(rng.randint(1, 3)):
        kind = rng.choice(["change", "leave", "add", "move", "swap"])
        if kind == "add" or len(order) < 2:
            name = rng.choice([n for n in NAMES if n not in order])
            bodies[name] = f"width {8 * rng.randint(1, 3)}"
            order.insert(rng.randint(0, len(order)), name)
        elif kind == "change":
            bodies[rng.choice(order)] = f"width {80 + 8 * rng.randint(0, 1) + 16 * side}"
        elif kind == "leave":
            order.remove(rng.choice(order))
        elif kind == "move":
            name = order.pop(rng.randrange(len(order)))
            order.insert(rng.randint(0, len(order)), name)
        else:
            a, b = rng.sample(range(len(order)), 2)
            order[a], order[b] = order[b], order[a]
    return {name: bodies[name] for name in order}


def first(page: Page, a: str, b: str) -> bool | None:
    """Whether `a` stands before `b`; None where one of them is not there."""
    order = list(page)
    return order.index(a) < order.index(b) if a in page and b in page else None


def reference(base: Page, ours: Page, theirs: Page) -> Page | None:
    """The one page that has every edit of both sides; None where there is none, or several."""
    found: Page = {}
    for name in {**base, **ours, **theirs}:
        said = [page.get(name) for page in (base, ours, theirs)]
        if said[1] != said[0] and said[2] not in (said[0], said[1]):
            return None
        chosen = said[2] if said[1] == said[0] else said[1]
        if chosen is not None:
            found[name] = chosen
        for one, other in ((ours, theirs), (theirs, ours)):
            gone = name in base and name in one and name not in other
            moved = [n for n in base if n != name and first(one, name, n) is not None]
            if gone and any(first(one, name, n) != first(base, name, n) for n in moved):
                return None
    before: set[tuple[str, str]] = set()
    common = [name for name in found if name in base]
    for a, b in permutations(common, 2):
        orders = {first(page, a, b) for page in (ours, theirs)} - {first(base, a, b)}
        if (orders or {first(base, a, b)}) == {True}:
            before.add((a, b))
    for page in (ours, theirs):
        order = [name for name in page if name in found]
        for i, name in enumerate(order):
            if name not in base:
                before |= {(n, name) for n in order[:i][-1:]} | {
                    (name, n) for n in order[i + 1 :][:1]
                }
    if not _one_change(base, ours, theirs, common):
        return None
    chosen_order: list[str] = []
    while len(chosen_order) < len(found):
        ready = [
            name
            for name in found
            if name not in chosen_order
            and not any(b == name and a not in chosen_order for a, b in before)
        ]
        if len(ready) != 1:
            return None
        chosen_order += ready
    return {name: found[name] for name in chosen_order}


def _one_change(base: Page, ours: Page, theirs: Page, common: list[str]) -> bool:
    """Whether at most one order of the common stages is another than the base's."""
    orders = [[n for n in page if n in common] for page in (base, ours, theirs)]
    return orders[1] == orders[2] or orders[0] in orders[1:]


def merged(base: Page, ours: Page, theirs: Page) -> tuple[Page | None, str]:
    old, mine, other = (Source("p", text_of(page)) for page in (base, ours, theirs))
    found = merge_pages(old, mine, other, _merge_text)
    assert ("<<<<<<< ours" in found.text) == found.conflict
    return (None if found.conflict else page_of(found.text)), found.text


def check(seed: int) -> bool:
    """Whether a random pair of edits merges; fails where that is not as the reference says."""
    rng = random.Random(seed)
    base = {name: f"width {8 * rng.randint(1, 3)}" for name in rng.sample(NAMES, rng.randint(1, 6))}
    ours, theirs = edited(base, rng, 0), edited(base, rng, 1)
    expected = reference(base, ours, theirs)
    found, text = merged(base, ours, theirs)
    said = f"seed {seed}:\n{text_of(base)}{text_of(ours)}{text_of(theirs)}{text}"
    added_by_both = (ours.keys() & theirs.keys()) - base.keys()
    if found is not None or not added_by_both:  # where both added it may be too much to say
        assert found == expected, said
    if found is not None:
        assert list(found) == list(expected or ()), said
        assert text == text_of(found), said
    return found is not None


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_no_edit_is_lost(seed: int) -> None:
    check(seed)


def test_many_pairs_merge() -> None:
    """A merge that refuses everything loses nothing either: about as many as may merge do."""
    clean = sum(check(seed) for seed in range(100))
    assert clean > 15


BASE = {"s1": "width 8", "s2": "width 16", "s3": "width 24"}


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_swap_and_an_edit_are_both_there(exchanged: bool) -> None:
    swap = {"s2": "width 16", "s1": "width 8", "s3": "width 24"}
    edit = BASE | {"s3": "width 80"}
    found, _ = merged(BASE, *((edit, swap) if exchanged else (swap, edit)))
    assert list((found or {}).items()) == list((swap | {"s3": "width 80"}).items())


def test_two_stages_at_one_place_are_a_conflict() -> None:
    one, other = (
        {"s1": "width 8", name: "width 8", "s2": "width 16", "s3": "width 24"}
        for name in ("s4", "s5")
    )
    found, text = merged(BASE, one, other)
    assert found is None
    assert text.count("<<<<<<<") == 1
    assert text.index("s1 {") < text.index("<<<<<<<") < text.index("s4 {") < text.index("s5 {")
    assert text.index(">>>>>>>") < text.index("s2 {")


OPS = ["conv 1x1", "dwconv kernel relu", "se 8", "conv 1x1 -> 16", "maxpool 3x3"]


@pytest.mark.parametrize(
    ("ours", "theirs", "conflict"),
    [
        ([4, 0, 1, 2, 3], [0, 1, 2, 3, 4], False),
        ([4, 0, 1, 2, 3], [0, 1, 4, 2, 3], True),  # line by line, the op would be there twice
        ([1, 0, 2, 3, 4], [0, 1, 2, 4, 3], True),
        ([0, 1, 2, 3], [1, 2, 3, 4], False),
    ],
)
def test_the_ops_of_a_block_keep_one_order(
    ours: list[int], theirs: list[int], conflict: bool
) -> None:
    def lines(order: list[int]) -> str:
        return "".join(f"{OPS[i]}\n" for i in order)

    text, clash = merge_lines(lines([0, 1, 2, 3, 4]), lines(ours), lines(theirs), _merge_text)
    assert clash == conflict, text
    assert conflict == ("<<<<<<<" in text)
