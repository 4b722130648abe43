"""Inclusion: is every subnet of B a subnet of A, and if not, which one is not.

Stages choose independently, so A covers B exactly if every stage of A covers that of B. Two block
types are the same if their normal forms are (`block_identity`). Settings are the same where they
say the same (see `settings`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from spacedsl.ir.block import Value
from spacedsl.ir.expr import expr_text
from spacedsl.ir.identity import block_identity, growth_form, normal_ops
from spacedsl.ir.sampling import smallest
from spacedsl.ir.settings import by_shared, form_of, forms, has_optional, mentioned
from spacedsl.ir.space import Arg, BlockChoice, Settings, Space, Stage
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
    other_taps = _taps_mismatch(outer, inner)
    if other_taps is not None:
        found.append(Mismatch("", "taps", other_taps, base))
    if other_taps is not None and (outer.pyramid or inner.pyramid):
        return tuple(found)  # what else differs is the pyramid's
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


OWN = "its own body"
_Difference = tuple[str, str, SubnetStage]

_Said = tuple[Settings, ...]
"""The settings that blocks have, one after the other."""


def _stage_mismatch(outer: Stage, inner: Stage, said: _Said = ()) -> _Difference | None:
    """`said`: the settings of the blocks of the one subnet that `inner` holds, if it does."""
    if outer.stride != inner.stride:
        return "stride", f"stride {inner.stride} instead of {outer.stride}", _example(inner)
    for depth in inner.depths:
        if depth not in outer.depths:
            reason = f"depth {depth} is not one of {_listed(outer.depths)}"
            return "depth", reason, _example(inner, depth=depth)
    return (
        _width_mismatch(outer, inner)
        or _choice_mismatch(outer, inner, said)
        or _shared_mismatch(outer, inner, said)
    )


def _width_mismatch(outer: Stage, inner: Stage) -> _Difference | None:
    if growth_form(inner) != growth_form(outer):
        said, wanted = ("none" if s.growth is None else expr_text(s.growth) for s in (inner, outer))
        return "width", f"the width by `cin` is {said} instead of {wanted}", _example(inner)
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


def _choice_mismatch(outer: Stage, inner: Stage, said: _Said) -> _Difference | None:
    for position, choice in enumerate(inner.choices):
        parts = _parts(outer, choice)
        for part in parts:
            same = _same(outer, part)
            if same is None:
                reason = _other_block(outer, choice, part)
                return "block", reason, _example(inner, choice=position, settings=(part.words,))
            different = _settings_mismatch(*same, said)
            if different is not None:
                name, reason, settings = different
                settings = {**part.words, **settings}
                return name, reason, _example(inner, choice=position, settings=(settings,))
        apart = [part.words for part in parts if _differ(part.words, parts[0].words, inner.shared)]
        if apart and max(inner.depths) > 1:
            both, reason = (parts[0].words, apart[0]), "it is several block types there"
            depth = max(inner.depths)
            return "block", reason, _example(inner, choice=position, depth=depth, settings=both)
    return None


def _other_block(outer: Stage, choice: BlockChoice, part: BlockChoice) -> str:
    """Why a block type, of which `outer` has not this part, is none of its."""
    name, names = choice.block.name, [c.block.name for c in outer.choices]
    if not name or name not in names:
        return f"block {name or 'body'} is not one of: {_listed(tuple(n or OWN for n in names))}"
    if any(_same(outer, other) for other in _parts(outer, choice)):
        return f"block {name} has not the activation {_listed(tuple(part.words.values()))} there"
    return f"block {name} has another body or activation there"


def _parts(outer: Stage, choice: BlockChoice) -> tuple[BlockChoice, ...]:
    """A block type, or where `outer` has it only with activations that are not chosen, one for each
    of its activations."""
    if _same(outer, choice) is not None:
        return (choice,)
    words = [arg for arg in choice.args if isinstance(arg.values[0], str)]
    found = []
    for values in product(*(arg.values for arg in words)):
        said = {arg.name: (value,) for arg, value in zip(words, values, strict=True)}
        args = (a.model_copy(update={"values": said.get(a.name, a.values)}) for a in choice.args)
        found.append(choice.model_copy(update={"args": tuple(args)}))
    return tuple(found)


def _differ(one: Mapping[str, Value], other: Mapping[str, Value], shared: Iterable[str]) -> bool:
    """Whether settings differ in what is not shared, and in nothing that is."""
    apart = {name for name in one if one[name] != other[name]}
    return bool(apart) and apart.isdisjoint(shared)


def _same(outer: Stage, choice: BlockChoice) -> tuple[BlockChoice, BlockChoice] | None:
    """The block type of `outer` that is this one, and this one as a part of it: with those
    activations left open that are open there."""
    known = {block_identity(there): there for there in outer.choices}
    found = ((known.get(block_identity(view)), view) for view in choice.views)
    return next(((same, view) for same, view in found if same), None)


def _settings_mismatch(
    outer: BlockChoice, inner: BlockChoice, said: _Said
) -> tuple[str, str, Mapping[str, Value]] | None:
    """A parameter of `inner` with a value that is none of `outer`'s, and settings that show it."""
    names, theirs = _canonical_names(inner), _canonical_names(outer)
    allowed = {theirs[arg.name]: arg.values for arg in outer.chosen}
    for arg in inner.chosen:
        values = allowed[names[arg.name]]
        for value in arg.values:
            if value in values:
                continue
            settings = _telling(outer, inner, said, arg.name, value)
            if settings is not None:
                return arg.name, f"{arg.name} {value} is not one of {_listed(values)}", settings
    return None


