"""Laws of recovery: a tree always comes back, and one mistake is one error."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacedsl.syntax.parser import MAX_CHARACTERS, parse_any
from spacedsl.syntax.recovery import MAX_ERRORS
from spacedsl.text import Source
from tests.laws.mutants import TEXTS, check, mutants
from tests.laws.test_text import alphabet

SHARE = float(os.environ.get("SPACEDSL_MUTANTS", "0.03"))
"""How many of the mutants to try; 1 for all, which takes minutes."""


@pytest.mark.slow
def test_one_mistake_is_one_error() -> None:
    counts: Counter[int] = Counter()
    for mutant in mutants(SHARE):
        assert parse_any(Source("page", mutant.text)).tree.rule == "start"
        found = check(mutant)
        counts[len(found)] += 1
        assert len(found) <= 3, (mutant.path.name, mutant.kind, mutant.token, found)
    invalid = counts.total() - counts[0]
    print(f"{invalid} of {counts.total()} mutants are invalid: {dict(sorted(counts.items()))}")
    assert counts[1] >= 0.97 * invalid


@given(st.text(alphabet=alphabet) | st.text() | st.sampled_from(list(TEXTS.values())))
def test_any_text_has_a_tree(text: str) -> None:
    parsed = parse_any(Source("page", text))
    assert parsed.tree.rule == "start"
    assert len(parsed.errors) <= MAX_ERRORS + 4
    assert bool(parsed.errors) == bool(parsed.broken)


def test_two_independent_mistakes_are_two_errors() -> None:
    text = "language 1\nblock a {\n  conv conv\n}\nblock b {\n  pool pool 7\n}\n"
    places = [e.place for e in parse_any(Source("page", text)).errors]
    assert [p.line for p in places if p] == [3, 6]


@pytest.mark.slow
def test_hostile_pages_have_a_tree() -> None:
    for piece in ("{", "}", "a ", "a\n", "1 ", "@", '"\n', "space s of x { a { b width 8 8 } }\n"):
        text = (piece * MAX_CHARACTERS)[:MAX_CHARACTERS]
        assert parse_any(Source("page", text)).errors
