"""Stages as a ribbon: how wide, how deep, of which block types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from spacedsl.colours import GREY
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet, SubnetBlock, in_short
from spacedsl.lang.values import shown, widths_text
from spacedsl.operators.size import Size
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.stage_sizes import stage_sizes
from spacedsl.report.legend import Entry, legend
from spacedsl.report.scale import Axis, Scale, figure, scale
from spacedsl.report.svg import Drawing, hovered, line, rect, text, width_of

NARROW = 480
"""Below this width the ribbon runs downward."""

Palette = dict[str, int]
"""Block type -> its colour."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One block that there is, or may be (`sure` says which). Its width is from `least` on, up to
    `most`; `words` stand in it where there is room."""

    least: int
    most: int
    sure: bool
    said: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A stage: its cells, the block types that they may be of, and its size in pixels."""

    name: str
    blocks: tuple[str, ...]
    cells: tuple[Cell, ...]
    size: Size
    widths: tuple[int, ...]


def palette(*items: Space | Subnet) -> Palette:
    """A colour for every block type of elastic stages, the same in all pictures of a report.
    Where there are more types than colours, colours are used again."""
    spaces = [item.of if isinstance(item, Subnet) else item for item in items]
    names = dict.fromkeys(
        block_name(choice)
        for space in map(_outermost, spaces)
        for stage in space.stages
        if stage.elastic
        for choice in stage.choices
    )
    return {name: i % GREY for i, name in enumerate(names)}


def _outermost(space: Space) -> Space:
    while space.of is not None:
        space = space.of
    return space


def block_name(choice: BlockChoice) -> str:
    """A block type as people call it."""
    return choice.block.name or "own body"


def runs(item: Space | Subnet) -> tuple[Run, ...]:
    """The stages of a space or a model that have a width."""
    space = item.of if isinstance(item, Subnet) else item
    resolution = item.resolution if isinstance(item, Subnet) else space.resolutions[-1]
    sizes = (*stage_sizes(space, resolution)[1:], 0)
    found: list[Run] = []
    cins: tuple[int, ...] = (space.channels,)
    for i, stage in enumerate(space.stages):
        if stage.widths or stage.growth is not None:
            if isinstance(item, Subnet):
                found.append(_model_run(item, i, sizes[i]))
            else:
                found.append(_space_run(stage, cins, sizes[i]))
        cins = stage.outs(cins)
    return tuple(found)


def _space_run(stage: Stage, cins: tuple[int, ...], size: Size) -> Run:
    options = "; ".join(_choice(choice) for choice in stage.choices)
    said = f"{stage.name}: {options}; width {widths_text(stage)}"
    count = stage.depths[-1]
    widths = [stage.widths or stage.reached(cins, i + 1) for i in range(count)]
    if 0 < stage.window < len(stage.widths):
        said += f", of which a space takes {stage.window} in a row"
    said += f"; depth {shown(stage.depths)}; stride {stage.stride}"
    cells = tuple(
        Cell(min(each), max(each), i < stage.depths[0], said) for i, each in enumerate(widths)
    )
    return Run(stage.name, _names(stage.choices), cells, size, stage.outs(cins))


def _choice(choice: BlockChoice) -> str:
    args = (f"{arg.name} {shown(arg.values)}" for arg in choice.args)
    return ", ".join([block_name(choice), *args])


def _names(choices: Sequence[BlockChoice]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(block_name, choices)))


def _model_run(model: Subnet, position: int, size: Size) -> Run:
    stage, choice = model.of.stages[position], model.choice(position)
    blocks = model.stages[position].blocks
    sites = subnet_sites(model)[position]
    cells = tuple(
        _block(stage, choice, block, (i, site.end))
        for i, (block, site) in enumerate(zip(blocks, sites, strict=True), 1)
    )
    return Run(stage.name, (block_name(choice),), cells, size, tuple(site.end for site in sites))


