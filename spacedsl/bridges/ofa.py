"""Once-for-All's names of supernets and settings of subnets (Cai et al., ICLR 2020).

`ofa_mbv3_d234_e346_k357_w1.2` names a space by its lists of depths, expansions and kernels and by
its width multiplier. A setting lists kernels `ks` and expansions `e` for every *slot* of a stage,
as many as its greatest depth, and depths `d`; slots beyond a stage's depth say nothing. ResNet50's
`d` starts with the stem and counts from the least depth, its `w` are places in the lists of
widths."""

from __future__ import annotations

import re
from dataclasses import replace

from spacedsl.bridges.config import Entry
from spacedsl.bridges.settings import StageSettings, member
from spacedsl.diagnostics import fault
from spacedsl.ir.block import Block, Conv, Op, Value
from spacedsl.ir.expr import Num, evaluate, exact, round8
from spacedsl.ir.space import Arg, BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import library
from spacedsl.lang.page import Loader

NETS = {"mbv3": "mobilenetv3", "proxyless": "proxylessnas", "resnet50": "resnet50"}
"""Their names of families, and the pages of the library."""

LIST = r"[0-9.]+(?:-[0-9.]+)*"
ID = re.compile(
    rf"ofa_(mbv3|proxyless)_d({LIST})_e({LIST})_k({LIST})_w([0-9]\.[0-9]+)"
    rf"|ofa_(resnet50)(?:_d({LIST})_e({LIST})_w({LIST}))?"
)
SPECIALISED = re.compile(r"[\w.]+@[\w.@-]*top1[\w.@-]*")
LEAST = 0.1
"""Of multiples of widths and of expansions."""

BASE_WIDTHS = {"stem": 64, "stage1": 256, "stage2": 512, "stage3": 1024, "stage4": 2048}
"""ResNet50's at width 1.0."""


def baseline(page: str) -> Space:
    """A hand-made space of the library."""
    path = library() / "baselines" / f"{page}.space"
    found = Loader().open(path, f"<library>/baselines/{path.name}").get(page)
    if not isinstance(found, Space):
        raise TypeError(found)
    return found


def is_id(text: str) -> bool:
    """Whether this is meant to be one of OFA's names."""
    return text.startswith("ofa_") or SPECIALISED.fullmatch(text) is not None


def space_of_id(text: str, name: str) -> Space:
    """The space that the name of a supernet says. Raises `SpaceError`."""
    found = ID.fullmatch(text)
    if found is None and SPECIALISED.fullmatch(text):
        help = 'import its setting: {"ks": [...], "e": [...], "d": [...], "r": 224}'
        raise fault("bad-code", f"{text} is measured, not said: it names a file of weights", help)
    if found is None:
        help = "e.g. ofa_mbv3_d234_e346_k357_w1.0, or ofa_resnet50"
        raise fault("bad-code", f"{text[:80]} is not a supernet of OFA", help)
    if found[6]:
        space = baseline("resnet50")
        if found[7] is not None:
            depths, expands, factors = (_numbers(found[i]) for i in (7, 8, 9))
            _check_numbers("depth", depths, 0, whole=True)
            _check_numbers("width", factors, LEAST, whole=False)
            _check_numbers("expansion", expands, LEAST, whole=False)
            space = _resnet(space, depths, expands, factors)
        return space.model_copy(update={"name": name})
    depths, expands, kernels = (_numbers(found[i]) for i in (2, 3, 4))
    space = baseline(NETS[found[1]])
    factor = float(found[5])
    _check_numbers("depth", depths, 1, whole=True)
    _check_numbers("width", (factor,), LEAST, whole=False)
    _check_numbers("expansion", expands, LEAST, whole=False)
    even = next((kernel for kernel in kernels if kernel % 2 == 0), None)
    if even is not None:
        raise fault("bad-code", f"kernel {even:g} is even")
    stages = tuple(_scaled(s, depths, expands, kernels, factor) for s in space.stages)
    return space.model_copy(update={"name": name, "stages": stages})


