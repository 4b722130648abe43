"""Inclusion: is every subnet of B a subnet of A, and if not, which one is not.

Stages choose independently, so A covers B exactly if every stage of A covers that of B. Two block
types are the same if their normal forms are (`block_identity`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spacedsl.ir.identity import block_identity, normal_ops
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why A does not cover B. `stage` is the stage's name in B ("" for the whole page), `key`
    what differs there (`block`, `width`, `depth`, ...), `witness` a subnet of B that is not one
    of A."""

    stage: str
    key: str
    reason: str
    witness: Subnet


def mismatch(outer: Space, inner: Space) -> Mismatch | None:
    """The first reason why `outer` does not cover `inner`, or None where it does."""
    return next(iter(mismatches(outer, inner)), None)


def mismatches(outer: Space, inner: Space) -> tuple[Mismatch, ...]:
    """One reason per part of `inner` that `outer` does not cover; empty where it covers all."""
    found: list[Mismatch] = []
    base = smallest(inner)
    missing = [r for r in inner.resolutions if r not in outer.resolutions]
    if missing:
        reason = f"resolution {missing[0]} is not one of {_listed(outer.resolutions)}"
        witness = base.model_copy(update={"resolution": missing[0]})
        found.append(Mismatch("", "input", reason, witness))
    if len(outer.stages) != len(inner.stages):
        reason = f"{len(inner.stages)} stages instead of {len(outer.stages)}"
        return (*found, Mismatch("", "stages", reason, base))
    for position, (a, b) in enumerate(zip(outer.stages, inner.stages, strict=True)):
        difference = _stage_mismatch(a, b)
        if difference is not None:
            key, reason, stage = difference
            stages = (*base.stages[:position], stage, *base.stages[position + 1 :])
            witness = base.model_copy(update={"stages": stages, "name": "witness"})
            found.append(Mismatch(b.name, key, reason, witness))
    return tuple(found)


_Difference = tuple[str, str, SubnetStage]


def _stage_mismatch(outer: Stage, inner: Stage) -> _Difference | None:
    if outer.stride != inner.stride:
        return "stride", f"stride {inner.stride} instead of {outer.stride}", _example(inner)
    for depth in inner.depths:
        if depth not in outer.depths:
            reason = f"depth {depth} is not one of {_listed(outer.depths)}"
            return "depth", reason, _example(inner, depth=depth)
    return (
        _width_mismatch(outer, inner)
        or _choice_mismatch(outer, inner)
        or _shared_mismatch(outer, inner)
    )


def _width_mismatch(outer: Stage, inner: Stage) -> _Difference | None:
    if inner.widths and not outer.widths:
        return "width", "it has no width to choose", _example(inner)
    for width in inner.widths:
        if width not in outer.widths:
            near = min(outer.widths, key=lambda w: abs(w - width))
            reason = f"width {width} is not one of {_listed(outer.widths)} (the nearest is {near})"
            return "width", reason, _example(inner, widths=(width,))
    if not inner.widths:
        return None
    places = {w: i for i, w in enumerate(outer.widths)}
    for window in inner.windows:
        reach = places[window[-1]] - places[window[0]] + 1
        if reach > outer.window and max(inner.depths) > 1 and "width" not in inner.shared:
            reason = f"widths {window[0]} and {window[-1]} are not in one window of {outer.window}"
            ends = (window[0], window[-1])
            return "width", reason, _example(inner, depth=max(inner.depths), widths=ends)
    return None


def _choice_mismatch(outer: Stage, inner: Stage) -> _Difference | None:
    known = {block_identity(choice): choice for choice in outer.choices}
    for position, choice in enumerate(inner.choices):
        same = known.get(block_identity(choice))
        if same is None:
            name, names = choice.block.name, [c.block.name for c in outer.choices]
            reason = f"block {name} has another body or activation there"
            if not name or name not in names:
                listed = ", ".join(n or "its own body" for n in names)
                reason = f"block {name or 'body'} is not one of: {listed}"
            return "block", reason, _example(inner, choice=position)
        allowed = _canonical_values(same)
        for arg, values in zip(choice.numeric, _values_in_order(choice), strict=True):
            for value in values[1]:
                if value not in allowed[values[0]]:
                    reason = f"{arg.name} {value} is not one of {_listed(allowed[values[0]])}"
                    settings = {arg.name: value}
                    return arg.name, reason, _example(inner, choice=position, settings=settings)
    return None


