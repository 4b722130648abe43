"""What is measured of a device: operators, 1x1 convolutions by channels, block types, whole models.

All of it is text: the spaces of spaces/study.space and the library's models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from spacedsl import api
from spacedsl.ir.settings import combinations
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage, smallest_block
from spacedsl.lang.library import library
from spacedsl.operators.size import Pair, Size
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.stage_sizes import stage_sizes

OPERATOR = "op-"
BODY = 1
"""The stage of a study's networks that holds the blocks; the stem is before it."""

FULL_SIZE = 128
"""Models of smaller images are made for tests."""


class AnalysisPart(StrEnum):
    """The parts of an analysis (the paper's Fig. 3a, Fig. 3b, none, Fig. 2)."""

    operators = "operators"
    channels = "channels"
    blocks = "blocks"
    models = "models"


@dataclass(frozen=True, slots=True)
class Case:
    """One figure: what `subnet` takes beyond `base` (None: all of it), over `count`. `channels` and
    `size` (pixels) are where it stands, of a model the image's."""

    part: AnalysisPart
    name: str
    channels: int
    size: Size
    count: int
    subnet: Subnet
    base: Subnet | None = None

    @property
    def mmacs(self) -> float:
        """Millions of multiply-accumulates."""
        own = subnet_cost(self.subnet).flops
        return (own - (subnet_cost(self.base).flops if self.base else 0)) / self.count / 1e6

    @property
    def site(self) -> Site:
        """The last block of the study's stage: the one whose input is as wide as its output."""
        return subnet_sites(self.subnet)[BODY][-1]


def cases_of(part: AnalysisPart) -> tuple[Case, ...]:
    """The figures of one part."""
    match part:
        case AnalysisPart.operators:
            return tuple(_operators(_study("study-operators")))
        case AnalysisPart.channels:
            return tuple(_channels(_study("study-channels")))
        case AnalysisPart.blocks:
            return tuple(_blocks(_study("study-blocks")))
        case AnalysisPart.models:
            return tuple(_models())


def _study(name: str) -> Space:
    return api.load_space(f"study#{name}")


def _operators(space: Space) -> Iterator[Case]:
    """Every block type beyond the first, which has the convolutions around it and nothing else."""
    stage = space.stages[BODY]
    (count,) = stage.depths
    for width, resolution in _places(space):
        base = _network(space, resolution, width, count)
        for choice, settings in _variants(space):
            if choice == 0:
                continue
            name = _name(stage.choices[choice], settings).removeprefix(OPERATOR)
            subnet = _network(space, resolution, width, count, choice, settings)
            yield Case(
                AnalysisPart.operators, name, width, _size(space, resolution), count, subnet, base
            )


def _channels(space: Space) -> Iterator[Case]:
    stage, resolution = space.stages[BODY], space.resolutions[0]
    (bare,) = stage.choices
    few, many = stage.depths
    count = (many - few) * len(bare.block.ops)
    for width in stage.widths:
        subnet, base = (_network(space, resolution, width, depth) for depth in (many, few))
        yield Case(
            AnalysisPart.channels, "conv 1x1", width, _size(space, resolution), count, subnet, base
        )


def _blocks(space: Space) -> Iterator[Case]:
    stage = space.stages[BODY]
    few, many = stage.depths
    for width, resolution in _places(space):
        for choice, settings in _variants(space):
            subnet, base = (
                _network(space, resolution, width, depth, choice, settings) for depth in (many, few)
            )
            name, size = _name(stage.choices[choice], settings), _size(space, resolution)
            yield Case(AnalysisPart.blocks, name, width, size, many - few, subnet, base)


def _models() -> Iterator[Case]:
    folders = (library() / name for name in ("models", "baselines"))
    pages = [path for folder in folders for path in sorted(folder.glob("*.space"))]
    for model in map(_model, pages):
        if model is not None and model.resolution >= FULL_SIZE:
            channels = model.of.channels
            yield Case(AnalysisPart.models, model.name, channels, model.resolution, 1, model)


def _model(page: Path) -> Subnet | None:
    found = api.load(page)
    return found if isinstance(found, Subnet) else None


def _places(space: Space) -> Iterator[tuple[int, Size]]:
    """Widths and resolutions, the narrowest at the largest."""
    return zip(space.stages[BODY].widths, reversed(space.resolutions), strict=True)


def _variants(space: Space) -> Iterator[tuple[int, tuple[Setting, ...]]]:
    """Every block type, as the position of its choice, with its different settings."""
    for position, choice in enumerate(space.stages[BODY].choices):
        for chosen in combinations(choice):
            yield position, tuple(Setting(name=n, value=v) for n, v in chosen)


def _name(choice: BlockChoice, settings: tuple[Setting, ...]) -> str:
    """`op-conv 3x3`: of an operator the page varies the window alone."""
    name = choice.block.name
    if name.startswith(OPERATOR) and settings:
        value = settings[0].value
        return f"{name} {value if isinstance(value, Pair) else f'{value}x{value}'}"
    return name


def _size(space: Space, resolution: Size) -> Size:
    """The size of what the study's blocks read, in pixels."""
    return stage_sizes(space, resolution)[BODY]


def _network(
    space: Space,
    resolution: Size,
    width: int,
    depth: int,
    choice: int = 0,
    settings: tuple[Setting, ...] = (),
) -> Subnet:
    """A member: `depth` equal blocks, as wide as the stem."""
    stem, _, *rest = space.stages
    block = SubnetBlock(width=width, settings=settings)
    stages = (
        SubnetStage(
            blocks=(smallest_block(stem, stem.choices[0]).model_copy(update={"width": width}),)
        ),
        SubnetStage(choice=choice, blocks=(block,) * depth),
        *(SubnetStage(blocks=(smallest_block(s, s.choices[0]),)) for s in rest),
    )
    return Subnet(name=space.name, of=space, resolution=resolution, stages=stages)
