"""Single-token mutants of the library's pages, the same on every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacedsl.diagnostics import Diagnostic
from spacedsl.lang.check import check_page
from spacedsl.lang.page import Loader
from spacedsl.syntax.lexer import BLANK, lex
from spacedsl.text import Source
from tests.support import PAGES

TEXTS = {p: p.read_text(encoding="utf-8") for p in PAGES}
WORDS = sorted({t.text for text in TEXTS.values() for t in lex(text) if t.type not in BLANK})
KINDS = ("drop", "double", "replace", "insert")


@dataclass(frozen=True, slots=True)
class Mutant:
    path: Path
    kind: str
    token: int
    text: str


def mutants(share: float = 1.0) -> Iterator[Mutant]:
    """Every token of every page dropped, doubled, replaced by and preceded by a random word; of
    these a random share."""
    rng = random.Random(0)
    for path, text in TEXTS.items():
        tokens = [t.text for t in lex(text)]
        kinds = [t.type for t in lex(text)]
        for at, kind in enumerate(kinds):
            if kind in BLANK:
                continue
            for change in KINDS:
                other = rng.choice(WORDS)
                if rng.random() < share:
                    new = _changed(tokens[at], change, other)
                    mutant = "".join([*tokens[:at], new, *tokens[at + 1 :]])
                    yield Mutant(path, change, at, mutant)


def _changed(token: str, change: str, other: str) -> str:
    match change:
        case "drop":
            return ""
        case "double":
            return f"{token} {token}"
        case "replace":
            return other
        case _:
            return f"{other} {token}"


def check(mutant: Mutant) -> tuple[Diagnostic, ...]:
    """What is wrong with a mutant, in the folder of its page."""
    source = Source(mutant.path.name, mutant.text)
    return check_page(Loader().open_source(source, mutant.path.parent))