def _numbers(text: str) -> tuple[int | float, ...]:
    """`234` and `0.2-0.25`: digits where no number has a point, else numbers apart by `-`."""
    parts = text.split("-") if "-" in text or "." in text else list(text)
    try:
        values = sorted({float(p) for p in parts})
    except ValueError:
        raise fault("bad-code", f"{text} is not a list of numbers") from None
    return tuple(int(v) if v == int(v) else v for v in values)


def _check_numbers(what: str, values: tuple[int | float, ...], least: float, whole: bool) -> None:
    """Raises `SpaceError` for a value below `least`, and for a fraction where `whole` is set."""
    for value in values:
        if value < least or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise fault("bad-code", f"{what} {value:g} is not {kind} from {least:g}")


def _scaled(
    stage: Stage,
    depths: tuple[int | float, ...],
    expands: tuple[int | float, ...],
    kernels: tuple[int | float, ...],
    factor: float,
) -> Stage:
    """A stage with these lists where it has a choice, and `factor` times as wide."""
    choice = stage.choices[0]
    lists: dict[str, tuple[Value, ...]] = {"expand": expands, "kernel": kernels}
    args = tuple(
        Arg(name=a.name, values=lists[a.name] if len(a.values) > 1 else a.values)
        for a in choice.args
    )
    block = choice.block if choice.block.name else _wider(choice.block, factor)
    return stage.model_copy(
        update={
            "choices": (BlockChoice(block=block, args=args),),
            "widths": tuple(round8(w * exact(factor)) for w in stage.widths),
            "depths": tuple(map(int, depths)) if len(stage.depths) > 1 else stage.depths,
        }
    )


def _wider(block: Block, factor: float) -> Block:
    def wider(op: Op) -> Op:
        if isinstance(op, Conv) and isinstance(op.width, Num):
            width = round8(evaluate(op.width, {}) * exact(factor))
            return op.model_copy(update={"width": Num(value=width)})
        return op

    return block.model_copy(update={"ops": tuple(map(wider, block.ops))})


