"""What an imported network does, step by step, in the operators of the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from spacedsl.ir.block import ONE, Conv, GlobalPool, Linear, Op
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
class Part:
    """One of `count` equal parts of the channels; `index` counts them from 0. A concat that joins
    all parts in order becomes a `split`."""

    index: int
    count: int
    path: str
    cin: int
    cout: int


@dataclass(frozen=True, slots=True)
class Joined:
    """The steps of every branch (none: the input) side by side: added, or their channels one behind
    the other. Then an activation. `split`: each branch reads its part of the channels."""

    branches: tuple[tuple[Doing, ...], ...]
    cin: int
    cout: int
    act: str | None = None
    how: Literal["concat", "sum"] = "sum"
    split: bool = False


Doing = Step | Joined | Part


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
    """All steps in the order of execution, branch by branch."""
    for one in doing:
        if isinstance(one, Joined):
            for branch in one.branches:
                yield from steps_of(branch)
        elif isinstance(one, Step):
            yield one


def classified(steps: tuple[Doing, ...]) -> tuple[Doing, ...]:
    """Steps whose last one, a plain convolution 1x1 of a pooled map, is the classifier that it
    is."""
    *before, last = steps
    pooled = any(isinstance(one, Step) and isinstance(one.op, GlobalPool) for one in before)
    if not pooled or not isinstance(last, Step) or not isinstance(last.op, Conv):
        return steps
    op = last.op
    if op.kernel != ONE or op.groups != ONE or op.norm or op.act:
        return steps
    arrays = {"bias": torch.zeros(last.cout), **last.arrays[0]}
    return (*before, replace(last, op=Linear(classes=last.cout), arrays=(arrays,)))


def parts_of(doing: tuple[Doing, ...]) -> Iterator[Part]:
    """The parts of channels that nothing joins again."""
    for one in doing:
        if isinstance(one, Part):
            yield one
        elif isinstance(one, Joined):
            for branch in one.branches:
                yield from parts_of(branch)
