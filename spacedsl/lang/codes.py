"""The method authors' codes: `onnxw-151122-023231` for a space, `d..._k..._w..._e..._r...` for a
model. Digits count a hyperspace's block types and width windows in the order of its page."""

from __future__ import annotations

import re
from math import isnan, nan

from spacedsl.diagnostics import fault
from spacedsl.ir.block import Conv, DwConv, Value, walk
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.expr import Num
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.lang.values import MAX_DIGITS
from spacedsl.operators.size import as_number

SPACE_CODE = re.compile(r"([A-Za-z][\w-]*)-([0-9]+)-([0-9]+)")
MODEL_CODE = re.compile(
    r"d([0-9]+(?:#[0-9]+)*)_k([0-9]+(?:#[0-9]+)*)_w([0-9]+(?:#[0-9]+)*)"
    r"_e([0-9.]+(?:#[0-9.]+)*)_r([0-9]+)"
)
MAX_CODE = 4_096


def is_space_code(code: str) -> bool:
    return len(code) <= MAX_CODE and SPACE_CODE.fullmatch(code) is not None


def is_model_code(code: str) -> bool:
    return len(code) <= MAX_CODE and MODEL_CODE.fullmatch(code) is not None


def hyperspace_of(code: str) -> str:
    """The hyperspace that a space's code names."""
    found = SPACE_CODE.fullmatch(code)
    if found is None:
        raise fault(
            "bad-code", f"{code[:80]} is not the code of a space", "e.g. onnxw-151122-023231"
        )
    return found[1]


def space_from_code(code: str, hyper: Space, name: str) -> Space:
    """The space that `code` names among `hyper`'s. Raises `SpaceError`."""
    found = SPACE_CODE.fullmatch(code)
    if found is None:
        hyperspace_of(code)
        raise AssertionError
    blocks, windows = found[2], found[3]
    elastic = hyper.elastic
    if len(blocks) != len(elastic) or len(windows) != len(elastic):
        message = f"{code} does not have {len(elastic)} digits twice, one per elastic stage"
        raise fault("bad-code", message)
    stages = list(hyper.stages)
    for position, block, window in zip(elastic, blocks, windows, strict=True):
        stages[position] = _pick(stages[position], int(block), int(window), code)
    return Space(
        kind="space",
        name=name,
        of=hyper,
        channels=hyper.channels,
        resolutions=hyper.resolutions,
        quality=hyper.quality,
        limit=hyper.limit,
        taps=hyper.taps,
        pyramid=hyper.pyramid,
        stages=tuple(stages),
    )


def _pick(stage: Stage, block: int, window: int, code: str) -> Stage:
    for number, count, what in (
        (block, len(stage.choices), "block types"),
        (window, len(stage.windows), "width windows"),
    ):
        if number >= count:
            message = (
                f"{code}: {stage.name} has {count} {what}, counted from 0; there is no {number}"
            )
            raise fault("bad-code", message)
    widths = stage.windows[window]
    return stage.model_copy(
        update={"choices": (stage.choices[block],), "widths": widths, "window": len(widths)}
    )


def space_code(space: Space) -> str:
    """The code of a space of a hyperspace with at most ten choices per stage. Raises
    `SpaceError` where it has none."""
    hyper = space.of
    if hyper is None:
        raise fault("no-code", f"{space.name} is of no hyperspace, so it has no code")
    blocks, windows = "", ""
    for position in hyper.elastic:
        stage, outer = space.stages[position], hyper.stages[position]
        if stage.choices[0] not in outer.choices or stage.widths not in outer.windows:
            message = (
                f"{space.name} has no code: its {stage.name} is not a whole choice of {hyper.name}"
            )
            raise fault("no-code", message)
        digits = (outer.choices.index(stage.choices[0]), outer.windows.index(stage.widths))
        if max(digits) > 9:
            raise fault("no-code", f"{stage.name} has more than ten choices, codes have one digit")
        blocks += str(digits[0])
        windows += str(digits[1])
    return f"{hyper.name}-{blocks}-{windows}"


