"""The inverse of binding: blocks whose sizes are all numbers become a space of that one network.

Blocks of one kind become one block type with parameters, and runs of equal blocks become stages.
Shortcuts and strides differ between the blocks of one kind, and are said as pages say them. A
shortcut may be there only where a block keeps width and size. A projection may be left out there.
A stride may be the stage's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from spacedsl.ir.block import CHANNELS, Conv, DwConv, Join, Linear, Op, Pool, Shortcut, count, walk
from spacedsl.ir.expr import Binary, Expr, Num, Ref
from spacedsl.ir.space import MAX_DEPTH, BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.operators.size import Size
from spacedsl.passes.said_sizes import Row, said_blocks


@dataclass(frozen=True, slots=True)
class Piece:
    """A block with numbers for sizes and strides. A shortcut may only be its last op. `stage` is
    what its stage is called, `block` its block type ("": its body stands in the stage)."""

    stage: str
    block: str
    cin: int
    cout: int
    ops: tuple[Op, ...]

    @property
    def shortcut(self) -> Shortcut | None:
        """The shortcut, where it has one."""
        last = self.ops[-1]
        return last if isinstance(last, Shortcut) else None

    @property
    def main(self) -> tuple[Op, ...]:
        """The ops before the shortcut."""
        return self.ops[:-1] if self.shortcut else self.ops

    @property
    def keeps(self) -> bool:
        """Whether it keeps width and size."""
        return self.cin == self.cout and all(map(_keeps_size, self.main))

    @property
    def growth(self) -> int:
        """The channels that it puts behind those that come in; 0 where it does something else."""
        first = self.ops[0]
        if not isinstance(first, Join) or first.op != "concat" or first.split or first.branches[0]:
            return 0
        return self.cout - self.cin if len(self.ops) == 1 else 0

    @property
    def classifies(self) -> bool:
        """Whether it ends in the classifier."""
        return any(isinstance(op, Linear) for op in self.ops)


def _stride(op: Op) -> Any:
    return getattr(op, "stride", 1)


def _keeps_size(op: Op) -> bool:
    """Whether an op keeps the size of its map. It does where nothing in it has a stride or reads
    whole windows only."""
    return all(_stride(o) == 1 and not getattr(o, "valid", False) for o in walk((op,)))


Marks = tuple[int, ...]
"""Positions of the ops of a block that take the stage's stride."""

Shape = tuple[object, ...]
"""Ops without their sizes, as values that can be compared."""


def _marks(piece: Piece) -> Marks:
    """Those of a block with numbers: the last op with a stride in the main path, and every op with
    one in the shortcut. Ops within others keep strides of their own."""
    main = [i for i, op in _placed(piece.main, 0) if _stride(op) != 1]
    if piece.shortcut is None:
        return tuple(main[-1:])
    behind = sum(map(count, piece.main)) + 1
    path = [i for i, op in _placed(piece.shortcut.body, behind) if _stride(op) != 1]
    return (*main[-1:], *path)


def _placed(ops: Sequence[Op], at: int) -> Iterator[tuple[int, Op]]:
    """Each op with its position in the block, the first one's being `at`."""
    for op in ops:
        yield at, op
        at += count(op)


class Kind(NamedTuple):
    """What blocks of one type have in common: the name of their type, the ops of their main path
    without sizes, whether a shortcut `joins` it, and the activation after their sum. `path` is the
    shortcut's path, None for an identity. `falls`: its convolutions and pools are left out where a
    block keeps width and size."""

    block: str
    main: Shape
    joins: bool
    path: Shape | None
    falls: bool
    act: str | None


