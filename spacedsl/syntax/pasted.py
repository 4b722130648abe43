"""Pages that were pasted with what stood around them elsewhere: a fence, marks of a quotation, line
numbers, a diff, entities of HTML; in capitals; and texts of other languages.

The time that a pattern takes is in proportion to the text: no two parts of it that repeat and stand
side by side take the same characters."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from spacedsl.diagnostics import Diagnostic, Fix, place
from spacedsl.syntax.lexer import BLANK, scan
from spacedsl.syntax.words import keywords
from spacedsl.text import Source, Span


@dataclass(frozen=True, slots=True)
class Pasted:
    """What is wrong from `start` to `end`, and the page without it where that can be known."""

    start: int
    end: int
    message: str
    help: str
    title: str = ""
    text: str | None = None


def pasted(source: Source) -> Diagnostic | None:
    """The error of a text that is no page as a whole."""
    found = next(filter(None, (kind(source.text) for kind in KINDS)), None)
    if found is None:
        return None
    where = place(source, Span(found.start, found.end))
    whole = place(source, Span(0, len(source.text)))
    fixes = (Fix(found.title, whole, found.text),) if found.text and found.text.strip() else ()
    return Diagnostic("notation", found.message, where, found.help, fixes=fixes)


def _is_page(text: str) -> bool:
    return re.search(r"^[ \t]*language\b", text, re.MULTILINE) is not None


def _fence(text: str) -> Pasted | None:
    fences = list(re.finditer(r"^[ \t]*(`{3,}|~{3,})[^\n]*$", text, re.MULTILINE))
    if not fences:
        return None
    start, end = fences[0].span(1)
    if _is_page(text[:start]):
        inner = text[: fences[0].start()]
    else:
        stop = fences[1].start() if len(fences) > 1 else len(text)
        inner = text[fences[0].end() : stop].lstrip("\r\n")
    message = f"{text[start:end]} is a fence of Markdown and no part of a page"
    return Pasted(start, end, message, "keep what the fences enclose", "keep that only", inner)


QUOTED = re.compile(r"^[ \t]*>(?:[> \t]*>)?[ \t]?", re.MULTILINE)


def _quoted(text: str) -> Pasted | None:
    found = QUOTED.search(text)
    if found is None:
        return None
    sign = text.index(">", found.start())
    message = "a line does not begin with `>`, the mark of a quotation"
    plain = QUOTED.sub("", text)
    return Pasted(sign, sign + 1, message, "leave the marks out", "leave them out", plain)


def _diff(text: str) -> Pasted | None:
    hunk = re.search(r"^@@ -[0-9]", text, re.MULTILINE)
    pair = re.search(r"^[ \t]*-(?![->0-9])[^\n]*\n[ \t]*\+(?![0-9])", text, re.MULTILINE)
    if hunk is None and pair is None:
        return None
    kept = []
    for line in text.split("\n"):
        sign = line.lstrip()[:1] if hunk is None else line[:1]
        if re.match(r"(---|\+\+\+|@@|diff --git|index [0-9a-f]|\\ No)", line) or sign == "-":
            continue
        kept.append(line.replace("+", "", 1) if sign == "+" else line[1:] if hunk else line)
    start = hunk.start() if hunk else text.index("-", pair.start() if pair else 0)
    message = "this is a diff, not a page: its lines begin with `-` and `+`"
    help = "keep the lines of one side, without their signs"
    end = start + len(text[start:].partition("\n")[0])
    return Pasted(start, end, message, help, "keep the new side", "\n".join(kept))


NUMBERED = re.compile(r"^[ \t]*([0-9]+)(?:[:.|)][ \t]?|\t|[ \t]+|$)")


def _numbered(text: str) -> Pasted | None:
    lines = text.rstrip("\n").split("\n")
    heads = [NUMBERED.match(line) for line in lines]
    numbers = [int(h[1][:9]) for h in heads if h]
    first = numbers[0] if numbers else 0
    counted = numbers == list(range(first, first + len(lines)))
    if len(lines) < 3 or not counted:
        return None
    plain = "\n".join(NUMBERED.sub("", line, count=1) for line in lines) + "\n"
    start = text.index(str(first))
    message = "the lines begin with their numbers"
    help = "copy the page without line numbers"
    return Pasted(start, start + len(str(first)), message, help, "leave them out", plain)


def _entities(text: str) -> Pasted | None:
    found = re.search(r"&(?:[a-z]{2,6}|#[0-9]{2,5});", text)
    if found is None or html.unescape(found[0]) == found[0]:
        return None
    plain = html.unescape(text).replace("\u00a0", " ")
    meant = html.unescape(found[0])
    message = f"`{found[0]}` is an entity of HTML, written for `{meant}`"
    return Pasted(found.start(), found.end(), message, f"write `{meant}`", "write signs", plain)


def _escaped(text: str) -> Pasted | None:
    start = text.find("\\n")
    if text.strip().count("\n") > 1 or text.count("\\n") < 2:
        return None
    plain = text.strip("\"'\n ").replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
    message = "the page is one line: `\\n` stands where a line ends"
    return Pasted(start, start + 2, message, "write real line ends", "write them", plain)


def _markup(text: str) -> Pasted | None:
    tag = re.compile(r"^[ \t]*<(?!!--)[a-zA-Z/?!][^\n]*>[ \t]*$\n?", re.MULTILINE)
    found = tag.search(text)
    if found is None:
        return None
    start = text.index("<", found.start())
    rest = tag.sub("", text)
    message = "tags of XML or HTML are no part of a page"
    help = "leave them out" if _is_page(rest) else EXAMPLE
    kept = rest if _is_page(rest) else None
    return Pasted(start, start + len(found[0].strip()), message, help, "leave them out", kept)


EXAMPLE = "a page begins with `language 1`, then says `hyperspace NAME { input 3 x 224 ... }`"
OTHERS = {
    "Python": re.compile(r"^(?:import|from)[ \t]+\w+|^(?:class|def)[ \t]+\w[^\n{]*:", re.MULTILINE),
    "TOML": re.compile(r"^\[[\w. -]+\][ \t]*$", re.MULTILINE),
    "YAML": re.compile(r"^[ \t]*(?:hyperspace|space|model|target|blocks)\b[^\n]*:", re.MULTILINE),
}
BODIES = re.compile(
    r"^(?:hyperspace|space|model|target)[ \t]+[\w-][^\n]*\n(?:[ \t][^\n]*\n){3}", re.MULTILINE
)


def _other(text: str) -> Pasted | None:
    """A page of another language, or one whose bodies are said by indentation alone."""
    code = re.sub(r"#[^\n]*", lambda c: " " * len(c[0]), text)
    if "{" in code or "}" in code:
        return None
    for language, pattern in OTHERS.items():
        found = pattern.search(code)
        if found is not None and code.count("\n") > 1:
            start = found.start() + len(found[0]) - len(found[0].lstrip())
            message = f"this is {language}, not a page of spaces"
            help = f"bodies stand in `{{` and `}}`, and values beside their keys: {EXAMPLE}"
            return Pasted(start, found.end(), message, help)
    found = BODIES.search(code)
    if found is None:
        return None
    end = code.index("\n", found.start())
    message = "the bodies of this page have no `{` and `}`: indentation says nothing here"
    return Pasted(found.start(), end, message, EXAMPLE)


CAPITALS = 3
"""Words of the language in capitals by which a page is known to be written so."""


def _capitals(text: str) -> Pasted | None:
    """A page whose words are written in capitals, all or their first letters."""
    words = set(keywords().values())
    tokens = list(scan(text))
    said = [(a, b) for kind, a, b in tokens if kind == "NAME" and text[a:b].lower() in words]
    if len(said) < CAPITALS:
        return None
    whole = not any(kind in keywords() for kind, _, _ in tokens)
    parts: list[str] = []
    before = ""
    for kind, a, b in tokens:
        named = kind in ("NAME", "UNKNOWN") and (whole or (a, b) in said)
        path = kind == "STRING" and whole and before != "device"
        parts.append(text[a:b].lower() if named or path else text[a:b])
        before = parts[-1] if kind not in BLANK else before
    start, end = said[0]
    word = text[start:end]
    message = f"the words of the language are in small letters: `{word}` is none of them"
    help = f"write `{word.lower()}`, and the others so"
    return Pasted(start, end, message, help, "write them in small letters", "".join(parts))


KINDS: tuple[Callable[[str], Pasted | None], ...] = (
    _escaped,
    _fence,
    _numbered,
    _diff,
    _quoted,
    _entities,
    _markup,
    _capitals,
    _other,
)
