"""What a page defines, as far as it can be read, and the language it says it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spacedsl.lang.report import Mend, Report
from spacedsl.syntax.parser import Parsed
from spacedsl.syntax.tree import Node, leaves
from spacedsl.text import Span

LANGUAGE = 1
SPACES = ("HYPERSPACE", "SPACE", "MODEL", "TARGET")


@dataclass(frozen=True, slots=True)
class Items:
    """`named`: the syntax tree of every item of a page. Those in `broken` hold a syntax error;
    `broken_at`: where the statements with a syntax error begin. `repeated`: further items of a name
    that has one. A page that is not `whole` may lack names."""

    named: Mapping[str, Node]
    broken: frozenset[str]
    broken_at: frozenset[int]
    repeated: tuple[Node, ...]
    whole: bool

    def repeats(self, name: str, rule: str) -> bool:
        """Whether an item of this kind has a name that another one has."""
        return any(n.rule == rule and n.token("NAME").text == name for n in self.repeated)


def collect_items(parsed: Parsed) -> Items:
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
    repeated: list[Node] = []
    for node in parsed.tree.all("block", "space", "model", "target"):
        name = node.token("NAME")
        if node.span.start in broken_at:
            broken.add(name.text)
        elif name.text in named and name.text not in broken:
            repeated.append(node)
        named.setdefault(name.text, node)
    return Items(named, frozenset(broken), broken_at, tuple(repeated), whole)


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
    if nodes and tree.all()[0] is not said[0]:
        line = f"language {LANGUAGE}"
        help = f"write `{line}` as the first line of the page"
        report.error("misplaced", "`language` comes first", nodes[0], help)


def check_repeated(tree: Node, items: Items, report: Report) -> None:
    """A page says each thing once. One error stands for all, as of a page that was pasted twice."""
    languages = [n for n in tree.all("language") if n.span.start not in items.broken_at]
    repeated = sorted((*languages[1:], *items.repeated), key=lambda node: node.span.start)
    if not repeated:
        return
    first = repeated[0]
    more = (n.token("NAME").text for n in repeated[1:] if n.rule != "language")
    names = [f"`{name}`" for name in dict.fromkeys(more)]
    help = None
    if names:
        shown = ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" * (len(names) > MOST))
        help = f"so {'is' if len(names) == 1 else 'are'} {shown}: keep one of each"
    fixes = _kept_once(tree, first, report)
    if first.rule == "language":
        report.error("duplicate-key", "the language is said twice", first, help, fixes)
    else:
        name = first.token("NAME")
        message = f"`{name.text}` is defined twice in this page"
        other = items.named[name.text]
        if other.rule != first.rule:
            help = (
                f"a {other.rule} and a {first.rule} share their names: call one of them otherwise"
            )
        report.error("duplicate-name", message, name, help, fixes)


MOST = 5
"""Names that are listed."""


def _kept_once(tree: Node, first: Node, report: Report) -> list[Mend]:
    """The fix of a page whose statements from `first` on all stand before it too, word by word."""
    before = [node for node in tree.all() if node.span.start < first.span.start]
    behind = tree.all()[len(before) :]
    known = {_words(node) for node in before}
    if any(_words(node) not in known for node in behind):
        return []
    text, start = report.source.text, before[-1].span.end
    line_end = text.find("\n", start, first.span.start)
    gone = Span(line_end if line_end >= 0 else start, behind[-1].span.end)
    return [("keep the first of each", gone, "")]


def _words(node: Node) -> tuple[str, ...]:
    return tuple(token.text for token in leaves(node))