def _block(stage: Stage, choice: BlockChoice, block: SubnetBlock, place: tuple[int, int]) -> Cell:
    """`place`: which of its stage's blocks, and the channels that come out."""
    number, width = place
    settings = ", ".join(f"{s.name} {s.value}" for s in block.settings)
    said = f"{stage.name}, block {number}: {block_name(choice)}, {width} channels"
    words = tuple(in_short(s.name, s.value) for s in block.settings[:2])
    return Cell(width, width, True, f"{said}, {settings}" if settings else said, words)


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A ribbon to draw. `most`: the greatest width on its axis (0: its own)."""

    runs: tuple[Run, ...]
    colours: Palette
    most: int = 0

    def __call__(self, width: int) -> Drawing:
        """The picture: from left to right, or on a narrow page from top to bottom."""
        names = dict.fromkeys(name for run in self.runs for name in run.blocks)
        entries = [Entry(n, self.colours[n], "patch") for n in names if n in self.colours]
        if any(not cell.sure for run in self.runs for cell in run.cells):
            entries.append(Entry("outline: may be left out", GREY, "open"))
        signs, top = legend(entries, width)
        draw = _down if width < NARROW else _across
        shapes, height = draw(self, width, top)
        return Drawing(width, height, (*signs, *shapes))


Box = tuple[float, float, float, float]
CellBox = Callable[[float, float, int, int], Box]
"""Where the part of a cell between two widths is, or a stripe of it (which one, of how many): left,
top, width and height."""

RIGHT = 12.0
GAP = 0.7
"""Between stages, in blocks."""


def _units(runs: Sequence[Run]) -> float:
    return sum(len(run.cells) for run in runs) + GAP * (len(runs) - 1)


def _across(ribbon: Ribbon, width: int, top: float) -> tuple[list[Markup], float]:
    left, high = 44.0, 220.0
    y = scale([0, ribbon.most or widest([ribbon.runs])], _CHANNELS, top + 16 + high, top + 16)
    unit = min((width - RIGHT - left) / _units(ribbon.runs), 46.0)
    shapes = [text(0, top + 8, "channels", "name")]
    for tick in y.ticks(4):
        shapes += [
            line(left, y.at(tick), width, y.at(tick), "grid"),
            text(left - 6, y.at(tick) + 4, figure(tick), "tick", "end"),
        ]
    x = left
    for run in ribbon.runs:
        long = unit * len(run.cells)
        for i, cell in enumerate(run.cells):
            place = partial(_standing, y, x + unit * i + 1, unit - 2)
            shapes.append(_cell(run, cell, place, ribbon.colours))
        middle, room = x + long / 2, long + GAP * unit + 8
        over = _range(run)
        if width_of(over, 11) <= room:
            highest = min(y.at(cell.most) for cell in run.cells)
            shapes.append(text(middle, highest - 5, over, "note", "middle"))
        for n, words in enumerate(_under(run)):
            if width_of(words, 11) <= room:
                shapes.append(text(middle, y.at(0) + 16 + 14 * n, words, _LINES[n], "middle"))
        x += long + GAP * unit
    return shapes, y.at(0) + 16 + 14 * 2 + 6


_CHANNELS = Axis("channels", from_zero=True)
_LINES = ("row", "note", "note")


def _range(run: Run) -> str:
    least, most = min(cell.least for cell in run.cells), max(run.widths)
    return f"{least}" if least == most else f"{least}\N{EN DASH}{most}"


def _under(run: Run) -> tuple[str, ...]:
    block = run.blocks[0] if len(run.blocks) == 1 else f"{len(run.blocks)} types"
    return (run.name, block, f"{run.size} px" if run.size else "")


def _down(ribbon: Ribbon, width: int, top: float) -> tuple[list[Markup], float]:
    left, unit = 78.0, 15.0
    x = scale([0, ribbon.most or widest([ribbon.runs])], _CHANNELS, left, width - 8)
    y, shapes = top + 8.0, []
    start = y
    for run in ribbon.runs:
        long = max(unit * len(run.cells), 30.0)
        each = long / len(run.cells)
        for n, words in enumerate(_under(run)[: 3 if long >= 44 else 2]):
            shapes.append(text(0, y + 11 + 14 * n, words, _LINES[n]))
        for i, cell in enumerate(run.cells):
            place = partial(_lying, x, y + each * i + 1, each - 2)
            shapes.append(_cell(run, cell, place, ribbon.colours))
        y += long + 14
    grid = [
        part
        for tick in x.ticks(4)
        for part in (
            line(x.at(tick), start - 4, x.at(tick), y - 6, "grid"),
            text(x.at(tick), y + 8, figure(tick), "tick", "middle"),
        )
    ]
    grid.append(text((left + width) / 2, y + 24, "channels", "name", "middle"))
    return [*grid, *shapes], y + 30


def _standing(y: Scale, x: float, wide: float, low: float, high: float, i: int, of: int) -> Box:
    return x + wide * i / of, y.at(high), wide / of, y.at(low) - y.at(high)


def _lying(x: Scale, y: float, high: float, low: float, most: float, i: int, of: int) -> Box:
    return x.at(low), y + high * i / of, x.at(most) - x.at(low), high / of


def _cell(run: Run, cell: Cell, place: CellBox, colours: Palette) -> Markup:
    """A block as a box of its greatest width, whose part that every block has is full and the rest
    faint. Stripes are block types to choose from."""
    return hovered(cell.said, *_shapes(run, cell, place, colours), class_="cell")


def _shapes(run: Run, cell: Cell, place: CellBox, colours: Palette) -> Iterator[Markup]:
    kinds = [colours.get(name, GREY) for name in run.blocks]
    full, faint = ("b", "b faint") if cell.sure else ("b faint", "b fainter")
    for i, colour in enumerate(kinds):
        if cell.most > cell.least:
            yield rect(*place(cell.least, cell.most, i, len(kinds)), f"{faint} c{colour}")
        yield rect(*place(0, cell.least, i, len(kinds)), f"{full} c{colour}")
    if not cell.sure:
        yield rect(*place(0, cell.most, 0, 1), "open")
    if len(cell.words) == 2:
        yield from _words(cell, place(0, cell.most, 0, 1), f"in c{kinds[0]}")


def _words(cell: Cell, box: Box, class_: str) -> Iterator[Markup]:
    x, y, wide, high = box
    if wide >= 60:
        if high >= 12:
            yield text(x + 5, y + high / 2 + 3.5, " ".join(cell.words), class_)
    elif wide >= 20 and high >= 30:
        for i, words in enumerate(reversed(cell.words)):
            yield text(x + wide / 2, y + high - 5 - 12 * i, words, class_, "middle")


def widest(ribbons: Sequence[Sequence[Run]]) -> int:
    """The greatest width of several ribbons, so that they are drawn to one scale."""
    return max(cell.most for runs in ribbons for run in runs for cell in run.cells)