def _values_in_order(choice: BlockChoice) -> list[tuple[str, tuple[int | float | str, ...]]]:
    renamed = _canonical_names(choice)
    return [(renamed[a.name], a.values) for a in choice.numeric]


def _canonical_values(choice: BlockChoice) -> dict[str, tuple[int | float | str, ...]]:
    return dict(_values_in_order(choice))


def _canonical_names(choice: BlockChoice) -> Mapping[str, str]:
    return normal_ops(choice)[1]


def _shared_mismatch(outer: Stage, inner: Stage) -> _Difference | None:
    """What `outer` shares between blocks and `inner` does not. Block types are already matched."""
    depth = max(inner.depths)
    if depth == 1:
        return None
    reason = "differs between blocks, but is shared there"
    if "width" in outer.shared and "width" not in inner.shared:
        for window in inner.windows:
            if len(window) > 1:
                ends = (window[0], window[-1])
                return "shared", f"width {reason}", _example(inner, depth=depth, widths=ends)
    known = {block_identity(choice): choice for choice in outer.choices}
    for position, choice in enumerate(inner.choices):
        theirs = _canonical_names(known[block_identity(choice)])
        shared = {theirs[name] for name in outer.shared if name in theirs}
        names = _canonical_names(choice)
        for arg in choice.numeric:
            free = arg.name not in inner.shared and len(arg.values) > 1
            if free and names[arg.name] in shared:
                last = {arg.name: arg.values[-1]}
                example = _example(inner, choice=position, depth=depth, settings=last, once=True)
                return "shared", f"{arg.name} {reason}", example
    return None


def _example(
    stage: Stage,
    *,
    choice: int = 0,
    depth: int | None = None,
    widths: tuple[int, ...] = (),
    settings: dict[str, int | float | str] | None = None,
    once: bool = False,
) -> SubnetStage:
    """A subnet's stage that shows the difference; `once`: `settings` in the last block only."""
    count = depth or stage.depths[0]
    numeric = stage.choices[choice].numeric
    blocks: list[SubnetBlock] = []
    for i in range(count):
        applied = settings or {}
        if once and i < count - 1:
            applied = {}
        width = widths[min(i, len(widths) - 1)] if widths else (stage.widths or (0,))[0]
        chosen = tuple(
            Setting(name=a.name, value=applied.get(a.name, a.values[0])) for a in numeric
        )
        blocks.append(SubnetBlock(width=width, settings=chosen))
    return SubnetStage(choice=choice, blocks=tuple(blocks))


def subnet_mismatch(outer: Space, subnet: Subnet) -> Mismatch | None:
    """Why `subnet` is not one of `outer`'s, or None where it is."""
    found: list[tuple[str, str, str]] = []
    if subnet.resolution not in outer.resolutions:
        reason = f"resolution {subnet.resolution} is not one of {_listed(outer.resolutions)}"
        found.append(("", "input", reason))
    if len(outer.stages) != len(subnet.stages):
        found.append(("", "stages", f"{len(subnet.stages)} stages, not {len(outer.stages)}"))
    else:
        for position, stage in enumerate(outer.stages):
            narrowed = _as_stage(subnet, position)
            difference = _stage_mismatch(stage, narrowed)
            if difference is not None:
                found.append((narrowed.name, difference[0], difference[1]))
    if not found:
        return None
    return Mismatch(*found[0], witness=subnet)


def _as_stage(subnet: Subnet, position: int) -> Stage:
    """The narrowest stage that holds the subnet's."""
    declared, blocks = subnet.of.stages[position], subnet.stages[position].blocks
    choice = subnet.choice(position)
    args = tuple(
        arg
        if arg not in choice.numeric
        else arg.model_copy(update={"values": tuple(sorted({b.setting(arg.name) for b in blocks}))})
        for arg in choice.args
    )
    widths = tuple(sorted({b.width for b in blocks} - {0}))
    return declared.model_copy(
        update={
            "choices": (choice.model_copy(update={"args": args}),),
            "widths": widths,
            "window": len(widths),
            "depths": (len(blocks),),
            "shared": (),
        }
    )


def _listed(values: tuple[int | float | str, ...]) -> str:
    return ", ".join(str(v) for v in values)
