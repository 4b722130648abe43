"""Which settings of a block are different blocks: those that an op which is there depends on.

The kernel of an `optional` that is left out means nothing; then it has its least value, as in the
compiler's canonical form of a subnet. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product

from spacedsl_runtime.plan import Lookup, Number, Op, Optional, Shortcut, Stage, walk

Settings = tuple[tuple[str, Number], ...]
"""Settings by name, in the stage's order."""


def shared_groups(stage: Stage) -> tuple[tuple[Settings, ...], ...] | None:
    """The different settings of a block, in one group per choice of what the blocks of a stage
    share; None where every combination is another block."""
    if not any(isinstance(op, Optional) for op in walk(stage.first.ops)):
        return None
    return _groups(stage)


@lru_cache(maxsize=64)
def _groups(stage: Stage) -> tuple[tuple[Settings, ...], ...] | None:
    names = [p.name for p in stage.params]
    shared = frozenset(stage.shared if stage.depths[-1] > 1 else ())
    least: dict[str, Number] = {p.name: p.values[0] for p in stage.params}
    combinations = [
        tuple(zip(names, values, strict=True))
        for values in product(*(p.values for p in stage.params))
    ]
    free = True
    groups: dict[Settings, list[Settings]] = {}
    for chosen in combinations:
        there = _mentioned(stage.first.ops, dict(chosen))
        free &= all(value == least[n] for n, value in chosen if n not in there)
        if all(value == least[n] for n, value in chosen if n not in there | shared):
            groups.setdefault(tuple(s for s in chosen if s[0] in shared), []).append(chosen)
    if free:
        return None
    return tuple(
        tuple(group)
        for key, group in groups.items()
        if _is_shown(stage.first.ops, key, group, least)
    )


def _is_shown(
    ops: tuple[Op, ...], key: Settings, group: list[Settings], least: Mapping[str, Number]
) -> bool:
    """Whether what is shared and means nothing in any block of the group is at its least."""
    found = frozenset[str]().union(*(_mentioned(ops, dict(s)) for s in group))
    return all(value == least[name] for name, value in key if name not in found)


def _mentioned(ops: tuple[Op, ...], chosen: Mapping[str, Number]) -> frozenset[str]:
    """The names that ops which are there depend on."""
    found: frozenset[str] = frozenset()
    for op in ops:
        if isinstance(op, Optional):
            found |= {op.param}
            if chosen[op.param] != 0:
                found |= _mentioned(op.body, chosen)
        elif isinstance(op, Shortcut):
            found |= _mentioned(op.body, chosen)
        else:
            sizes = (getattr(op, field, None) for field in ("kernel", "width", "squeeze"))
            found = found.union(*(size.by for size in sizes if isinstance(size, Lookup)))
    return found
