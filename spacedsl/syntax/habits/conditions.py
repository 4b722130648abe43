"""Conditions, which other languages have and this one has not."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.syntax.messages import CONDITIONS, NO_CONDITIONS
from spacedsl.syntax.rewrite import Change, Rewrite, Stopped

BACK = 5
"""How far before the token that does not fit a condition begins at most."""


def conditions(stopped: Stopped) -> Iterator[Rewrite]:
    """`if stride == 1 { ... } else { ... }`, `if stride == 1: shortcut identity`."""
    for by in range(1 - BACK, 1):
        word, first = stopped.at(by), stopped.index + by
        begins = stopped.is_first(by) or stopped.at(by - 1).text in ("{", "}")
        begins |= "CONV" in stopped.may_at(by) or stopped.at(by - 1).type == "SHORTCUT"
        if word.text not in CONDITIONS or not begins or first not in stopped.runs:
            continue
        yield Rewrite(
            "condition",
            f"there is no op `{word.text}`" if "CONV" in stopped.may_at(by) else NONE,
            word.span,
            (Change(first, _end(stopped, first), _instead(stopped, by)),),
            NO_CONDITIONS,
            puts=(),
            code="unknown-op",
            sure=True,
        )


def _instead(stopped: Stopped, by: int) -> str:
    """What is read instead of a condition."""
    return "identity" if stopped.at(by - 1).type == "SHORTCUT" else ""


NONE = "a page has no conditions"


def _end(stopped: Stopped, first: int) -> int:
    """The number of the token behind a condition: behind its bodies, else at the end of its line
    or of the body it stands in."""
    tokens, after, depth = stopped.tokens, first, 0
    line = stopped.line_end(first)
    while after < line and tokens[after].text != "{" and depth >= 0:
        after += 1
        depth -= tokens[after].text == "}"
    while tokens[after].text == "{":
        closed = stopped.close(after, "{", "}")
        if closed is None:
            return line
        after = closed + 1
        opening = next((n for n in range(after, len(tokens)) if tokens[n].text == "{"), None)
        if tokens[after].text not in ("else", "elif", "elsif") or opening is None:
            break
        after = opening
    return after


HABITS = (conditions,)
