"""Raise IR to text. What is written here is laid out by the one printer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spacedsl.ir.block import (
    COUT,
    ONE,
    PROJECTION,
    Block,
    Conv,
    Dropout,
    DwConv,
    GlobalPool,
    Join,
    Lateral,
    Linear,
    Op,
    Optional,
    Pool,
    Pyramid,
    Se,
    Shortcut,
    Shuffle,
    SpaceToDepth,
    Stride,
    op_acts,
)
from spacedsl.ir.expr import Expr, Num, Ref, expr_text
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.items import LANGUAGE
from spacedsl.lang.limits import written
from spacedsl.lang.model_settings import setting_text
from spacedsl.lang.values import shown, widths_text
from spacedsl.operators.operators import FLAGS, OPERATORS
from spacedsl.operators.size import Pair
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source


def write(*items: Space | Subnet, comments: Sequence[str] = (), uses: Sequence[str] = ()) -> str:
    """The canonical page of some items, `comments` (without `#`) above the first. What an item is
    `of` is named, not repeated: the page is read beside that page, with the library, or with the
    pages that `uses` names too."""
    new = [b for item in items if isinstance(item, Space) for b in _new_blocks(item)]
    used = sorted({*uses, *(b.source for b in new if b.source)})
    blocks = list({b.name: b for b in new if not b.source}.values())
    lines = [f"language {LANGUAGE}", *(f'use "{use}"' for use in used), ""]
    lines += [_block(block) for block in blocks]
    lines += [f"# {line}".rstrip() for line in comments]
    lines += [_model(item) if isinstance(item, Subnet) else _space(item) for item in items]
    return format_text(Source(items[0].name, "\n".join(lines)))


def _named_blocks(space: Space) -> list[Block]:
    blocks = [c.block for s in space.stages for c in s.choices if c.block.name]
    return list({b.name: b for b in blocks}.values())


def _new_blocks(space: Space) -> list[Block]:
    """The blocks that its `of` does not bring."""
    known = _named_blocks(space.of) if space.of else []
    return [b for b in _named_blocks(space) if b not in known]


def _space(space: Space) -> str:
    parent = space.of
    of = f" of {parent.name}" if parent else ""
    parts = [f"{space.kind} {space.name}{of} {{"]
    if parent is None or space.resolutions != parent.resolutions:
        channels = f"{space.channels} x " if parent is None else ""
        parts.append(f"input {channels}{shown(space.resolutions)}")
    if space.quality is not None and (parent is None or space.quality != parent.quality):
        parts.append(f'quality "{space.quality}"')
    if space.limit is not None and (parent is None or space.limit != parent.limit):
        parts.append(written(space.limit))
    if space.taps and (parent is None or space.taps != parent.taps):
        pyramid = f" pyramid {space.pyramid}" if space.pyramid else ""
        parts.append(f"taps stride {shown(space.taps)}{pyramid}")
    common = _common_choices(space) if parent is None else ()
    if common:
        parts.append(f"blocks {{ {_choices(common)} }}")
    for i, stage in enumerate(space.stages):
        if parent is not None:
            parts += _narrowed(stage, parent.stages[i])
        elif not stage.level:
            parts.append(_stage(stage, common))
    return "\n".join([*parts, "}"])


def _common_choices(space: Space) -> tuple[BlockChoice, ...]:
    """The block list of a hyperspace: the first elastic stage's, where others have it too."""
    lists = [s.choices for s in space.stages if s.elastic]
    return lists[0] if len(lists) > 1 and lists.count(lists[0]) > 1 else ()


def _stage(stage: Stage, common: tuple[BlockChoice, ...]) -> str:
    elastic = "elastic " if stage.elastic else ""
    own = "" if stage.elastic and stage.choices == common else _choices(stage.choices)
    keys = [own]
    if said := widths_text(stage):
        keys.append(f"width {said}")
    if stage.window < len(stage.widths):
        keys.append(f"window {stage.window}")
    if stage.depths != (1,):
        keys.append(f"depth {shown(stage.depths)}")
    if stage.stride != 1:
        keys.append(f"stride {stage.stride}")
    if stage.shared:
        keys.append(f"shared {', '.join(stage.shared)}")
    return f"{elastic}{stage.name} {{ {' '.join(keys)} }}"


def _narrowed(stage: Stage, inherited: Stage) -> list[str]:
    """What a stage says beyond its parent's; nothing where it is the same."""
    keys: list[str] = []
    if stage.choices != inherited.choices:
        keys += [_choice(c, _twin(c, inherited)) for c in stage.choices]
    if (said := widths_text(stage)) != widths_text(inherited):
        keys.append(f"width {said}")
    if stage.window != min(inherited.window, len(stage.widths)):
        keys.append(f"window {stage.window}")
    if stage.depths != inherited.depths:
        keys.append(f"depth {shown(stage.depths)}")
    if stage.shared != inherited.shared:
        keys.append(f"shared {', '.join(stage.shared)}")
    return [f"{stage.name} {{ {' '.join(keys)} }}"] if keys else []


