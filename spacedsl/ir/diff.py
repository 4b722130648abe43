"""What differs between two spaces or two subnets, by stage and key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spacedsl.ir.block import Value
from spacedsl.ir.expr import expr_text
from spacedsl.ir.identity import block_identity, normal_ops, stage_identity
from spacedsl.ir.settings import canonical_settings, form_of, mentioned, used_values
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet, SubnetBlock, in_short

Side = tuple[Value, ...] | None
Blocks = tuple[SubnetBlock, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """`stage` is "" for the page itself. `before` and `after`: the values, None where absent."""

    stage: str
    key: str
    before: Side
    after: Side

    @property
    def removed(self) -> tuple[Value, ...]:
        """The values only `before` has."""
        return tuple(v for v in self.before or () if v not in (self.after or ()))

    @property
    def added(self) -> tuple[Value, ...]:
        """The values only `after` has."""
        return tuple(v for v in self.after or () if v not in (self.before or ()))

    def to_json(self) -> dict[str, Any]:
        """JSON form, lists for values."""
        return {
            "stage": self.stage,
            "key": self.key,
            "before": None if self.before is None else list(self.before),
            "after": None if self.after is None else list(self.after),
            "removed": list(self.removed),
            "added": list(self.added),
        }


def diff_spaces(a: Space, b: Space) -> tuple[Change, ...]:
    """Changes from `a` to `b` that alter the set of subnets; empty where their hashes are equal."""
    changes = _changed("", "input", a.resolutions, b.resolutions)
    if a.kind == b.kind == "hyperspace":
        changes += _changed("", "limit", _limit(a), _limit(b))
    changes += _diff_taps(a, b)
    before = {s.name: s for s in a.said}
    after = {s.name: s for s in b.said}
    if len(before) == len(after) and list(before) != list(after):
        after = dict(zip(before, after.values(), strict=True))  # names are not meaning
    for name in dict.fromkeys([*before, *after]):
        changes += _diff_stage(name, before.get(name), after.get(name))
    return tuple(changes)


def _diff_taps(a: Space, b: Space) -> list[Change]:
    pyramids = ((space.pyramid,) if space.pyramid else None for space in (a, b))
    return [
        *_changed("", "taps", a.taps or None, b.taps or None),
        *_changed("", "pyramid", *pyramids),
    ]


def _said(space: Space) -> list[int]:
    """Positions of the stages that a page says."""
    return [i for i, stage in enumerate(space.stages) if not stage.level]


def _limit(space: Space) -> Side:
    said = space.limit.model_dump(exclude_none=True) if space.limit else {}
    return tuple(f"{cost} {amount}" for cost, amount in said.items()) or None


def _changed(stage: str, key: str, before: Side, after: Side) -> list[Change]:
    return [] if before == after else [Change(stage, key, before, after)]


def _diff_stage(name: str, a: Stage | None, b: Stage | None) -> list[Change]:
    if a is None or b is None:
        return [Change(name, "stage", _presence(a), _presence(b))]
    if stage_identity(a) == stage_identity(b):
        return []
    changes = _diff_choices(name, a, b)
    changes += _changed(name, "width", _widths(a), _widths(b))
    if (a.window < len(a.widths)) or (b.window < len(b.widths)):
        changes += _changed(name, "window", (a.window,), (b.window,))
    changes += _changed(name, "depth", a.depths, b.depths)
    changes += _changed(name, "stride", (a.stride,), (b.stride,))
    changes += _changed(name, "shared", a.shared, b.shared)
    changes += _changed(name, "elastic", (str(a.elastic),), (str(b.elastic),))
    return changes


def _widths(stage: Stage) -> Side:
    return stage.widths if stage.growth is None else (expr_text(stage.growth),)


def _presence(stage: Stage | None) -> Side:
    return None if stage is None else ("present",)


def _label(choice: BlockChoice) -> str:
    return choice.block.name or "its own body"


def _with_words(choice: BlockChoice) -> str:
    """A block type with the activations that it was given: `mbv3 act swish`."""
    return " ".join((_label(choice), *(f"{name} {word}" for name, word in choice.fixed.items())))


def _diff_choices(name: str, a: Stage, b: Stage) -> list[Change]:
    before = {block_identity(c): c for c in _as_in(b, a.choices)}
    after = {block_identity(c): c for c in _as_in(a, b.choices)}
    left = {i: choice for i, choice in before.items() if i not in after}
    new = {i: choice for i, choice in after.items() if i not in before}
    gone, come = (tuple(map(_label, part.values())) for part in (left, new))
    if set(gone) & set(come):  # alike in name only: say which is which
        gone, come = (tuple(map(_with_words, part.values())) for part in (left, new))
    if set(gone) & set(come):
        gone, come = (
            tuple(f"{_label(c)}@{i[:8]}" for i, c in part.items()) for part in (left, new)
        )
    changes = [Change(name, "block", gone or None, come or None)] if gone or come else []
    for identity, choice in before.items():
        if identity in after:
            changes += _diff_args(name, choice, after[identity])
    return changes


def _as_in(other: Stage, choices: tuple[BlockChoice, ...]) -> Iterator[BlockChoice]:
    """Block types, each with those activations left open that are open in another stage."""
    known = set(map(block_identity, other.choices))
    for choice in choices:
        yield next((view for view in choice.views if block_identity(view) in known), choice)


def _diff_args(name: str, a: BlockChoice, b: BlockChoice) -> list[Change]:
    names, others = normal_ops(a)[1], normal_ops(b)[1]
    theirs = {others[key]: values for key, values in used_values(b).items()}
    changes: list[Change] = []
    for key, values in used_values(a).items():
        after = theirs[names[key]]
        changes += _changed(name, f"{_label(a)} {key}", values or None, after or None)
    return changes


def diff_subnets(a: Subnet, b: Subnet) -> tuple[Change, ...]:
    """Changes from network `a` to network `b`, block by block."""
    changes = _changed("", "input", (a.resolution,), (b.resolution,))
    changes += _diff_taps(a.of, b.of)
    places, others_at = _said(a.of), _said(b.of)
    if len(places) != len(others_at):
        return (*changes, Change("", "stages", (len(places),), (len(others_at),)))
    for position, other in zip(places, others_at, strict=True):
        mine, theirs = a.stages[position], b.stages[other]
        name = a.of.stages[position].name
        ours, others = a.choice(position), b.choice(other)
        if block_identity(ours) != block_identity(others):
            changes += [Change(name, "block", (_label(ours),), (_label(others),))]
        changes += _changed(name, "depth", (len(mine.blocks),), (len(theirs.blocks),))
        for i in range(max(len(mine.blocks), len(theirs.blocks))):
            if not _same(ours, mine.blocks, others, theirs.blocks, i):
                sides = _side(ours, mine.blocks, i), _side(others, theirs.blocks, i)
                changes += _changed(name, f"block {i + 1}", *sides)
    return tuple(changes)


def _side(choice: BlockChoice, blocks: Blocks, i: int) -> Side:
    """The width and the settings that mean something."""
    if i >= len(blocks):
        return None
    said = canonical_settings(choice, blocks[i])
    there = mentioned(choice.block, dict(said))
    width = (blocks[i].width,) if blocks[i].width else ()
    return (*width, *(in_short(n, v) for n, v in said if n in there))


def _same(a: BlockChoice, mine: Blocks, b: BlockChoice, theirs: Blocks, i: int) -> bool:
    """Whether two networks have the same block at a place, however its settings are said."""
    if i >= min(len(mine), len(theirs)) or mine[i].width != theirs[i].width:
        return False
    return form_of(a, mine[i].chosen) == form_of(b, theirs[i].chosen)
