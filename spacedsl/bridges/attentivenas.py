"""AttentiveNAS' and AlphaNet's configuration files: the supernet's space, and settings of subnets.

A file holds `supernet_config` (resolutions, first_conv, mb1.., last_conv; lists of c channels, d
layers, k kernels, t expansions; s stride, act_func, se) and, in some, `pareto_models` by name. The
rest of it is about training and not read (facebookresearch/AttentiveNAS, configs/)."""

from __future__ import annotations

import re

from spacedsl.bridges.config import Entry
from spacedsl.bridges.settings import StageSettings, member
from spacedsl.ir.block import Block, Conv, DwConv, GlobalPool, Linear, Op
from spacedsl.ir.expr import Num
from spacedsl.ir.space import Arg, BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import library
from spacedsl.lang.page import Loader

PAGE = "baselines/attentivenas.space"
ACTS = {"swish": "swish", "relu": "relu", "relu6": "relu6", "h_swish": "hswish"}
"""Their names of activations."""

SUPERNET = ("use_v3_head", "resolutions", "first_conv", "last_conv", "channels_per_group")
STAGE = ("c", "d", "k", "t", "s", "act_func", "se")
SETTING = ("resolution", "width", "depth", "kernel_size", "expand_ratio")


def supernet_space(config: Entry, name: str) -> Space:
    """The space of a supernet. Raises `SpaceError`."""
    said = config.table().get("supernet_config", config)
    names = [k for k in said.table() if re.fullmatch("mb[0-9]+", k)]
    said.table((*SUPERNET, *names))
    if sorted(names) != sorted(f"mb{i + 1}" for i in range(len(names))) or not names:
        raise said.fail("stages are mb1, mb2, ... without gaps")
    groups = said.table().get("channels_per_group")
    if groups is not None and groups.whole() != 1:
        raise groups.fail("only channels_per_group 1: depthwise convolutions")
    names.sort(key=lambda n: int(n[2:]))
    page = Loader().open(library() / PAGE, f"<library>/{PAGE}", PAGE)
    known = page.get("attentivenas")
    blocks = {se: page.get(f"mbv{3 if se else 2}-pool") for se in (False, True)}
    if not isinstance(known, Space):
        raise TypeError(known)
    stages = [_stem(said.need("first_conv"), known.stage("stem"))]
    for number, key in enumerate(names, 1):
        entry = said.need(key)
        block = blocks[entry.need("se").flag()]
        if not isinstance(block, Block):
            raise TypeError(block)
        stages.append(_stage(f"stage{number}", entry, block))
    v3 = said.table().get("use_v3_head")
    stages.append(_head(said.need("last_conv"), known.stage("head"), v3=bool(v3 and v3.flag())))
    resolutions = said.need("resolutions").wholes()
    return Space(kind="space", name=name, resolutions=resolutions, stages=tuple(stages))


def _act(entry: Entry) -> str:
    said = entry.need("act_func")
    word = said.word()
    if word not in ACTS:
        raise said.fail(f"unknown activation `{word[:40]}`", f"known: {', '.join(ACTS)}")
    return ACTS[word]


def _with_act(block: Block, act: str) -> Block:
    """`block`, whose activations are swish, with another; under another name, if it has one."""
    if act == "swish":
        return block

    def changed(op: Op) -> Op:
        same = isinstance(op, Conv | DwConv) and op.act is not None
        return op.model_copy(update={"act": act}) if same else op

    name = f"{block.name}-{act}" if block.name else ""
    update = {"name": name, "source": "", "ops": tuple(map(changed, block.ops))}
    return block.model_copy(update=update)


def _stem(entry: Entry, known: Stage) -> Stage:
    entry.table(("c", "act_func", "s"))
    block = _with_act(known.choices[0].block, _act(entry))
    return _with_widths(known, entry).model_copy(
        update={"choices": (BlockChoice(block=block),), "stride": _stride(entry)}
    )


def _stride(entry: Entry) -> int:
    stride = entry.need("s").whole()
    if stride not in (1, 2):
        raise entry.need("s").fail("a stride is 1 or 2")
    return stride


def _with_widths(stage: Stage, entry: Entry) -> Stage:
    widths = entry.need("c").wholes()
    return stage.model_copy(update={"widths": widths, "window": len(widths)})


def _stage(name: str, entry: Entry, block: Block) -> Stage:
    entry.table(STAGE)
    args = (
        Arg(name="kernel", values=entry.need("k").kernels()),
        Arg(name="expand", values=entry.need("t").numbers()),
    )
    widths = entry.need("c").wholes()
    choosing = [arg.name for arg in args if len(arg.values) > 1]
    shared = [*choosing, "width"] if len(widths) > 1 else choosing
    return Stage(
        name=name,
        elastic=True,
        choices=(BlockChoice(block=_with_act(block, _act(entry)), args=args),),
        widths=widths,
        window=len(widths),
        depths=entry.need("d").wholes(),
        stride=_stride(entry),
        shared=tuple(sorted(shared)),
    )


def _head(entry: Entry, known: Stage, *, v3: bool) -> Stage:
    entry.table(("c", "act_func"))
    block = known.choices[0].block
    if not v3:
        body: tuple[Op, ...] = (Conv(kernel=Num(value=1), act="swish"), GlobalPool())
        block = Block(ops=(*body, Linear(classes=1000)))
    choice = BlockChoice(block=_with_act(block, _act(entry)))
    return _with_widths(known, entry).model_copy(update={"choices": (choice,)})


def setting_subnet(setting: Entry, space: Space, name: str) -> Subnet:
    """The subnet of a setting: `width` lists stem, stages and head; `depth`, `kernel_size` and
    `expand_ratio` the stages. Raises `SpaceError`, also where it is none of `space`'s."""
    setting.table((*SETTING, "model"))
    depth = setting.need("depth").items()
    lists = {key: setting.need(key).items() for key in SETTING[1:]}
    expected = len(space.stages)
    for key, found in lists.items():
        count = expected if key == "width" else expected - 2
        if len(found) != count:
            message = f"{len(found)} numbers; {space.name} has {count} "
            raise setting.need(key).fail(
                message + ("stages with stem and head" if key == "width" else "stages")
            )
    width = [entry.whole() for entry in lists["width"]]
    parts = [StageSettings(width[0], 1)]
    for i, layers in enumerate(depth):
        kernel, expand = lists["kernel_size"][i].whole(), lists["expand_ratio"][i].number()
        settings = ({"kernel": kernel, "expand": expand},) * layers.whole()
        parts.append(StageSettings(width[i + 1], layers.whole(), settings))
    parts.append(StageSettings(width[-1], 1))
    return member(space, setting.need("resolution").whole(), tuple(parts), name)