def _twin(choice: BlockChoice, inherited: Stage) -> BlockChoice | None:
    found = [c for c in inherited.choices if c.block == choice.block]
    return found[0] if len(found) == 1 else None


def _choices(choices: Iterable[BlockChoice]) -> str:
    return " ".join(_choice(c, None) for c in choices)


def _choice(choice: BlockChoice, inherited: BlockChoice | None) -> str:
    """A choice by name with the values that differ from what it would inherit or default to."""
    if not choice.block.name:
        return _ops(choice.block.ops)
    defaults = {p.name: (p.default,) for p in choice.block.params}
    if inherited is not None:
        defaults = {a.name: a.values for a in inherited.args}  # type: ignore[misc]
    said = [f"{a.name} {shown(a.values)}" for a in choice.args if a.values != defaults[a.name]]
    return f"{choice.block.name} {{ {' '.join(said)} }}" if said else choice.block.name


def _block(block: Block) -> str:
    params = [
        p.name + ("" if p.default is None else f" = {shown((p.default,))}") for p in block.params
    ]
    lets = [f"{let.name} = {expr_text(let.value)}" for let in block.lets]
    signature = f"({', '.join(params)})" if params else ""
    return "\n".join([f"block {block.name}{signature} {{", *lets, _ops(block.ops), "}", ""])


def _ops(ops: Iterable[Op]) -> str:
    """The text of ops. Two optional bodies of one parameter are written together: first the one for
    1, then `else` and the one for 0."""
    found: list[str] = []
    before: Op | None = None
    for op in ops:
        if isinstance(op, Optional) and op.when == 0:
            paired = isinstance(before, Optional) and (before.param, before.when) == (op.param, 1)
            start = found.pop() if paired else f"optional {op.param} {{ }}"
            found.append(f"{start} else {{ {_ops(op.body)} }}")
        else:
            found.append(_op(op))
        before = op
    return "\n".join(found)


def _op(op: Op) -> str:
    match op:
        case Conv() | DwConv() | Pool():
            return _words(op.op, _kernel(op.kernel), *_modified(op))
        case Se():
            acts = [] if (op.act, op.gate) == ("relu", "hsigmoid") else [op.act, op.gate]
            return _words("se", expr_text(op.squeeze), *acts)
        case SpaceToDepth():
            return f"space-to-depth {op.block}"
        case GlobalPool():
            return "pool"
        case Linear():
            return f"linear -> {op.classes}"
        case Dropout():
            return f"dropout {shown((op.rate,))}"
        case Optional():
            return f"optional {op.param} {{ {_ops(op.body)} }}"
        case Shuffle():
            return f"shuffle {expr_text(op.groups)}"
        case Join():
            branches = [f"{{ {_ops(ops)} }}" for ops in op.branches]
            return _words(op.op, "split" if op.split else None, *branches, op.act)
        case Lateral() | Pyramid():
            raise TypeError(f"{op.op} is said by `taps`")
        case Shortcut():
            if op.kind == "identity":
                return _words("shortcut", "identity", op.act)
            path = "projected" if op.body == PROJECTION else f"{{ {_ops(op.body)} }}"
            return _words("shortcut", path, op.act)


def _words(*words: str | None) -> str:
    return " ".join(w for w in words if w)


def _modified(op: Conv | DwConv | Pool) -> Iterator[str | None]:
    """What stands behind the kernel of an op."""
    flags = {word: FLAGS[word] for word in OPERATORS[op.op].flags}
    if isinstance(op, Conv) and op.width != COUT:
        yield from ("->", expr_text(op.width))
    for word, flag in flags.items():
        if flag.takes and not flag.most and getattr(op, flag.field) != ONE:
            yield from (word, expr_text(getattr(op, flag.field)))
    yield from op_acts(op)
    yield _stride(op.stride)
    for word, flag in flags.items():
        if word != "strided" and not flag.takes and getattr(op, flag.field) == flag.value:
            yield word
        if flag.most and getattr(op, flag.field):
            yield from (word, str(getattr(op, flag.field)))


def _stride(stride: Stride) -> str | None:
    return "strided" if stride == "stage" else f"s{stride}" if stride != 1 else None


def _kernel(kernel: Expr) -> str:
    if isinstance(kernel, Num) and isinstance(kernel.value, Pair):
        return str(kernel.value)
    return kernel.name if isinstance(kernel, Ref) else f"{expr_text(kernel)}x{expr_text(kernel)}"


def _model(subnet: Subnet) -> str:
    lines = [f"model {subnet.name} of {subnet.of.name} at {subnet.resolution} {{"]
    cin = subnet.of.channels
    for position, stage in enumerate(subnet.of.stages):
        chosen, said = subnet.stages[position], list[str]()
        widths = chosen.behind(stage, cin)
        for block, width in zip(chosen.blocks, widths, strict=True):
            said += [str(width), *(setting_text(s.name, s.value) for s in block.settings)]
        cin = widths[-1]
        if stage.widths or stage.is_open:
            name = f"{subnet.choice(position).block.name} " if len(stage.choices) > 1 else ""
            lines.append(f"{stage.name} {{ {name}{' '.join(said)} }}")
    return "\n".join([*lines, "}"])
