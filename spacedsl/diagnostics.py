"""Diagnostics: what is wrong, where, and what to do. Text is rendered from the JSON form."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

from spacedsl.text import Source, Span
from spacedsl.vocabulary import bare, has_meaning, synonyms


@dataclass(frozen=True, slots=True)
class Place:
    """A span as people count: lines and columns from 1, end exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    source_line: str


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that has to do with it, and what it has to do with it."""

    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A replacement that mends it: `text` instead of what stands at `place`."""

    title: str
    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` is stable (`spacedsl explain CODE`); `message` one phrase; `help` what to
    do. `place` is absent where no text is to blame (a missing file, an option). A warning is of
    what can be done, but is easily not what was meant."""

    code: str
    message: str
    place: Place | None = None
    help: str | None = None
    labels: tuple[Label, ...] = ()
    fixes: tuple[Fix, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def to_json(self) -> dict[str, Any]:
        """The machine-readable form; every other rendering is made from it."""
        return {"severity": self.severity, **asdict(self)}


class SpaceError(Exception):
    """Something a person wrote or asked for is wrong; carries one or more diagnostics."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        found = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics = found
        super().__init__(found)

    def __str__(self) -> str:
        return "\n".join(render(d.to_json()) for d in self.diagnostics)


def fault(code: str, message: str, help: str | None = None) -> SpaceError:
    """An error that belongs to no place in a text."""
    return SpaceError(Diagnostic(code, message, help=help))


def place(source: Source, span: Span) -> Place:
    """Where `span` is, with its source line."""
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return Place(source.name, line, column, end_line, end_column, source.line(line))


def order(diagnostic: Diagnostic) -> tuple[int, int]:
    """Sorts the diagnostics of one page in order of its text."""
    where = diagnostic.place
    return (where.line, where.column) if where else (0, 0)


MAX_CANDIDATES = 500
"""How many words a misspelt one is compared with."""


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be: the same but for case and signs, the
    language's word for what it says elsewhere, or one misspelt. Never a word of another meaning
    that only looks like it."""
    listed = list(islice(known, MAX_CANDIDATES))
    alike = {bare(k): k for k in listed[::-1]}
    if bare(word) in alike:
        return alike[bare(word)]
    same = next((s for s in synonyms(word) if s in listed), None)
    if same is not None or has_meaning(word):
        return same
    close = difflib.get_close_matches(word.lower(), alike, n=3, cutoff=0.6)
    return next((alike[c] for c in close if _is_misspelt(bare(word), c)), None)


def _is_misspelt(word: str, meant: str) -> bool:
    """Whether few letters differ. Other digits are another name: `stage2` is not `stage1`."""
    digits, others = ("".join(c for c in w if c.isdecimal()) for w in (word, meant))
    doubled = word.startswith(meant) and digits.startswith(others) and digits != others
    if (digits != others and not doubled) or min(len(word), len(meant)) < 3:
        return False
    return _distance(word, meant) <= min(3, max(1, (len(meant) + 1) // 3))


def _distance(one: str, other: str) -> int:
    """How many letters are left out, put in, replaced or swapped with the next."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def one_of(words: Sequence[str]) -> str:
    """`a`, `b` or `c`, for help texts."""
    quoted = [f"`{w}`" for w in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


MAX_SHOWN_LINE = 160


def render(diagnostic: dict[str, Any]) -> str:
    """One diagnostic as text: file:line:column, message, source line with caret, help."""
    where = diagnostic["place"]
    head = f"{diagnostic['severity']}[{diagnostic['code']}]: {diagnostic['message']}"
    lines = [head]
    if where is not None:
        lines[0] = f"{where['file']}:{where['line']}:{where['column']}: {head}"
        lines += _excerpt(where)
    for label in diagnostic["labels"]:
        there = label["place"]
        lines.append(
            f"  note: {there['file']}:{there['line']}:{there['column']}: {label['message']}"
        )
        lines += _excerpt(there)
    if diagnostic["help"]:
        lines.append(f"  help: {diagnostic['help']}")
    return "\n".join(lines)


def _excerpt(where: dict[str, Any]) -> list[str]:
    text, first = where["source_line"], where["column"] - 1
    cut = max(0, first - MAX_SHOWN_LINE // 2) if len(text) > MAX_SHOWN_LINE else 0
    shown = "".join(
        c if c.isprintable() or c == "\t" else "?" for c in text[cut : cut + MAX_SHOWN_LINE]
    )
    one_line = where["end_line"] == where["line"]
    last = where["end_column"] - 1 if one_line else len(text)
    indent = "".join("\t" if c == "\t" else " " for c in shown[: first - cut])
    carets = "^" * max(1, min(last, cut + len(shown)) - first)
    number = str(where["line"])
    bar = " " * len(number)
    return [f" {bar} |", f" {number} | {shown}", f" {bar} | {indent}{carets}"]