def subnet_of_pieces(pieces: Sequence[Piece], name: str, channels: int, resolution: Size) -> Subnet:
    """The network of these blocks; its space, `NAME-space`, has no other network."""
    types = block_types(pieces, (name, f"{name}-space"))
    stages: list[Stage] = []
    parts: list[SubnetStage] = []
    turns: dict[str, int] = {}
    for said in _runs(pieces, types):
        piece, choice = said[0]
        turn = turns[piece.stage] = turns.get(piece.stage, 0) + 1
        growth = _growth(said)
        width = 0 if piece.classifies or growth else piece.cout
        stages.append(
            Stage(
                name=piece.stage if turn == 1 else f"{piece.stage}-{turn}",
                choices=(choice,),
                widths=(width,) if width else (),
                growth=growth,
                window=1 if width else 0,
                depths=(len(said),),
                stride=_stage_stride(piece),
            )
        )
        settings = tuple(Setting(name=a.name, value=a.values[0]) for a in choice.chosen)
        parts.append(SubnetStage(blocks=(SubnetBlock(width=width, settings=settings),) * len(said)))
    space = Space(
        kind="space",
        name=f"{name}-space",
        channels=channels,
        resolutions=(resolution,),
        stages=tuple(stages),
    )
    return Subnet(name=name, of=space, resolution=resolution, stages=tuple(parts))


def _stage_stride(piece: Piece) -> Size:
    marks = _marks(piece)
    found: Size = _stride(tuple(walk(piece.ops))[marks[0]]) if marks else 1
    return found


Run = list[tuple[Piece, BlockChoice]]


def _growth(run: Run) -> Expr | None:
    """How the widths of a run follow from each other, where they are not all the same."""
    if len(run) == 1 or run[0][0].cout == run[-1][0].cout:
        return None
    return Binary(op="+", left=Ref(name="cin"), right=Num(value=run[0][0].growth))


def _runs(pieces: Sequence[Piece], choices: Sequence[BlockChoice]) -> list[Run]:
    """Runs of blocks that are alike: that end at one width, or each add as many channels. Only the
    first of a run may have a stride."""
    runs: list[Run] = []
    for piece, choice in zip(pieces, choices, strict=True):
        if runs and len(runs[-1]) < MAX_DEPTH and all(map(_keeps_size, piece.ops)):
            first, known = runs[-1][0]
            alike = first.cout == piece.cout or first.growth == piece.growth > 0
            if choice == known and first.stage == piece.stage and alike:
                runs[-1].append((piece, choice))
                continue
        runs.append([(piece, choice)])
    return runs


def block_types(pieces: Sequence[Piece], taken: tuple[str, ...]) -> list[BlockChoice]:
    """The block type of every piece, with its values. No type has a name of `taken`."""
    kinds = _kinds(pieces)
    groups: dict[tuple[Kind, Marks], list[int]] = {}
    for i, key in enumerate(zip(kinds, _patterns(pieces, kinds), strict=True)):
        groups.setdefault(key, []).append(i)
    found: dict[int, BlockChoice] = {}
    names = dict.fromkeys(taken, 1)
    for (kind, marks), indices in groups.items():
        rows = [pieces[i] for i in indices]
        block = rows[0].block
        if block:
            names[block] = names.get(block, 0) + 1
            block = block if names[block] == 1 else f"{block}-{names[block]}"
        sizes = [Row(row.cin, row.cout, *_both(row), _common_act(row.main)) for row in rows]
        choices = said_blocks(block, _template(rows, kind, marks), sizes)
        found |= dict(zip(indices, choices, strict=True))
    return [found[i] for i in range(len(pieces))]


def _both(piece: Piece) -> tuple[tuple[Op, ...], tuple[Op, ...]]:
    return piece.main, piece.shortcut.body if piece.shortcut else ()


def _common_act(ops: Sequence[Op]) -> str | None:
    """The activation of all convolutions that have one, None where they differ."""
    acts = {op.act for op in ops if isinstance(op, Conv | DwConv) and op.act}
    return acts.pop() if len(acts) == 1 else None


def _shape(ops: Sequence[Op], common: str | None) -> Shape:
    """Ops without sizes and strides, and without the activation that a block has in common."""
    found = []
    for op in ops:
        said = _fields(op, ("kernel", *CHANNELS, "stride"))
        if isinstance(op, Conv | DwConv) and op.act == common:
            said["act"] = "act" if common else None
        found.append(tuple(said.items()))
    return tuple(found)


