"""Laws of the text: lexing loses nothing, formatting is stable and keeps tokens and comments."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spacedsl.diagnostics import SpaceError
from spacedsl.syntax.compiled import grammar
from spacedsl.syntax.lexer import BLANK, lex
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source
from tests.laws.strategies import RANDOMS
from tests.support import PAGES, page_id

TEXTS = [p.read_text(encoding="utf-8") for p in PAGES]
pages = st.sampled_from(TEXTS)

alphabet = st.sampled_from('{}()=+-*/,.x"#\n\r\t _az09 é\x00') | st.characters(codec="utf-8")


@given(st.text(alphabet=alphabet))
@example('"open\n# c\r\n1..2')
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(t.text for t in lex(text)) == text


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_library_page_is_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "".join(t.text for t in lex(text)) == text
    assert format_text(Source(path.name, text)) == text
    assert max(map(len, text.splitlines())) <= 100


@given(pages, RANDOMS)
def test_formatting_restores_a_page_laid_out_anew(text: str, rng: random.Random) -> None:
    """Canonical text does not depend on blanks and line ends, but for the blank lines kept."""
    plain = "".join(_without_comments(text))
    expected = format_text(Source("page", plain))
    respaced = scattered(plain, rng, comments=False)
    assert _lines(format_text(Source("page", respaced))) == _lines(expected)


@given(pages, RANDOMS)
def test_formatting_keeps_tokens_and_comments(text: str, rng: random.Random) -> None:
    scrambled = scattered(text, rng, comments=True)
    formatted = format_text(Source("page", scrambled))
    assert _tokens(formatted) == _tokens(scrambled)
    assert sorted(_comments(formatted)) == sorted(_comments(scrambled))
    assert format_text(Source("page", formatted)) == formatted


@given(st.text(alphabet=alphabet) | pages.map(lambda t: t.replace("}", "", 1)))
def test_formatting_any_text_ends(text: str) -> None:
    try:
        formatted = format_text(Source("page", text))
    except SpaceError:
        return
    assert format_text(Source("page", formatted)) == formatted


def scattered(text: str, rng: random.Random, *, comments: bool) -> str:
    """The same tokens with other blanks between them and, if asked for, more comments."""
    blanks = [" ", "  ", "\t", "\n", "\r\n", "\n  "]
    parts: list[str] = []
    for number, token in enumerate(lex(text)):
        if token.type in ("SPACE", "NEWLINE"):
            continue
        parts.append(token.text + "\n" if token.type == "COMMENT" else token.text)
        if comments and rng.random() < 0.1:
            parts.append(rng.choice([" ", "\n", "\n\n"]) + f"# note {number}\n")
        parts.append(rng.choice(blanks))
    return "".join(parts)


def _without_comments(text: str) -> list[str]:
    return [t.text for t in lex(text) if t.type != "COMMENT"]


def _tokens(text: str) -> list[str]:
    return [t.text for t in lex(text) if t.type not in BLANK]


def _comments(text: str) -> list[str]:
    return [t.text.rstrip() for t in lex(text) if t.type == "COMMENT"]


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


@given(st.text(alphabet=alphabet) | pages)
@example("3x3 3x k0.5 15ms 15mss e4 stage1 conv convx x1 1..4 0.5 ->- round8(a-b-c) -1")
def test_the_scanner_reads_as_lark_does(text: str) -> None:
    expected = [(t.type, str(t)) for t in grammar().lex(text, dont_ignore=True)]
    assert [(t.type, t.text) for t in lex(text)] == expected
