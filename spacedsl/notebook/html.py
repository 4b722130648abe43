"""How values look in a notebook: a title, a table, a page; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def titled(title: str, *parts: str) -> str:
    """A title above parts that are HTML already."""
    return f"<div><strong>{escape(title)}</strong>{''.join(parts)}</div>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; without heads of columns where they are empty."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    first = f"<thead><tr>{head}</tr></thead>" if heads else ""
    return f"<table>{first}<tbody>{body}</tbody></table>"


def page(text: str) -> str:
    """A page as text that can be unfolded."""
    return f"<details><summary>page</summary><pre>{escape(text)}</pre></details>"
