"""What a page defines, as far as it can be read, and the language it says it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spacedsl.lang.report import Report
from spacedsl.syntax.parser import Parsed
from spacedsl.syntax.tree import Node
from spacedsl.text import Span

LANGUAGE = 1
SPACES = ("HYPERSPACE", "SPACE", "MODEL", "TARGET")


@dataclass(frozen=True, slots=True)
class Items:
    """`named`: the syntax tree of every item of a page. Those in `broken` hold a syntax error;
    `broken_at`: where the statements with a syntax error begin. A page that is not `whole` may
    lack names."""

    named: Mapping[str, Node]
    broken: frozenset[str]
    broken_at: frozenset[int]
    whole: bool


def collect_items(parsed: Parsed, report: Report) -> Items:
    """The items that a page defines. Which blocks a broken `block`, `use` or unknown statement
    would bring, nobody knows."""
    broken: set[str] = set()
    whole = True
    for words in parsed.broken:
        names = {w.text for w in words if w.type == "NAME"}
        broken |= names
        keyword = words[0].type if words else ""
        whole &= keyword == "LANGUAGE" or (keyword in SPACES and bool(names))
    broken_at = frozenset(words[0].span.start for words in parsed.broken if words)
    named: dict[str, Node] = {}
    for node in parsed.tree.all("block", "space", "model", "target"):
        name = node.token("NAME")
        if node.span.start in broken_at:
            broken.add(name.text)
        elif name.text in named and name.text not in broken:
            report.error("duplicate-name", f"`{name.text}` is defined twice in this page", name)
        named.setdefault(name.text, node)
    return Items(named, frozenset(broken), broken_at, whole)


def check_language(tree: Node, items: Items, report: Report) -> None:
    """A page says its language, once and first."""
    said = tree.all("language")
    nodes = [n for n in said if n.span.start not in items.broken_at]
    if not said and items.whole and not items.broken_at:
        empty = Node("start", (), Span(0, 0))
        message = "an empty page" if not tree.all() else "the page does not say its language"
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
    if nodes and tree.all()[0] is not said[0]:
        line = f"language {LANGUAGE}"
        help = f"write `{line}` as the first line of the page"
        report.error("misplaced", "`language` comes first", nodes[0], help)
