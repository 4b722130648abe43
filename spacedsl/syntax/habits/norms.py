"""Norms that stand before the op whose input they are of."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.vocabulary import advice, is_norm, leaves_out, synonyms

MOST_WORDS = 4


def norms(stopped: Stopped) -> Iterator[Rewrite]:
    """`bn relu conv 3x3`: an op of its own; `layernorm conv 3x3`: a norm that is not there."""
    tokens, op = stopped.tokens, stopped.index
    while tokens[op].type == "NAME" and op < stopped.index + MOST_WORDS:
        op += 1
    first = op
    while (
        first - 1 in stopped.runs and tokens[first - 1].type == "NAME" and op - first < MOST_WORDS
    ):
        first -= 1
        if advice(tokens[first].text) is not None:
            break
    word, said, at = tokens[first].text, stopped.shown(first, op), stopped.span(first, op)
    acts = [_act(token.text) for token in tokens[first + 1 : op]]
    if tokens[op].type not in ("CONV", "DWCONV") or first == op or None in acts or len(acts) > 1:
        return
    message = f"`{said}` stands before `{tokens[op].text}`"
    if is_norm(word):
        meant = " ".join(("dwconv 1x1", *filter(None, acts), "ones"))
        help = f"a norm before an op is `{meant}`; the one behind a convolution is there unsaid"
        also = (("leave it out", (Put(at, ""),)),)
        change = Change(first, op, meant)
        yield Rewrite("norm", message, at, (change,), help, f"write `{meant}`", also=also)
    elif advice(word) is not None:
        change, puts = Change(first, op, ""), None if leaves_out(word) else ()
        yield Rewrite("norm", message, at, (change,), advice(word), "leave it out", puts)


def _act(word: str) -> str | None:
    """The activation that a word is."""
    return next((name for name in (word.lower(), *synonyms(word)) if name in ACTIVATIONS), None)


HABITS = (norms,)