def _telling(
    outer: BlockChoice, inner: BlockChoice, said: _Said, name: str, value: Value
) -> Mapping[str, Value] | None:
    """Settings of `inner` in which `name` has `value` and that say what `outer` cannot."""
    if not has_optional(inner.block):
        return {name: value}
    known = set(forms(outer).values())
    for found in said or forms(inner):
        chosen = inner.words | dict(found)
        tells = chosen[name] == value and name in mentioned(inner.block, chosen)
        if tells and form_of(inner, tuple(chosen.items())) not in known:
            return chosen
    return None


def _canonical_names(choice: BlockChoice) -> Mapping[str, str]:
    return normal_ops(choice)[1]


def _shared_mismatch(outer: Stage, inner: Stage, said: _Said) -> _Difference | None:
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
    for position, own in enumerate(inner.choices):
        for part in _parts(outer, own):
            same, choice = _same(outer, part) or (part, part)
            apart = _apart(outer, same, inner, choice, said)
            if apart:
                name = _differing(outer, same, choice, apart)
                settings = [{**part.words, **found} for found in apart]
                example = _example(inner, choice=position, depth=depth, settings=settings)
                return "shared", f"{name} {reason}", example
    return None


def _apart(
    outer: Stage, same: BlockChoice, inner: Stage, choice: BlockChoice, said: _Said
) -> Sequence[Mapping[str, Value]]:
    """Settings of blocks that one stage of `inner` may have, but none of `outer`, as they differ in
    what is shared there; none where there are no such."""
    depth = max(inner.depths)
    if has_optional(choice.block):
        return _apart_by_form(by_shared(outer, same), inner, choice, said)
    theirs, names = _canonical_names(same), _canonical_names(choice)
    shared = {theirs[name] for name in outer.shared if name in theirs}
    for arg in choice.chosen:
        free = arg.name not in inner.shared and len(arg.values) > 1
        if free and names[arg.name] in shared:
            first, last = ({arg.name: arg.values[end]} for end in (0, -1))
            return [*[first] * (depth - 1), last]
    return ()


def _apart_by_form(
    groups: Mapping[Settings, Mapping[str, Settings]],
    inner: Stage,
    choice: BlockChoice,
    said: _Said,
) -> Sequence[Mapping[str, Value]]:
    """As `_apart`; `groups`: the blocks that each choice of what is shared allows in `outer`."""
    keys = [frozenset(group) for group in groups.values()]

    def allowing(form: str) -> frozenset[int]:
        return frozenset(i for i, group in enumerate(keys) if form in group)

    if said:
        words = tuple(choice.words.items())
        left = frozenset(range(len(keys))).intersection(
            *(allowing(form_of(choice, (*words, *chosen))) for chosen in said)
        )
        return () if left else [dict(chosen) for chosen in said]
    for blocks in by_shared(inner, choice).values():
        kinds = {allowing(form): chosen for form, chosen in blocks.items()}
        found = _conflict(kinds, max(inner.depths))
        if found:
            return [dict(chosen) for chosen in found]
    return ()


