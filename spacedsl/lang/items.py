"""What a page defines, as far as it can be read, and the language it says it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacedsl.lang.report import Report
from spacedsl.syntax.parser import Parsed
from spacedsl.syntax.tree import Node
from spacedsl.text import Span

if TYPE_CHECKING:
    from spacedsl.lang.page import Page

LANGUAGE = 1
SPACES = ("HYPERSPACE", "SPACE", "MODEL", "TARGET")


def note_broken(page: Page, parsed: Parsed) -> None:
    """What the statements that hold a syntax error would have defined. Which blocks a broken
    `block`, `use` or unknown statement would bring, nobody knows."""
    for words in parsed.broken:
        names = {w.text for w in words if w.type == "NAME"}
        page.broken |= names
        keyword = words[0].type if words else ""
        page.whole &= keyword == "LANGUAGE" or (keyword in SPACES and bool(names))
    page.broken_at = frozenset(words[0].span.start for words in parsed.broken if words)


def collect_items(page: Page, report: Report) -> None:
    """The items that a page defines, by name."""
    for node in page.tree.all("block", "space", "model", "target"):
        name = node.token("NAME")
        if node.span.start in page.broken_at:
            page.broken |= {name.text}
        elif name.text in page.items and name.text not in page.broken:
            report.error("duplicate-name", f"`{name.text}` is defined twice in this page", name)
        page.items.setdefault(name.text, node)


def check_language(page: Page, report: Report) -> None:
    """A page says its language, once and first."""
    said = page.tree.all("language")
    nodes = [n for n in said if n.span.start not in page.broken_at]
    if not said and page.whole and not page.broken_at:
        empty = Node("start", (), Span(0, 0))
        message = "an empty page" if not page.tree.all() else "the page does not say its language"
        fixes = [("put it in", Span(0, 0), f"language {LANGUAGE}\n")]
        report.error("no-language", message, empty, f"begin with `language {LANGUAGE}`", fixes)
    for node in nodes:
        version = node.token("INT")
        if version.text != str(LANGUAGE):
            message = f"language {version.text[:12]} is not known to this spacedsl"
            fixes = [(f"write {LANGUAGE}", version.span, str(LANGUAGE))]
            help = f"write `language {LANGUAGE}`"
            report.error("language-version", message, version, help, fixes)
    for node in nodes[1:]:
        report.error("duplicate-key", "the language is said twice", node)
    if nodes and page.tree.all()[0] is not said[0]:
        report.error("misplaced", "`language` comes first", nodes[0])
