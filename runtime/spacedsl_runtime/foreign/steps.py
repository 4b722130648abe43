"""What an imported network does, step by step, in the operators of the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from spacedsl.ir.block import Op
from spacedsl_runtime.elastic.weights import Arrays
from spacedsl_runtime.errors import ForeignError


@dataclass(frozen=True, slots=True)
class Step:
    """One operator with numbers for its sizes. `path` is the module that does it, "" for the
    network itself. `arrays`: one for each of its convolutions."""

    op: Op
    path: str
    cin: int
    cout: int
    arrays: tuple[Arrays, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """The steps of `main` plus those of `shortcut` (none: the input), then an activation."""

    main: tuple[Doing, ...]
    shortcut: tuple[Doing, ...]
    cin: int
    cout: int
    act: str | None = None


Doing = Step | Joined


@dataclass(slots=True)
class Mistakes:
    """What the language cannot say of a network: each reason with the parts of the network that it
    holds for."""

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def add(self, part: str, reason: str) -> None:
        """`part` cannot be said, for a reason."""
        parts = self.reasons.setdefault(reason, [])
        if part not in parts:
            parts.append(part)

    def check(self) -> None:
        """Raise `ForeignError` where there is one."""
        if self.reasons:
            said = [f"{_listed(parts)}: {reason}" for reason, parts in self.reasons.items()]
            raise ForeignError("the language cannot say " + "; ".join(said))


SHOWN = 2


def _listed(parts: list[str]) -> str:
    more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
    return ", ".join(parts[:SHOWN]) + more


def steps_of(doing: tuple[Doing, ...]) -> Iterator[Step]:
    """All steps in the order of execution: main paths before shortcuts."""
    for one in doing:
        if isinstance(one, Joined):
            yield from steps_of(one.main)
            yield from steps_of(one.shortcut)
        else:
            yield one
