"""Habits of other languages: how something is written there, and how it is written here.

A habit looks at where the page stopped making sense and offers rewrites. Which of them is meant,
if any, is for the grammar to say: the one that lets most of the page be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spacedsl.syntax.habits import (
    amounts,
    bodies,
    calls,
    characters,
    comments,
    conditions,
    configs,
    costs,
    declarations,
    definitions,
    heads,
    kernels,
    networks,
    norms,
    notes,
    numbers,
    ops,
    order,
    pairs,
    parameters,
    punctuation,
    ranges,
    shapes,
    sizes,
    stage_keys,
)
from spacedsl.syntax.rewrite import Rewrite, Stopped, gets_to

Habit = Callable[[Stopped], Iterator[Rewrite]]

HABITS: tuple[Habit, ...] = (
    *conditions.HABITS,
    *heads.HABITS,
    *configs.HABITS,
    *costs.HABITS,
    *characters.HABITS,
    *definitions.HABITS,
    *declarations.HABITS,
    *networks.HABITS,
    *calls.HABITS,
    *kernels.HABITS,
    *norms.HABITS,
    *ops.HABITS,
    *parameters.HABITS,
    *ranges.HABITS,
    *shapes.HABITS,
    *stage_keys.HABITS,
    *sizes.HABITS,
    *pairs.HABITS,
    *numbers.HABITS,
    *amounts.HABITS,
    *order.HABITS,
    *comments.HABITS,
    *punctuation.HABITS,
    *ops.LATE,
    *bodies.HABITS,
    *notes.HABITS,
)
"""The likeliest first: of two that let as much be read, the first is said."""


def meant(stopped: Stopped) -> tuple[int, Rewrite | None]:
    """The change of tokens that lets most of the page be read, None where none helps. With it comes
    the number of the first token that does not fit after that change."""
    best, found = 0, None
    for habit in HABITS:
        for rewrite in habit(stopped):
            got = gets_to(stopped, rewrite)
            if got > best:
                best, found = got, rewrite
    return best, found