def subnet_from_code(code: str, space: Space, name: str) -> Subnet:
    """The model that `code` encodes, checked to be one of `space`'s. Raises `SpaceError`.

    The code lists stem and stages (no head); `e` is 0 where a block has no expand."""
    found = MODEL_CODE.fullmatch(code) if len(code) <= MAX_CODE else None
    if found is None:
        raise fault(
            "bad-code", f"{code[:80]} is not the code of a model", "e.g. d1#1_k3#3_w16#16_e0#1_r160"
        )
    depths = [int(d) for d in found[1].split("#")]
    columns = [found[i].split("#") for i in (2, 3, 4)]
    coded = [s for s in space.stages if s.widths]
    if len(depths) != len(coded) or any(len(c) != sum(depths) for c in columns):
        message = f"the code has {len(depths)} stages and {len(columns[1])} blocks"
        raise fault("bad-code", message, f"{space.name} has {len(coded)} stages with widths")
    blocks = iter(zip(*columns, strict=True))
    stages: list[SubnetStage] = []
    for stage in space.stages:
        depth = depths.pop(0) if stage.widths else 1
        choice = stage.choices[0]
        taken = tuple(
            _block(choice, *next(blocks)) if stage.widths else SubnetBlock(width=0)
            for _ in range(depth)
        )
        stages.append(SubnetStage(blocks=taken))
    subnet = Subnet(name=name, of=space, resolution=int(found[5]), stages=tuple(stages))
    difference = subnet_mismatch(space, subnet)
    if difference is not None:
        message = f"the code is not one of {space.name}'s: {difference.stage} {difference.reason}"
        raise fault("not-a-member", message)
    return subnet


def _block(choice: BlockChoice, kernel: str, width: str, expand: str) -> SubnetBlock:
    said: dict[str, Value] = {"kernel": int(kernel), "expand": _number(expand)}
    settings = tuple(
        Setting(name=arg.name, value=said.get(arg.name, arg.values[0])) for arg in choice.chosen
    )
    return SubnetBlock(width=int(width), settings=settings)


def _number(text: str) -> int | float:
    try:
        value = float(text[:MAX_DIGITS])
    except ValueError:
        value = nan
    if len(text) > MAX_DIGITS or isnan(value):
        raise fault("bad-code", f"{text[:20]} is not a number")
    return int(value) if value == int(value) else value


def subnet_code(subnet: Subnet) -> str:
    """The code of a model. Raises `SpaceError` where kernel, expand and width do not tell it."""
    depths, kernels, widths, expands = [], [], [], []
    for position, stage in enumerate(subnet.stages):
        declared = subnet.of.stages[position]
        if not declared.widths and declared.is_open:
            raise fault("no-code", f"{declared.name} leaves a choice, and codes do not list it")
        if not declared.widths:
            continue
        depths.append(str(len(stage.blocks)))
        for block in stage.blocks:
            said = {s.name: s.value for s in block.settings}
            if set(said) - {"kernel", "expand"}:
                raise fault("no-code", f"{subnet.name} has settings that codes do not know")
            kernels.append(str(said["kernel"] if "kernel" in said else _literal(subnet, position)))
            widths.append(str(block.width))
            expands.append(str(as_number(said["expand"])) if "expand" in said else "0")
    columns = ["#".join(c) for c in (depths, kernels, widths, expands)]
    return "d{}_k{}_w{}_e{}".format(*columns) + f"_r{subnet.resolution}"


def _literal(subnet: Subnet, position: int) -> int:
    """The kernel of a body without a kernel parameter: its first convolution's."""
    for op in walk(subnet.choice(position).block.ops):
        if isinstance(op, Conv | DwConv) and isinstance(op.kernel, Num):
            if isinstance(op.kernel.value, int):
                return op.kernel.value
            break
    raise fault("no-code", f"{subnet.of.stages[position].name} has no kernel that codes can say")
