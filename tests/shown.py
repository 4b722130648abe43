"""The commands that texts show, for the tests that run them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support import ROOT

TEXTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/howto/*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    ]
)
"""The texts with commands in them."""

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    (.*)$", re.MULTILINE)
OURS = re.compile(r"(?:^|&& |; do |-m |\$ )(spacedsl .*?)(?: (?:&&|>) .*|; done)?$")
"""A command of ours in a line, alone or behind what starts it."""


def blocks(text: str) -> list[tuple[str, str, str]]:
    """Language, name of the file ("" for none) and text of every fenced block."""
    found = [(info.split(), body) for info, body in FENCE.findall(text)]
    return [(i[0] if i else "", i[1] if len(i) > 1 else "", body) for i, body in found]


def lines_of(path: Path) -> Iterator[str]:
    """The lines of shell that a text shows, one that goes on as one line, without comments."""
    text = path.read_text(encoding="utf-8")
    fenced = [body for language, _, body in blocks(text) if language in ("sh", "text", "yaml")]
    for body in (*fenced, "\n".join(INDENTED.findall(FENCE.sub("", text)))):
        for line in re.sub(r"\\\n\s*", "", body).splitlines():
            yield re.sub(r"^- run: |\s+#.*", "", line.strip())


def shown(path: Path) -> Iterator[str]:
    """The commands of ours that a text shows, wherever in a line."""
    for line in lines_of(path):
        found = OURS.search(line)
        if found:
            yield found[1]


def words_of(page: str, start: str, changes: Mapping[str, str]) -> list[str]:
    """The words of the one line of a text of docs/ that starts so, with other words in the places
    of some; one that becomes "" is left out, and all of `changes` are in the line."""
    (line,) = {line for line in lines_of(ROOT / "docs" / page) if line.startswith(start)}
    words = shlex.split(line)
    assert set(changes) <= set(words), (line, changes)
    return [new for word in words if (new := changes.get(word, word))]
