"""What people write when they come from elsewhere: one error, where it is, with the mend.

A mistake is a line of mistakes/PAGE.txt, and is made in mistakes/PAGE.page:

    was | is | code | at | mended

`was` becomes `is`; the page must then give one error of that code whose place reads `at` (`-`: it
stands at the page's start). `mended` is what its first fix makes of the page: `=` the page as it
was, else a page that holds this text; both must check. `-` says that there is no fix, and what
follows behind a further `|` is a part of the help that is there instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from spacedsl.api import page_errors
from spacedsl.diagnostics import Diagnostic, Place, render
from spacedsl.lang.memo import Memo
from spacedsl.lang.page import Loader
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source

FOLDER = Path(__file__).parent / "mistakes"
ESCAPE = re.compile(r"\\(n|\\|u[0-9a-f]{4})")


@dataclass(frozen=True)
class Mistake:
    page: str
    was: str
    now: str
    code: str
    at: str
    mended: str
    help: str


LIBRARY = Memo()
"""The library's blocks, read once."""


def plain(text: str) -> str:
    """A column with its escapes read."""

    def read(found: re.Match[str]) -> str:
        said = found[1]
        return {"n": "\n", "\\": "\\"}.get(said) or chr(int(said[1:], 16))

    return ESCAPE.sub(read, text)


def mistakes() -> list[Mistake]:
    found: list[Mistake] = []
    for path in sorted(FOLDER.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if (line and not line.startswith("# ")) or " | " in line:
                columns = [plain(c) for c in f"{line} ".split(" | ")]
                columns[-1] = columns[-1].removesuffix(" ")
                was, now, code, at, mended, *help = columns
                found.append(Mistake(path.stem, was, now, code, at, mended, "".join(help)))
    return found


def original(page: str) -> str:
    return (FOLDER / f"{page}.page").read_text(encoding="utf-8")


def errors(text: str, folder: Path) -> list[Diagnostic]:
    page = Loader(memo=LIBRARY).open_source(Source("page.space", text), folder)
    return list(page_errors(page))


def offset(text: str, line: int, column: int) -> int:
    return sum(len(said) + 1 for said in text.split("\n")[: line - 1]) + column - 1


def read_at(text: str, place: Place) -> str:
    start = offset(text, place.line, place.column)
    return text[start : offset(text, place.end_line, place.end_column)]


def fixed(text: str, error: Diagnostic) -> str:
    """The text with the first fix made."""
    fix = error.fixes[0]
    start = offset(text, fix.place.line, fix.place.column)
    end = offset(text, fix.place.end_line, fix.place.end_column)
    return text[:start] + fix.text + text[end:]


def formatted(text: str) -> str:
    return format_text(Source("page.space", text))


@pytest.mark.parametrize("page", sorted({m.page for m in mistakes()}))
def test_the_pages_are_right(page: str, tmp_path: Path) -> None:
    assert errors(original(page), tmp_path) == []


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda m: f"{m.page}: {m.now}")
def test_a_mistake_is_one_error_with_its_mend(mistake: Mistake, tmp_path: Path) -> None:
    before = original(mistake.page)
    assert before.count(mistake.was) >= 1
    text = before.replace(mistake.was, mistake.now, 1)
    found = errors(text, tmp_path)
    shown = "\n".join(render(d.to_json()) for d in found)
    assert [d.code for d in found] == [mistake.code], shown
    error = found[0]
    assert error.place is not None
    assert read_at(text, error.place) == ("" if mistake.at == "-" else mistake.at), shown
    start = before.index(mistake.was)
    near = text[: start + len(mistake.now)].count("\n") + 1
    assert text[:start].count("\n") + 1 <= error.place.line <= near or mistake.code in FAR, shown
    if mistake.mended == "-":
        assert error.fixes == (), (shown, error.fixes)
        assert mistake.help in (error.help or ""), shown
        return
    assert error.fixes, shown
    mended = fixed(text, error)
    assert errors(mended, tmp_path) == [], f"{shown}\n{mended}"
    if mistake.mended == "=":
        assert formatted(mended) == formatted(before), shown
    else:
        assert mistake.mended in mended, f"{shown}\n{mended}"


@pytest.mark.parametrize("page", sorted({mistake.page for mistake in mistakes()}))
@pytest.mark.parametrize("change", ["twice", "thrice", "capitals", "Capitals"])
def test_a_whole_page_otherwise_is_one_error(page: str, change: str, tmp_path: Path) -> None:
    """Pasted several times, or written in capitals, comments and texts too."""
    before = original(page)
    wrong = {
        "twice": before + before,
        "thrice": f"{before}\n{before}{before}",
        "capitals": before.upper(),
        "Capitals": before.title(),
    }[change]
    (error,) = errors(wrong, tmp_path)
    mended = fixed(wrong, error)
    assert errors(mended, tmp_path) == []
    assert formatted(mended).lower() == formatted(before).lower()


FAR = ("missing-use", "missing-key", "unclosed", "no-language", "unopened", "syntax")
"""Errors of what is not there may stand elsewhere."""


def test_there_are_enough_and_each_once() -> None:
    found = mistakes()
    assert len(found) >= 120
    assert len({(m.page, m.was, m.now) for m in found}) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({mistake.page for mistake in mistakes()}))
def test_pages_may_end_at_any_mistake(page: str, tmp_path: Path) -> None:
    """A page that stops right behind a mistake, or somewhere within it, is read as any other."""
    for number, mistake in enumerate(mistakes()):
        if mistake.page == page:
            before, now = original(page).partition(mistake.was)[0], mistake.now
            ends = [i for i in range(1, len(now)) if not now[i - 1 : i + 1].isalnum()]
            for end in {ends[number % len(ends)] if ends else len(now), len(now)}:
                found = errors(before + now[:end], tmp_path)
                assert all(error.message for error in found)
