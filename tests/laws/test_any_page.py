"""Any text loads or is refused with errors that point into it: never a traceback."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from spacedsl.diagnostics import Diagnostic, SpaceError, render
from spacedsl.ir.sampling import largest, random_subnet, smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import read_source
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.passes.cost import subnet_cost
from spacedsl.syntax.lexer import BLANK, lex
from spacedsl.text import Source
from tests.laws.strategies import RANDOMS
from tests.support import PAGES, SPACES

TEXTS = [p.read_text(encoding="utf-8") for p in PAGES]
WORDS = sorted({t.text for text in TEXTS for t in lex(text) if t.type not in BLANK})


def check_page(text: str) -> None:
    """Every item of the page loads and can be written, or is refused in place."""
    source = Source("page.space", text)
    try:
        page = Loader().parse(source, SPACES / "models")
    except SpaceError as error:
        check_places(error, text)
        return
    for name in page.names:
        try:
            item = page.get(name)
        except SpaceError as error:
            check_places(error, text)
            continue
        if isinstance(item, Space):
            for subnet in (smallest(item), largest(item), random_subnet(item, random.Random(0))):
                assert subnet_cost(subnet).flops >= 0
        if isinstance(item, Space | Subnet):
            assert write(item)


def check_places(error: SpaceError, text: str) -> None:
    assert error.diagnostics
    for found in error.diagnostics:
        assert found.message
        assert found.code in render(found.to_json())
        if found.place is not None and found.place.file == "page.space":
            check_place(found, text.split("\n"))


def check_place(found: Diagnostic, lines: list[str]) -> None:
    place = found.place
    assert place is not None
    assert 1 <= place.line <= place.end_line <= len(lines)
    assert 1 <= place.column <= len(lines[place.line - 1]) + 1
    assert 1 <= place.end_column <= len(lines[place.end_line - 1]) + 1
    assert (place.line, place.column) <= (place.end_line, place.end_column)
    assert place.source_line == lines[place.line - 1].rstrip("\r")


def mutated(text: str, rng: random.Random) -> str:
    """A page with a few tokens lost, doubled, swapped, replaced or put in."""
    tokens = [t.text for t in lex(text)]
    places = [i for i, t in enumerate(lex(text)) if t.type not in BLANK]
    for _ in range(rng.randint(1, 3)):
        at, other = rng.choice(places), rng.choice(places)
        match rng.randrange(5):
            case 0:
                tokens[at] = ""
            case 1:
                tokens[at] = f"{tokens[at]} {tokens[at]}"
            case 2:
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 3:
                tokens[at] = rng.choice(WORDS)
            case _:
                tokens[at] += f" {rng.choice(WORDS)}"
    return "".join(tokens)


@given(st.sampled_from(TEXTS), RANDOMS)
def test_broken_library_pages(text: str, rng: random.Random) -> None:
    check_page(mutated(text, rng))


@given(st.text())
def test_any_text(text: str) -> None:
    check_page(text)


@given(st.lists(st.sampled_from([*WORDS, "\n", "# note\n"]), max_size=40))
def test_any_words(words: list[str]) -> None:
    check_page("language 1\n" + " ".join(words))


@given(st.binary() | st.binary().map(lambda b: b"language 1\n" + b))
def test_any_bytes(data: bytes) -> None:
    text: str | None = None
    codes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.space"
        path.write_bytes(data)
        try:
            text = read_source(path).text
        except SpaceError as error:
            codes = [d.code for d in error.diagnostics]
    if text is None:
        assert codes == ["not-text"]
    else:
        check_page(text)
