"""The same space under other names: blocks, parameters, bindings, stages, the space itself."""

from __future__ import annotations

from spacedsl.ir.block import SIZES, Block, Let, Op, Param, with_bodies
from spacedsl.ir.expr import Expr, Ref, substitute
from spacedsl.ir.space import Arg, BlockChoice, Space, Stage


def renamed_block(block: Block) -> Block:
    """The same block with every name turned around."""
    names = {p.name: f"q-{p.name[::-1]}" for p in block.params}
    names |= {let.name: f"z-{let.name[::-1]}" for let in block.lets}
    refs: dict[str, Expr] = {old: Ref(name=new) for old, new in names.items()}

    def rename(op: Op) -> Op:
        update: dict[str, object] = {}
        for field in SIZES:
            if hasattr(op, field):
                update[field] = substitute(getattr(op, field), refs)
        for field in ("act", "gate", "param"):
            if hasattr(op, field):
                update[field] = names.get(getattr(op, field), getattr(op, field))
        renamed = op.model_copy(update=update)
        return with_bodies(renamed, lambda ops: tuple(map(rename, ops)))

    return Block(
        name=f"renamed-{block.name[::-1]}" if block.name else "",
        params=tuple(Param(name=names[p.name], default=p.default) for p in block.params),
        lets=tuple(
            Let(name=names[let.name], value=substitute(let.value, refs)) for let in block.lets
        ),
        ops=tuple(rename(op) for op in block.ops),
    )


def renamed_stage(stage: Stage) -> Stage:
    def rename(choice: BlockChoice) -> BlockChoice:
        args = tuple(Arg(name=f"q-{a.name[::-1]}", values=a.values) for a in choice.args)
        return BlockChoice(block=renamed_block(choice.block), args=args)

    shared = tuple(s if s == "width" else f"q-{s[::-1]}" for s in stage.shared)
    refs: dict[str, Expr] = {
        a.name: Ref(name=f"q-{a.name[::-1]}") for choice in stage.choices for a in choice.args
    }
    growth = None if stage.growth is None else substitute(stage.growth, refs)
    return stage.model_copy(
        update={
            "growth": growth,
            "name": f"s-{stage.name[::-1]}",
            "choices": tuple(rename(c) for c in stage.choices),
            "shared": shared,
        }
    )


def renamed(space: Space) -> Space:
    stages = tuple(renamed_stage(stage) for stage in space.stages)
    return space.model_copy(update={"name": f"r-{space.name[::-1]}", "of": None, "stages": stages})
