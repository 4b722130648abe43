"""What stands at an offset of a page."""

from __future__ import annotations

from spacedsl.syntax.tree import Node, Token

Path = tuple[Node, ...]
"""Nodes from the page down to the one that holds a token."""


def at(tree: Node, offset: int) -> tuple[Path, Token] | None:
    """The token at an offset and the nodes it is in; where two meet, the one that says more."""
    found = list(_at(tree, (), offset))
    words = [(path, token) for path, token in found if token.type != "$END"]
    words.sort(key=lambda item: (item[1].text[:1] not in "{}(),", item[1].span.start == offset))
    return words[-1] if words else None


def _at(node: Node, above: Path, offset: int) -> list[tuple[Path, Token]]:
    found: list[tuple[Path, Token]] = []
    for child in node.children:
        if child.span.start <= offset <= child.span.end:
            if isinstance(child, Token):
                found.append(((*above, node), child))
            else:
                found += _at(child, (*above, node), offset)
    return found


def tokens_of(node: Node, above: Path = ()) -> list[tuple[Path, Token]]:
    """Every token below a node, with the nodes it is in."""
    found: list[tuple[Path, Token]] = []
    for child in node.children:
        if isinstance(child, Token):
            found.append(((*above, node), child))
        else:
            found += tokens_of(child, (*above, node))
    return found


def enclosing(path: Path, *rules: str) -> Node | None:
    """The innermost node of these rules."""
    return next((node for node in reversed(path) if node.rule in rules), None)
