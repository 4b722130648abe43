"""Subnets: which widths, settings, depths and resolution are active. Imports no torch."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from spacedsl.checksum import KEY, unsealed
from spacedsl_runtime.errors import SubnetError, shown
from spacedsl_runtime.plan import Number, Plan, Stage
from spacedsl_runtime.reader import Mismatch, build, check_stamp, read_json
from spacedsl_runtime.settings import Settings, shared_groups

FORMAT = "spacedsl-subnet"
VERSION = 1


@dataclass(frozen=True)
class Block:
    """`width` is 0 where the stage has no widths; `settings` are in the stage's order."""

    width: int
    settings: tuple[tuple[str, Number], ...] = ()


@dataclass(frozen=True)
class Subnet:
    """`stages`: the blocks of every stage. `resolution` is the image's, in pixels; `cin` the
    active input width of a BKD stage, None for a supernet."""

    resolution: int
    stages: tuple[tuple[Block, ...], ...]
    cin: int | None = None
    name: str = "subnet"


def largest(plan: Plan, resolution: int | None = None) -> Subnet:
    """Widest, deepest, every setting at its greatest. `resolution` in pixels, else the greatest."""
    return _extreme(plan, resolution, -1, "largest")


def smallest(plan: Plan, resolution: int | None = None) -> Subnet:
    """The counterpart of `largest`."""
    return _extreme(plan, resolution, 0, "smallest")


def _extreme(plan: Plan, resolution: int | None, end: int, name: str) -> Subnet:
    def blocks(stage: Stage) -> tuple[Block, ...]:
        settings = tuple((p.name, p.values[end]) for p in stage.params)
        width = stage.widths[end] if stage.widths else 0
        return (Block(width, settings),) * stage.depths[end]

    cin = plan.stages[0].first.cin[end] if plan.kind == "bkd" else None
    stages = tuple(blocks(stage) for stage in plan.stages)
    return Subnet(resolution or plan.resolutions[end], stages, cin, name)


def sample(plan: Plan, rng: random.Random, resolution: int | None = None) -> Subnet:
    """A random subnet: uniform over all declared resolutions (unless given), then per stage a
    uniform window and depth, per block a uniform width and uniform settings of those that are
    different blocks (shared ones drawn once)."""
    chosen = resolution or rng.choice(plan.resolutions)
    cin = rng.choice(plan.stages[0].first.cin) if plan.kind == "bkd" else None
    stages = tuple(_random_stage(stage, rng) for stage in plan.stages)
    return Subnet(chosen, stages, cin, "random")


def _random_stage(stage: Stage, rng: random.Random) -> tuple[Block, ...]:
    widths: Sequence[int] = rng.choice(stage.windows) if stage.widths else (0,)
    depth = rng.choice(stage.depths)
    width_of = _drawer(rng, widths, "width" in stage.shared)
    settings_of = _settings_drawer(stage, rng)
    return tuple(Block(width_of(), settings_of()) for _ in range(depth))


def _settings_drawer(stage: Stage, rng: random.Random) -> Callable[[], Settings]:
    """Draws the settings of a block; where all combinations are different, value by value."""
    groups = shared_groups(stage)
    if groups is not None:
        group = rng.choice(groups)
        return lambda: rng.choice(group)
    value_of = [(p.name, _drawer(rng, p.values, p.name in stage.shared)) for p in stage.params]
    return lambda: tuple((name, draw()) for name, draw in value_of)


T = TypeVar("T")


def _drawer(rng: random.Random, values: Sequence[T], shared: bool) -> Callable[[], T]:
    if shared:
        fixed = rng.choice(values)
        return lambda: fixed
    return lambda: rng.choice(values)


def describe(plan: Plan, subnet: Subnet) -> str:
    """A subnet on one line, for messages: `at 24; stem 8; stage1 16 kernel3 expand2, ...`."""
    stages = (
        f"{stage.name} {', '.join(map(_words, blocks))}"
        for stage, blocks in zip(plan.stages, subnet.stages, strict=True)
    )
    return "; ".join((f"at {subnet.resolution}", *(s.strip() for s in stages)))


def _words(block: Block) -> str:
    width = (str(block.width),) if block.width else ()
    return " ".join((*width, *(f"{name}{value}" for name, value in block.settings)))


