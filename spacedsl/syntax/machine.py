"""The automaton that reads pages, on the tables that Lark builds. Its stacks are plain lists, so
that recovery can copy, cut and try them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from spacedsl.syntax.compiled import compiled
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span

END = "$END"

Value = Token | Node | tuple["Value", ...]
"""What a state stands for; a tuple is the children of a rule that leaves no node."""


@dataclass(frozen=True, slots=True)
class Reduction:
    rule: str
    size: int


@dataclass(frozen=True, slots=True)
class Tables:
    """Per state: terminal -> the next state or a reduction; rule -> the next state."""

    actions: list[dict[str, int | Reduction]]
    gotos: list[dict[str, int]]
    start: int
    end: int


@cache
def tables() -> Tables:
    """The grammar's tables."""
    found = compiled()
    rules = [Reduction(rule, size) for rule, size in found["rules"]]
    actions: list[dict[str, int | Reduction]] = [
        {kind: to if to >= 0 else rules[-1 - to] for kind, to in row.items()}
        for row in found["states"]
    ]
    return Tables(actions, found["gotos"], found["start"], found["end"])


def advance(states: list[int], kind: str) -> bool:
    """Move a stack of states over one terminal; False (and the stack spoilt) where it does not
    fit."""
    found = tables()
    while True:
        action = found.actions[states[-1]].get(kind)
        if action is None:
            return False
        if isinstance(action, int):
            states.append(action)
            return True
        del states[len(states) - action.size :]
        states.append(found.gotos[states[-1]][action.rule])
        if kind == END and states[-1] == found.end:
            return True


def fits(states: list[int], kind: str) -> bool:
    """Whether a terminal may follow."""
    action = tables().actions[states[-1]].get(kind)
    if action is None or isinstance(action, int):
        return action is not None
    return advance(states[:], kind)


def accepted(states: list[int]) -> set[str]:
    """Every terminal that may follow."""
    return {kind for kind in tables().actions[states[-1]] if fits(states, kind)}


def reach(states: list[int], kinds: Iterable[str]) -> int:
    """How many of these terminals may follow one after the other. `states` is kept."""
    stack, count = states[:], 0
    for kind in kinds:
        if not advance(stack, kind):
            break
        count += 1
    return count


class Machine:
    """A run of the automaton: `values` are what `states[1:]` stand for."""

    __slots__ = ("_tables", "states", "values")

    def __init__(self, states: Iterable[int] = (), values: Iterable[Value] = ()) -> None:
        self._tables = tables()
        self.states = list(states) or [self._tables.start]
        self.values = list(values)

    def copy(self) -> Machine:
        """An independent run from here."""
        return Machine(self.states, self.values)

    def cut(self, size: int) -> tuple[Value, ...]:
        """Forget all but the first `size` values; those forgotten."""
        gone = tuple(self.values[size:])
        del self.values[size:]
        del self.states[size + 1 :]
        return gone

    def feed(self, token: Token) -> bool:
        """Take a token; False, and nothing changed, where it does not fit."""
        return fits(self.states, token.type) and self.take(token)

    def take(self, token: Token) -> bool:
        """Take a token; False, and the run spoilt, where it does not fit."""
        actions, kind = self._tables.actions, token.type
        while isinstance(action := actions[self.states[-1]].get(kind), Reduction):
            self._reduce(action)
            if kind == END and self.states[-1] == self._tables.end:
                return True
        if action is None:
            return False
        self.states.append(action)
        self.values.append(token)
        return True

    def _reduce(self, action: Reduction) -> None:
        at = len(self.values) - action.size
        parts = tuple(self.values[at:])
        del self.values[at:]
        del self.states[at + 1 :]
        self.states.append(self._tables.gotos[self.states[-1]][action.rule])
        self.values.append(parts if action.rule.startswith("_") else _node(action.rule, parts))


def _node(rule: str, parts: tuple[Value, ...]) -> Node:
    children = tuple(flat(parts))
    span = children[0].span.to(children[-1].span) if children else Span(0, 0)
    return Node(rule, children, span)


def flat(parts: Iterable[Value]) -> list[Node | Token]:
    """Nodes and tokens in order, whatever the depth of the lists they stand in."""
    found: list[Node | Token] = []
    todo: list[Value] = list(parts)[::-1]
    while todo:
        value = todo.pop()
        if isinstance(value, Token | Node):
            found.append(value)
        else:
            todo.extend(value[::-1])
    return found
