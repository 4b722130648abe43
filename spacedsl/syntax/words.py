"""The grammar's words and terminals, as errors name them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import IN_BODIES
from spacedsl.syntax.compiled import compiled
from spacedsl.vocabulary import bare, synonyms

READABLE = {
    "NAME": "a name",
    "INT": "a number",
    "FLOAT": "a number",
    "STRING": "a text in quotes",
    "PAIR": "a pair such as 3x3",
    "QUANTITY": "a quantity such as 15ms",
    "SETTING": "a setting such as e0.5",
    "$END": "the end of the page",
}


def is_word(text: str) -> bool:
    """Whether a fixed text of the grammar is a word, and no sign."""
    return text[0].isalpha()


def terminal(word: str) -> str:
    """The name of a word's terminal."""
    return word.upper().replace("-", "_")


@cache
def keywords() -> dict[str, str]:
    """Terminal name -> word, for the words the grammar reserves."""
    return {name: text for name, text in sorted(fixed().items()) if is_word(text)}


@cache
def fixed() -> dict[str, str]:
    """Terminal name -> text, for words and signs, which are always spelt alike."""
    return {name: text for name, text, is_fixed in compiled()["terminals"] if is_fixed}


@cache
def units() -> tuple[str, ...]:
    """The units of quantities."""
    (expression,) = (text for name, text, _ in compiled()["terminals"] if name == "QUANTITY")
    listed = re.search(r"\(((?:\w+\|)+\w+)\)", expression)
    return tuple(listed[1].split("|")) if listed else ()


OPERATORS = ("PLUS", "MINUS", "STAR", "SLASH")
OPS = tuple(terminal(word) for word in IN_BODIES if word != "optional")
WINDOWED = tuple(word.upper() for word, op in IN_BODIES.items() if op.window)
"""Terminals of ops, and of those that a kernel follows."""


@cache
def _glued() -> re.Pattern[str]:
    """An op, its kernel and what else it says as one word: `conv3x3`, `conv3x3-bn-relu`."""
    acts = (word for act in ACTIVATIONS for word in (act, *ACTIVATIONS[act].synonyms))
    said = "|".join(sorted(map(bare, acts), key=len, reverse=True))
    ops = "|".join(word for word, op in IN_BODIES.items() if op.window)
    return re.compile(rf"({ops})(?:2d)?(?:([0-9]+)(?:x([0-9]+))?)?(?:bn|batchnorm|norm)?({said})?")


def unglued(word: str, kernel: str = "") -> str | None:
    """An op that stands as one word with its kernel and its activation, as words of their own;
    `kernel`: what is written where it says none."""
    found = _glued().fullmatch(bare(word))
    if found is None or found[3] not in (None, found[2]) or not (found[2] or kernel):
        return None
    op, side, _, act = found.groups()
    acts = [name for name in (act, *synonyms(act or "")) if name in ACTIVATIONS]
    return " ".join((op, f"{side}x{side}" if side else kernel, *acts[:1]))


def expected(kinds: Iterable[str]) -> str:
    """What could stand there, as a list: ops and operators by an example."""
    known = set(kinds)
    if "INT" in known:  # a pair is two of them
        known.discard("PAIR")
    found: list[str] = []
    for group, said in ((OPERATORS, "an operator such as `*`"), (OPS, "an op such as `conv`")):
        if known >= set(group):
            known -= {*group, "OPTIONAL"}
            found.append(said)
    found = sorted({*found, *(READABLE.get(k) or f"`{fixed()[k]}`" for k in known)})
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} or {found[-1]}"


def channels_at(text: str, offset: int) -> str:
    """The name of the channels that an op in a body reads: where the last `->` before it goes, by
    its name, else what comes into the block."""
    body = text[text.rfind("{", 0, offset) + 1 : offset]
    found = re.findall(r"->\s*([A-Za-z]\w*)(?!\w|\s*[-+*/(])", body)
    return found[-1] if found else "cin"