def _resnet(
    space: Space,
    depths: tuple[int | float, ...],
    expands: tuple[int | float, ...],
    factors: tuple[int | float, ...],
) -> Space:
    stages = []
    for stage in space.stages:
        if stage.name not in BASE_WIDTHS:
            stages.append(stage)
            continue
        widths = tuple(round8(BASE_WIDTHS[stage.name] * exact(f)) for f in factors)
        stem = stage.name == "stem"
        lists = {
            "expand": expands,
            "mid": tuple(sorted({round8(w // 2) for w in widths})),
            "second": (0, 1),
        }
        args = tuple(Arg(name=a.name, values=lists[a.name]) for a in stage.choices[0].args)
        choice = stage.choices[0].model_copy(update={"args": args})
        least = stage.depths[0]
        update = {
            "choices": (choice,),
            "widths": widths,
            "window": len(widths),
            "depths": (1,) if stem else tuple(least + int(d) for d in depths),
        }
        stages.append(stage.model_copy(update=update))
    return space.model_copy(update={"stages": tuple(stages)})


MOBILE, RESNET = ("ks", "e", "d"), ("e", "d", "w")
"""What settings of either family say, besides the resolution."""

PIXELS = ("r", "image_size")
UNSAID = ("wid",)
"""What Once-for-All writes without a value."""

KEYS = tuple(dict.fromkeys((*MOBILE, *RESNET, *UNSAID, *PIXELS)))


def setting_subnet(
    setting: Entry, space: Space | None, resolution: int | None, name: str
) -> Subnet:
    """The subnet of a setting, of `space` or else of the baseline that its lists fit. `resolution`
    where the setting says none. Raises `SpaceError`."""
    table = {k: entry for k, entry in setting.table(KEYS).items() if entry.value is not None}
    setting = replace(setting, value=table)
    said = [entry for key in PIXELS if key in table for entry in table[key].items()]
    for entry in said[1:]:
        if entry.whole() != said[0].whole():
            raise entry.fail(f"{entry.whole()} px, but {said[0].path} is {said[0].whole()}")
    pixels = said[0].whole() if said else resolution
    if pixels is None:
        raise fault("missing-option", "the setting does not say its resolution", "e.g. --at 224")
    if "w" in table:
        parts_space = space or baseline("resnet50")
        _only(table, RESNET, parts_space)
        return member(parts_space, pixels, _resnet_parts(setting, parts_space), name)
    found = space or baseline(_family(setting))
    _only(table, MOBILE, found)
    return member(found, pixels, _mobile_parts(setting, found), name)


def _only(table: dict[str, Entry], known: tuple[str, ...], space: Space) -> None:
    """Raises `SpaceError` for a key that says what the space has no choice of."""
    for key, entry in table.items():
        if key not in (*known, *PIXELS):
            help = f"its settings say {', '.join(known)} and the resolution"
            raise entry.fail(f"{space.name} has nothing that `{key}` chooses", help)


def _family(setting: Entry) -> str:
    slots = len(setting.need("ks").items())
    for family in ("mobilenetv3", "proxylessnas"):
        if slots == _slots(baseline(family)):
            return family
    help = "20 numbers are MobileNetV3's, 21 ProxylessNAS'; else name the space: --of PAGE"
    raise setting.need("ks").fail(f"{slots} numbers fit no supernet of OFA", help)


def _slots(space: Space) -> int:
    return sum(space.stages[i].depths[-1] for i in space.elastic)


def _list(setting: Entry, key: str, count: int, space: Space) -> tuple[Entry, ...]:
    """A list of `count` values; one number stands for all."""
    entry = setting.need(key)
    found = entry.items()
    if not isinstance(entry.value, tuple):
        return found * count
    if len(found) != count:
        raise entry.fail(f"{len(found)} numbers; {space.name} takes {count}")
    return found


def _mobile_parts(setting: Entry, space: Space) -> tuple[StageSettings, ...]:
    kernels, expands = (list(_list(setting, k, _slots(space), space)) for k in ("ks", "e"))
    depths = list(_list(setting, "d", len(space.elastic), space))
    parts: list[StageSettings] = []
    for stage in space.stages:
        width = stage.widths[0] if stage.widths else 0
        if not stage.elastic:
            parts.append(StageSettings(width, stage.depths[0]))
            continue
        slots = stage.depths[-1]
        depth = _depth(depths.pop(0), 0, slots)
        settings = tuple(
            {"kernel": k.whole(), "expand": e.number()}
            for k, e in zip(kernels[:depth], expands[:depth], strict=True)
        )
        parts.append(StageSettings(width, depth, settings))
        del kernels[:slots], expands[:slots]
    return tuple(parts)


def _depth(entry: Entry, base: int, slots: int) -> int:
    """A stage's depth. A stage of one slot has one block, whatever is said of it."""
    depth = base + entry.whole()
    if slots == 1:
        return 1
    if depth < 1:
        raise entry.fail("a stage has at least one block")
    if depth > slots:
        raise entry.fail(f"{depth} blocks in a stage of at most {slots}")
    return depth


def _resnet_parts(setting: Entry, space: Space) -> tuple[StageSettings, ...]:
    expands = list(_list(setting, "e", _slots(space), space))
    depths = list(_list(setting, "d", len(space.elastic) + 1, space))
    places = list(_list(setting, "w", len(space.elastic) + 2, space))
    stem = space.stages[0]
    mid = round8(_pick(places[0], stem.widths) // 2)
    most = space.stages[space.elastic[0]]
    second = int(depths.pop(0).whole() == most.depths[-1] - most.depths[0])
    parts = [StageSettings(_pick(places[1], stem.widths), 1, ({"mid": mid, "second": second},))]
    del places[:2]
    for stage in space.stages[1:]:
        if not stage.elastic:
            parts.append(StageSettings(stage.widths[0] if stage.widths else 0, stage.depths[0]))
            continue
        depth = _depth(depths.pop(0), stage.depths[0], stage.depths[-1])
        settings = tuple({"expand": e.number()} for e in expands[:depth])
        parts.append(StageSettings(_pick(places.pop(0), stage.widths), depth, settings))
        del expands[: stage.depths[-1]]
    return tuple(parts)


def _pick(entry: Entry, widths: tuple[int, ...]) -> int:
    place = entry.whole()
    if place >= len(widths):
        raise entry.fail(f"{place} is not a place in the list {', '.join(map(str, widths))}")
    return widths[place]
