"""What is open before the cursor: the bodies it is in, and what may come next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacedsl.syntax.lexer import significant
from spacedsl.syntax.machine import Machine, Value, accepted, flat
from spacedsl.syntax.recovery import Recovery
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source

HEADS = {
    "block": "block",
    "hyperspace": "space",
    "space": "space",
    "model": "model",
    "target": "target",
    "blocks": "blocks",
    "shortcut": "shortcut",
    "optional": "optional",
    "concat": "concat",
    "sum": "sum",
    "else": "optional",
}
"""The word that begins a statement with a body -> its rule."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A body that is open: the rule it belongs to, its name ("" where it has none), and what
    stands in it so far, the unfinished statement last."""

    rule: str
    name: str
    inside: tuple[Node | Token, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """`frames` from the item inwards; `before`: what stands before the cursor outside of bodies'
    finished statements; `may`: the terminals that can come next."""

    frames: tuple[Frame, ...]
    before: tuple[Node | Token, ...]
    may: frozenset[str]

    @property
    def last(self) -> Token | None:
        """The last token of the unfinished statement."""
        found = self.before[-1] if self.before else None
        return found if isinstance(found, Token) else None

    def frame(self, *rules: str) -> Frame | None:
        """The innermost open body of these rules."""
        return next((f for f in reversed(self.frames) if f.rule in rules), None)


def opened(text: str) -> Open:
    """What is open at the end of a text, whatever errors it has."""
    source = Source("", text)
    machine = Recovery(source, significant(source)).up_to_end()
    return Open(_frames(machine), tuple(flat(machine.values)), frozenset(accepted(machine.states)))


def _frames(machine: Machine) -> tuple[Frame, ...]:
    values: Sequence[Value] = machine.values
    braces: list[int] = []
    for i, value in enumerate(values):
        if isinstance(value, Token) and value.text == "{":
            braces.append(i)
        elif isinstance(value, Token) and value.text == "}":  # its statement may yet go on
            braces.pop()
    frames: list[Frame] = []
    for i, brace in enumerate(braces):
        end = braces[i + 1] if i + 1 < len(braces) else len(values)
        start = braces[i - 1] + 1 if i else 0
        above = frames[-1].rule if frames else ""
        rule, name = _head(flat(values[start:brace]), above)
        frames.append(Frame(rule, name, tuple(flat(values[brace + 1 : end]))))
    return tuple(frames)


def _head(before: Sequence[Node | Token], above: str) -> tuple[str, str]:
    """The rule and the name of a body, from what stands before its `{`."""
    words: list[Token] = []
    for value in reversed(before):
        if isinstance(value, Token):
            words.insert(0, value)
            if value.text in HEADS:
                break
        elif value.rule not in ("of", "params"):
            break
    names = [w.text for w in words if w.type == "NAME"]
    if words and words[0].text in HEADS:
        return HEADS[words[0].text], names[0] if names else ""
    inner = {"space": "stage", "model": "model_stage"}.get(above, "choice")
    return inner, names[-1] if names else ""
