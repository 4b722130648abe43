"""Stacks of timm's block strings to a space of one network's shape, and that network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Literal

from spacedsl.bridges.timm import Said, Stack
from spacedsl.diagnostics import fault
from spacedsl.ir.block import Block, Conv, GlobalPool, Linear, Value
from spacedsl.ir.expr import Num
from spacedsl.ir.space import MAX_DEPTH, Arg, BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.lang.library import library
from spacedsl.lang.page import Loader, Page

PAGE = "std/timm.space"
"""The page of the library that says timm's blocks."""


SeOf = Literal["expanded", "input"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What block strings do not say: width of the stem's conv 3x3 and of the last conv 1x1 after
    the pool, the network's default activation, resolution in pixels, classes. The defaults are
    MobileNetV3's (Howard et al., ICCV 2019, Table 1). `se`: the width that SE's ratio is of, as
    timm's `se_from_exp`: that after the expansion, or the block's input (FBNetV3, EfficientNet)."""

    stem: int = 16
    head: int = 1280
    act: str = "hswish"
    se: SeOf = "expanded"
    resolution: int = 224
    classes: int = 1000


def network(stacks: tuple[Stack, ...], frame: Frame, name: str) -> Subnet:
    """The network that these stacks and this frame say. Its space, `NAME-space`, has exactly the
    values that the network uses. Raises `SpaceError`."""
    page = _page()
    stages, parts = [_stem(frame)], [_fixed(frame.stem)]
    for number, stack in enumerate(stacks):
        for turn, run in enumerate(_runs(stack, frame)):
            suffix = f"-{turn + 1}" if turn else ""
            block = page.get(_block_name(run[0], frame))
            if not isinstance(block, Block):
                raise TypeError(block)
            stages.append(_stage(f"stage{number}{suffix}", block, run, frame))
            parts.append(_part(stages[-1], run))
    stages.append(_head(frame))
    parts.append(_fixed(frame.head))
    space = Space(
        kind="space",
        name=f"{name}-space",
        resolutions=(frame.resolution,),
        stages=tuple(stages),
    )
    return Subnet(name=name, of=space, resolution=frame.resolution, stages=tuple(parts))


@cache
def _page() -> Page:
    return Loader().open(library() / PAGE, f"<library>/{PAGE}", PAGE)


def _fixed(width: int) -> SubnetStage:
    return SubnetStage(blocks=(SubnetBlock(width=width),))


def _stem(frame: Frame) -> Stage:
    body = Block(ops=(Conv(kernel=Num(value=3), act=frame.act, stride="stage"),))
    choice = BlockChoice(block=body)
    return Stage(name="stem", choices=(choice,), widths=(frame.stem,), window=1, stride=2)


def _head(frame: Frame) -> Stage:
    mix = Conv(kernel=Num(value=1), act=frame.act, norm=False, bias=True)
    body = Block(ops=(GlobalPool(), mix, Linear(classes=frame.classes)))
    return Stage(name="head", choices=(BlockChoice(block=body),), widths=(frame.head,), window=1)


EXPANDING = ("ir", "er")
"""Kinds with a width after the expansion; `-se-in` blocks squeeze to a ratio of the input's."""


def _runs(stack: Stack, frame: Frame) -> list[list[Said]]:
    """A stack cut where its block type or activation changes: a stage has one of each."""

    def key(said: Said) -> tuple[str, str]:
        return _block_name(said, frame), said.act or frame.act

    runs = [list(group) for _, group in groupby(stack, key)]
    for run in runs:
        if sum(said.repeat for said in run) > MAX_DEPTH:
            raise fault("too-large", f"a stack of more than {MAX_DEPTH} blocks")
    return runs


def _block_name(said: Said, frame: Frame) -> str:
    name = said.kind + ("-se" if said.ratio else "")
    if said.ratio and frame.se == "input" and said.kind in EXPANDING:
        name += "-in"
    if said.kind == "cn":
        return "cn-skip" if said.skip else "cn"
    return name if said.skip or said.kind == "dsa" else f"{name}-noskip"


def _values(said: Said, frame: Frame) -> dict[str, Value]:
    return {
        "kernel": said.kernel,
        "expand": said.expand,
        "ratio": said.ratio,
        "act": said.act or frame.act,
    }


def _stage(name: str, block: Block, run: list[Said], frame: Frame) -> Stage:
    args = tuple(
        Arg(name=param.name, values=tuple(sorted({_values(s, frame)[param.name] for s in run})))
        for param in block.params
    )
    widths = tuple(sorted({said.width for said in run}))
    return Stage(
        name=name,
        choices=(BlockChoice(block=block, args=args),),
        widths=widths,
        window=len(widths),
        depths=(sum(said.repeat for said in run),),
        stride=run[0].stride,
    )


def _part(stage: Stage, run: list[Said]) -> SubnetStage:
    frame = Frame()
    chosen = [arg.name for arg in stage.choices[0].chosen]
    blocks = []
    for said in run:
        values = _values(said, frame)
        settings = tuple(Setting(name=name, value=values[name]) for name in chosen)
        blocks += [SubnetBlock(width=said.width, settings=settings)] * said.repeat
    return SubnetStage(blocks=tuple(blocks))
