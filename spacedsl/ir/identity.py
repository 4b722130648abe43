"""Identity: content hashes over normal forms.

A normal form keeps what makes two networks differ and nothing else: bindings are inlined,
activations substituted, names dropped (parameters that are chosen are numbered by first use),
choices ordered. Channels, classes, quality tables and the names of pages, blocks and stages stay
out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from spacedsl.ir.block import Block, Op, Optional, Value, op_acts, sizes_of, walk
from spacedsl.ir.expr import Expr, Ref, names_in, substitute
from spacedsl.ir.inline import inlined, op_form, substitute_ops
from spacedsl.ir.settings import used_values
from spacedsl.ir.space import BlockChoice, Limit, Space, Stage
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import Size

HASH_VERSION = 1
"""Part of every hash; changes only if the meaning of the language changes."""


def digest(value: object) -> str:
    """SHA-256 of the compact, key-sorted JSON of `value`, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def op_names(ops: tuple[Op, ...]) -> list[str]:
    """Names that ops mention (widths, kernels, squeezes, optional parameters, activations that
    are parameters), in order of first use."""
    found: list[str] = []
    for op in walk(ops):
        for _, size in sizes_of(op):
            found += names_in(size)
        if isinstance(op, Optional):
            found.append(op.param)
        found += (name for name in op_acts(op) if name not in ACTIVATIONS)
    return list(dict.fromkeys(found))


def normal_ops(choice: BlockChoice) -> tuple[Any, Mapping[str, str]]:
    """The normal form of a choice's body, activations substituted, and the canonical name of each
    parameter that is chosen."""
    return _normal_ops(*_type(choice))


_Type = tuple[Block, tuple[tuple[str, str], ...], frozenset[str]]
"""What makes a block type: the block, its activations, and which parameters are chosen."""


def _type(choice: BlockChoice) -> _Type:
    return choice.block, tuple(choice.fixed.items()), frozenset(a.name for a in choice.chosen)


@lru_cache(maxsize=1024)
def _normal_ops(
    block: Block, acts: tuple[tuple[str, str], ...], chosen: frozenset[str]
) -> tuple[Any, Mapping[str, str]]:
    ops = inlined(block)
    renamed = {n: f"p{i}" for i, n in enumerate(n for n in op_names(ops) if n in chosen)}
    ops = substitute_ops(ops, {name: Ref(name=new) for name, new in renamed.items()})
    return [op_form(op, dict(acts) | renamed) for op in ops], renamed


def block_identity(choice: BlockChoice) -> str:
    """What kind of block a choice is, whatever the values that it may choose: the key by
    which tables know blocks."""
    return _type_identity(*_type(choice))


@lru_cache(maxsize=1024)
def _type_identity(block: Block, acts: tuple[tuple[str, str], ...], chosen: frozenset[str]) -> str:
    form, _ = _normal_ops(block, acts, chosen)
    return digest([HASH_VERSION, "block", form])


@lru_cache(maxsize=4096)
def choice_identity(choice: BlockChoice) -> str:
    """A block choice with its values; the canonical order of choices is the order of these. Values
    that mean nothing in any block stay out.

    It refines `block_identity`: what hashes alike is found under the same keys in tables."""
    form, renamed = normal_ops(choice)
    used = used_values(choice)
    said = [(renamed[a.name], used[a.name]) for a in choice.chosen if a.name in renamed]
    values = sorted([name, _said(values)] for name, values in said if values)
    return digest([HASH_VERSION, "choice", form, values])


def _said(values: tuple[Value, ...]) -> list[Value]:
    """Values in an order that is always the same: activations are sorted by name, since the order
    of their table may change."""
    return sorted(values, key=str) if isinstance(values[0], str) else list(values)


def stage_form(stage: Stage) -> dict[str, Any]:
    """The normal form of a stage."""
    growth = growth_form(stage)
    return {
        **({} if growth is None else {"growth": growth.model_dump(mode="json")}),
        "elastic": stage.elastic,
        "choices": sorted(choice_identity(choice) for choice in stage.choices),
        "widths": list(stage.widths),
        "window": stage.window,
        "depths": list(stage.depths),
        "stride": stage.stride,
        "shared": sorted(_shared_form(stage)),
    }


def growth_form(stage: Stage) -> Expr | None:
    """The width of a stage's blocks by what comes in, parameters by their canonical names."""
    if stage.growth is None:
        return None
    renamed = normal_ops(stage.choices[0])[1]
    return substitute(stage.growth, {name: Ref(name=new) for name, new in renamed.items()})


def _shared_form(stage: Stage) -> Iterator[str]:
    """What is shared, parameters by their canonical name in each choice; nothing where there is
    only one value or one block to share it."""
    if stage.depths[-1] == 1:
        return
    if "width" in stage.shared and len(stage.widths) > 1:
        yield "width"
    for choice in stage.choices:
        renamed, used = normal_ops(choice)[1], used_values(choice)
        for arg in choice.chosen:
            open_choice = arg.name in renamed and len(used[arg.name]) > 1
            if arg.name in stage.shared and open_choice:
                yield f"{choice_identity(choice)} {renamed[arg.name]}"


@lru_cache(maxsize=4096)
def stage_identity(stage: Stage) -> str:
    """Hash of one stage with all of its choices."""
    return digest([HASH_VERSION, "stage", stage_form(stage)])


def space_identity(space: Space) -> str:
    """The content hash of a hyperspace or a space. A limit is part of a hyperspace's, whose spaces
    it chooses; of a space it says nothing that its stages do not."""
    stages = [stage_identity(stage) for stage in space.stages]
    limit = space.limit if space.kind == "hyperspace" else None
    return identity_of(space.resolutions, stages, space.taps, limit)


def identity_of(
    resolutions: Sequence[Size],
    stages: Sequence[str],
    taps: Sequence[Size],
    limit: Limit | None = None,
) -> str:
    """The content hash of a space from those of its stages."""
    form: list[Any] = [list(resolutions), list(stages)]
    if limit is not None:
        memory = [] if limit.memory is None else [limit.memory]
        form.append([limit.flops, limit.params, *memory])
    if taps:
        form.append({"taps": list(taps)})
    return digest([HASH_VERSION, "space", form])
