"""Settings that mean something: one canonical form of what blocks choose.

Settings say the same where the ops that are there are the same: the kernel of an `optional` that is
left out says nothing. Of all settings that say the same, the least are the canonical ones.
Everything that counts, draws, compares or names networks goes by this form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import product

from spacedsl.ir.block import (
    Block,
    Op,
    Optional,
    Value,
    bodies,
    op_acts,
    sizes_of,
    walk,
    with_bodies,
)
from spacedsl.ir.expr import Num, names_in
from spacedsl.ir.inline import inlined, op_form, substitute_ops
from spacedsl.ir.space import BlockChoice, Settings, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage


@lru_cache(maxsize=4096)
def has_optional(block: Block) -> bool:
    """Whether different settings of this block may say the same."""
    return any(isinstance(op, Optional) for op in walk(block.ops))


def form_of(choice: BlockChoice, chosen: Settings) -> str:
    """The ops that are there with these settings, with the values that they have."""
    values = {name: Num(value=v) for name, v in chosen if not isinstance(v, str)}
    acts = choice.fixed | {name: v for name, v in chosen if isinstance(v, str)}
    there = substitute_ops(_there(inlined(choice.block), dict(chosen)), values)
    return repr([op_form(op, acts) for op in there])


def _there(ops: Iterable[Op], chosen: Mapping[str, Value]) -> tuple[Op, ...]:
    """The ops that are not left out, the optional ones in their place."""
    found: list[Op] = []
    for op in ops:
        if isinstance(op, Optional):
            found += _there(op.body, chosen) if op.is_there(chosen[op.param]) else ()
        else:
            found.append(with_bodies(op, lambda ops: _there(ops, chosen)))
    return tuple(found)


def _all(choice: BlockChoice) -> list[Settings]:
    names = [arg.name for arg in choice.chosen]
    lists = product(*(arg.values for arg in choice.chosen))
    return [tuple(zip(names, values, strict=True)) for values in lists]


@lru_cache(maxsize=4096)
def forms(choice: BlockChoice) -> dict[Settings, str]:
    """Every combination of settings, the last parameter running fastest, and its form."""
    return {chosen: form_of(choice, chosen) for chosen in _all(choice)}


@lru_cache(maxsize=4096)
def combinations(choice: BlockChoice) -> tuple[Settings, ...]:
    """The canonical settings of a block: one combination for each different block."""
    if not has_optional(choice.block):
        return tuple(_all(choice))
    return tuple(_first(forms(choice).items()).values())


def _first(pairs: Iterable[tuple[Settings, str]]) -> dict[str, Settings]:
    """The first settings of each form."""
    found: dict[str, Settings] = {}
    for chosen, form in pairs:
        found.setdefault(form, chosen)
    return found


def are_free(choice: BlockChoice) -> bool:
    """Whether every combination of settings is another block."""
    return not has_optional(choice.block) or len(combinations(choice)) == len(forms(choice))


@lru_cache(maxsize=4096)
def by_shared(stage: Stage, choice: BlockChoice) -> dict[Settings, dict[str, Settings]]:
    """Per choice of what the blocks of a stage share, the least settings of every form."""
    shared = frozenset(stage.shared if stage.depths[-1] > 1 else ())
    groups: dict[Settings, list[tuple[Settings, str]]] = {}
    for chosen, form in forms(choice).items():
        key = tuple(pair for pair in chosen if pair[0] in shared)
        groups.setdefault(key, []).append((chosen, form))
    return {key: _first(pairs) for key, pairs in groups.items()}


@lru_cache(maxsize=4096)
def shared_groups(stage: Stage, choice: BlockChoice) -> tuple[tuple[Settings, ...], ...]:
    """The different settings of a block, in one group per choice of what the blocks of a stage
    share; of choices that make no difference to any block, the first."""
    groups: dict[frozenset[str], tuple[Settings, ...]] = {}
    for found in by_shared(stage, choice).values():
        groups.setdefault(frozenset(found), tuple(found.values()))
    return tuple(groups.values())


def used_values(choice: BlockChoice) -> dict[str, tuple[Value, ...]]:
    """The values of every parameter that is chosen, none where no op that can be there mentions
    it."""
    values = {arg.name: arg.values for arg in choice.chosen}
    if not has_optional(choice.block):
        return values
    found = frozenset[str]().union(*(mentioned(choice.block, dict(s)) for s in _all(choice)))
    return {name: said if name in found else () for name, said in values.items()}


def always_mentioned(choice: BlockChoice) -> frozenset[str]:
    """The parameters that say something of every block: no `optional` leaves them out."""
    every = _all(choice) if has_optional(choice.block) else _all(choice)[:1]
    return frozenset.intersection(*(mentioned(choice.block, dict(said)) for said in every))


def mentioned(block: Block, chosen: Mapping[str, Value]) -> frozenset[str]:
    """The parameters, and activations, that the ops of a block mention which are there with these
    settings, and the parameters that say which are."""
    return frozenset(_mentioned(inlined(block), chosen))


def _mentioned(ops: tuple[Op, ...], chosen: Mapping[str, Value]) -> set[str]:
    found: set[str] = set()
    for op in ops:
        if isinstance(op, Optional):
            found.add(op.param)
            found |= _mentioned(op.body, chosen) if op.is_there(chosen[op.param]) else set()
            continue
        found.update(name for _, expr in sizes_of(op) for name in names_in(expr))
        found.update(op_acts(op))
        for body in bodies(op):
            found |= _mentioned(body, chosen)
    return found


def canonical_settings(choice: BlockChoice, block: SubnetBlock) -> Settings:
    """The canonical settings of a subnet's block."""
    chosen = block.chosen
    if not has_optional(choice.block):
        return chosen
    return _least(choice).get(form_of(choice, chosen), chosen)


@lru_cache(maxsize=4096)
def _least(choice: BlockChoice) -> dict[str, Settings]:
    return _first(forms(choice).items())


def canonical(subnet: Subnet) -> Subnet:
    """The same network in canonical form. What the blocks of a stage share stays shared: it has
    the least value that says the same of all of them."""
    stages = tuple(map(canonical_stage, subnet.of.stages, subnet.stages))
    return subnet if stages == subnet.stages else subnet.model_copy(update={"stages": stages})


def canonical_stage(declared: Stage, stage: SubnetStage) -> SubnetStage:
    """As `canonical`, of one stage; one that is no member of its space stays as it is."""
    choice = declared.choices[stage.choice]
    if not has_optional(choice.block):
        return stage
    said = [form_of(choice, block.chosen) for block in stage.blocks]
    for group in by_shared(declared, choice).values():
        if all(form in group for form in said):
            blocks = tuple(
                SubnetBlock(
                    width=block.width,
                    settings=tuple(Setting(name=n, value=v) for n, v in group[form]),
                )
                for block, form in zip(stage.blocks, said, strict=True)
            )
            return stage.model_copy(update={"blocks": blocks})
    return stage