def _path(ops: Sequence[Op]) -> Shape:
    """Ops of a shortcut, whose kernels and groups are the same in all blocks of a kind."""
    return tuple(tuple(_fields(op, ("width", "stride")).items()) for op in ops)


def _fields(op: Op, without: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(op, name) for name in type(op).model_fields if name not in without}


def _kinds(pieces: Sequence[Piece]) -> list[Kind]:
    bases = [_base(piece, i) for i, piece in enumerate(pieces)]
    paths: dict[tuple[object, str | None], list[tuple[str, Shape]]] = {}
    identities = set()
    for base, piece in zip(bases, pieces, strict=True):
        joined = piece.shortcut
        if joined and joined.body and _falls(piece):
            key = (base, joined.act)
            paths.setdefault(key, []).append((piece.stage, _path(joined.body)))
        elif joined and not joined.body:
            identities.add((base, joined.act))
    found = []
    for base, piece in zip(bases, pieces, strict=True):
        joined = piece.shortcut
        if joined is None:
            falls = not piece.keeps and (base, None) in identities and (base, None) not in paths
            found.append(Kind(*base, joins=falls, path=None, falls=falls, act=None))
        elif joined.body:
            path = _path(joined.body)
            found.append(Kind(*base, True, path, _falls(piece), joined.act))
        else:
            near = paths.get((base, joined.act), [])
            chosen = [path for stage, path in near if stage == piece.stage] or [p for _, p in near]
            found.append(Kind(*base, True, chosen[0] if chosen else None, True, joined.act))
    return found


def _base(piece: Piece, position: int) -> tuple[str, Shape]:
    """The block type and main path of a block. A body without a type, which stands in its stage, is
    like no other one."""
    return piece.block or f"#{position}", _shape(piece.main, _common_act(piece.main))


def _falls(piece: Piece) -> bool:
    """Whether every op of the shortcut's path is one that changes width or size, and so could be
    said to be left out elsewhere."""
    width = piece.cin
    for op in piece.shortcut.body if piece.shortcut else ():
        if isinstance(op, Conv):
            if op.kernel != Num(value=1) or op.width != Num(value=piece.cout):
                return False
            if width == piece.cout and op.stride == 1:
                return False
            width = piece.cout
        elif not isinstance(op, Pool) or op.stride == 1:
            return False
    return not piece.keeps


def _patterns(pieces: Sequence[Piece], kinds: Sequence[Kind]) -> list[Marks]:
    """The marks of every block. A block without a stride has the marks of the blocks like it."""
    known: dict[Kind, Marks] = {}
    for piece, kind in zip(pieces, kinds, strict=True):
        if _marks(piece):
            known.setdefault(kind, _marks(piece))
    found: list[Marks] = []
    last: dict[tuple[Kind, str], Marks] = {}
    for piece, kind in zip(pieces, kinds, strict=True):
        at = (kind, piece.stage)
        last[at] = _marks(piece) or last.get(at) or known.get(kind, ())
        found.append(last[at])
    return found


def _template(rows: Sequence[Piece], kind: Kind, marks: Marks) -> tuple[Op, ...]:
    """The body of a block type, with the sizes of one of its blocks."""
    able = [row for row in rows if row.shortcut and row.shortcut.body] if kind.path else rows
    shown = next((row for row in able if _marks(row)), able[0])
    common = _common_act(shown.main)
    several = len({_common_act(row.main) for row in rows}) > 1

    def said(place: int, op: Op, path: bool) -> Op:
        new: dict[str, Any] = {"stride": "stage"} if place in marks else {}
        if several and isinstance(op, Conv | DwConv) and op.act == common and not path:
            new["act"] = "act"
        if path and kind.falls:
            new["elide"] = True
        return op.model_copy(update=new)

    main = tuple(said(at, op, False) for at, op in _placed(shown.main, 0))
    if not kind.joins:
        return main
    if kind.path is None:
        return (*main, Shortcut(kind="identity", act=kind.act))
    behind = sum(map(count, shown.main)) + 1
    body = tuple(said(at, op, True) for at, op in _placed(_both(shown)[1], behind))
    return (*main, Shortcut(kind="body", body=body, act=kind.act))