def check_subnet(plan: Plan, subnet: Subnet) -> None:
    """Raise `SubnetError` unless `subnet` is one of the plan's, naming what is not and what is."""

    def need(holds: bool, what: str, allowed: Sequence[object]) -> None:
        if not holds:
            listed = ", ".join(map(str, allowed))
            raise SubnetError(f"{subnet.name} is not a subnet of {plan.name}: {what}, not {listed}")

    resolution = subnet.resolution
    need(resolution in plan.resolutions, f"resolution {resolution}", plan.resolutions)
    need(len(subnet.stages) == len(plan.stages), f"{len(subnet.stages)} stages", [len(plan.stages)])
    if plan.kind == "bkd":
        cins = plan.stages[0].first.cin
        need(subnet.cin in cins, f"input width {subnet.cin}", cins)
    for stage, blocks in zip(plan.stages, subnet.stages, strict=True):
        _check_stage(stage, blocks, need)


def _check_stage(
    stage: Stage, blocks: tuple[Block, ...], need: Callable[[bool, str, Sequence[object]], None]
) -> None:
    here, widths = stage.name, {b.width for b in blocks}
    need(len(blocks) in stage.depths, f"{here}: depth {len(blocks)}", stage.depths)
    for width in widths:
        need(width in (stage.widths or (0,)), f"{here}: width {width}", stage.widths or (0,))
    together = not stage.widths or any(widths <= set(window) for window in stage.windows)
    need(together, f"{here}: widths {sorted(widths)}", stage.windows)
    for block in blocks:
        names = tuple(name for name, _ in block.settings)
        wanted = tuple(p.name for p in stage.params)
        need(names == wanted, f"{here}: settings {names}", [wanted])
        for param, (name, value) in zip(stage.params, block.settings, strict=True):
            need(value in param.values, f"{here}: {name} {value}", param.values)
    for shared in stage.shared:
        values = {b.width if shared == "width" else dict(b.settings).get(shared) for b in blocks}
        need(len(values) == 1, f"{here}: several values of {shared}", ["one: it is shared"])


@dataclass(frozen=True)
class _StageData:
    name: str
    blocks: tuple[_BlockData, ...]


@dataclass(frozen=True)
class _BlockData:
    width: int
    settings: tuple[tuple[str, Number], ...]


@dataclass(frozen=True)
class _Data:
    format: str
    version: int
    name: str
    space: str
    resolution: int
    cin: int | None
    stages: tuple[_StageData, ...]


def read_subnet(source: Path | str | Mapping[str, Any], plan: Plan) -> Subnet:
    """A subnet of the plan's space from a file, or from its JSON object. Raises `SubnetError`."""
    if isinstance(source, Mapping):
        data, name = dict(source), "the subnet"
    else:
        data, name = read_json(Path(source), SubnetError), str(source)

    def refuse(message: str) -> SubnetError:
        return SubnetError(f"{name}: {message}")

    check_stamp(data, FORMAT, VERSION, refuse)
    if KEY in data or not isinstance(source, Mapping):
        data = unsealed(data, name, SubnetError)
    try:
        found = build(_Data, _pairs(data))
    except Mismatch as error:
        raise refuse(str(error)) from None
    if found.space != plan.hash:
        raise refuse(
            f"a subnet of space {shown(found.space)}, the plan {plan.name} is {shown(plan.hash)}"
        )
    stages = tuple(
        tuple(Block(b.width, b.settings) for b in stage.blocks) for stage in found.stages
    )
    subnet = Subnet(found.resolution, stages, found.cin, found.name)
    check_subnet(plan, subnet)
    return subnet


def _pairs(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with each block's settings as a list of pairs."""
    copied: dict[str, Any] = json.loads(json.dumps(data))
    stages = copied.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        blocks = stage.get("blocks") if isinstance(stage, dict) else None
        for block in blocks if isinstance(blocks, list) else []:
            if isinstance(block, dict) and isinstance(block.get("settings"), dict):
                block["settings"] = [list(pair) for pair in block["settings"].items()]
    return copied


def subnet_json(subnet: Subnet, plan: Plan) -> dict[str, Any]:
    """The subnet's JSON object, as `read_subnet` takes it."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": subnet.name,
        "space": plan.hash,
        "resolution": subnet.resolution,
        "cin": subnet.cin,
        "stages": [
            {
                "name": stage.name,
                "blocks": [{"width": b.width, "settings": dict(b.settings)} for b in blocks],
            }
            for stage, blocks in zip(plan.stages, subnet.stages, strict=True)
        ],
    }