def _conflict(kinds: Mapping[frozenset[int], Settings], depth: int) -> _Said:
    """The fewest blocks, at most `depth`, that nothing allows together; none where there are no
    such. `kinds`: what allows some block alone."""
    reached: dict[frozenset[int], _Said] = {allowed: (c,) for allowed, c in kinds.items()}
    last = dict(reached)
    for _ in range(depth - 1):
        fresh: dict[frozenset[int], _Said] = {}
        for (allowed, blocks), (more, chosen) in product(last.items(), kinds.items()):
            both = allowed & more
            if not both:
                return (*blocks, chosen)
            if both not in reached:
                fresh.setdefault(both, (*blocks, chosen))
        reached |= fresh
        last = fresh
    return ()


def _differing(
    outer: Stage, same: BlockChoice, choice: BlockChoice, blocks: Iterable[Mapping[str, Value]]
) -> str:
    """A parameter that `outer` shares and that differs between blocks."""
    theirs, names = _canonical_names(same), _canonical_names(choice)
    shared = {theirs[name] for name in outer.shared if name in theirs}
    there = [
        {n: v for n, v in said.items() if n in mentioned(choice.block, said)} for said in blocks
    ]
    own = [name for name in names if names[name] in shared]
    return next((n for n in own if len({s[n] for s in there if n in s}) > 1), own[0])


def _example(
    stage: Stage,
    *,
    choice: int = 0,
    depth: int | None = None,
    widths: tuple[int, ...] = (),
    settings: Sequence[Mapping[str, Value]] = (),
) -> SubnetStage:
    """A subnet's stage that shows the difference; `settings` of its blocks, the last ones of all
    that follow."""
    count = depth or stage.depths[0]
    blocks: list[SubnetBlock] = []
    for i in range(count):
        applied = settings[min(i, len(settings) - 1)] if settings else {}
        width = widths[min(i, len(widths) - 1)] if widths else (stage.widths or (0,))[0]
        chosen = tuple(
            Setting(name=a.name, value=applied.get(a.name, a.values[0]))
            for a in stage.choices[choice].chosen
        )
        blocks.append(SubnetBlock(width=width, settings=chosen))
    return SubnetStage(choice=choice, blocks=tuple(blocks))


def subnet_mismatch(outer: Space, subnet: Subnet) -> Mismatch | None:
    """Why `subnet` is not one of `outer`'s, or None where it is."""
    found: list[tuple[str, str, str]] = []
    if subnet.resolution not in outer.resolutions:
        reason = f"resolution {subnet.resolution} is not one of {_listed(outer.resolutions)}"
        found.append(("", "input", reason))
    other_taps = _taps_mismatch(outer, subnet.of)
    if other_taps is not None:
        found.append(("", "taps", other_taps))
    if len(outer.stages) != len(subnet.stages):
        found.append(("", "stages", f"{len(subnet.stages)} stages, not {len(outer.stages)}"))
    else:
        for position, stage in enumerate(outer.stages):
            narrowed = _as_stage(subnet, position)
            said = tuple(block.chosen for block in subnet.stages[position].blocks)
            difference = _stage_mismatch(stage, narrowed, said)
            if difference is not None:
                found.append((narrowed.name, difference[0], difference[1]))
    if not found:
        return None
    return Mismatch(*found[0], witness=subnet)


def _as_stage(subnet: Subnet, position: int) -> Stage:
    """The narrowest stage that holds the subnet's."""
    declared, blocks = subnet.of.stages[position], subnet.stages[position].blocks
    choice = subnet.choice(position)

    def taken(arg: Arg) -> Arg:
        """Its values that are taken, ascending; a word among them, which a page may say by mistake,
        is last."""
        said = {block.setting(arg.name) for block in blocks}
        values = sorted(said, key=lambda value: (isinstance(value, str), value))
        return arg.model_copy(update={"values": tuple(values)})

    args = tuple(taken(arg) if arg in choice.chosen else arg for arg in choice.args)
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


def _taps_mismatch(outer: Space, inner: Space) -> str | None:
    """Why the outputs of `inner` are not those of `outer`, or None where they are."""
    if (outer.taps, outer.pyramid) == (inner.taps, inner.pyramid):
        return None
    return f"its outputs are {_outputs(inner)} instead of {_outputs(outer)}"


def _outputs(space: Space) -> str:
    pyramid = f", with a pyramid of {space.pyramid}" if space.pyramid else ""
    return f"maps of stride {_listed(space.taps)}{pyramid}" if space.taps else "those of a head"


def _listed(values: tuple[Value, ...]) -> str:
    return ", ".join(str(v) for v in values)
