"""A network as timm's block strings: from its bound layers, whatever its page calls its blocks."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import groupby

from spacedsl.bridges.timm import ACTS, Kind, Said, Stack
from spacedsl.diagnostics import Diagnostic, SpaceError
from spacedsl.ir.expr import exact, round8
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.values import shown
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import Pair, as_number
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.bound import Bound, Residual

LETTERS = {act: letters for letters, act in ACTS.items()}
TWIN = re.compile(r"(.+)-[0-9]+")
"""A stage that goes on with the stack of the one before, as `network` names them."""


@dataclass(frozen=True, slots=True)
class Strings:
    """Stacks, and what they do not say: the stem (conv 3x3, stride 2) and the default activation
    are part of timm's models; resolution, head and classes stand beside."""

    stacks: tuple[Stack, ...]
    stem: int
    act: str
    resolution: int


class _CannotSay(Exception):
    """Why a block has no string."""


def read_network(subnet: Subnet) -> Strings:
    """The stacks of a network. Raises `SpaceError` that names every block, stem or head that
    timm's notation cannot say, and why."""
    sites = subnet_sites(subnet)
    names = [stage.name for stage in subnet.of.stages]
    problems: list[str] = []
    stem, act = 0, ""
    try:
        stem, act = _stem(sites[0])
    except _CannotSay as why:
        problems.append(f"{names[0]}: {why}")
    stacks: list[list[Said]] = []
    for name, stage in list(zip(names, sites, strict=True))[1:-1]:
        found: list[Said] = []
        for i, site in enumerate(stage):
            try:
                found.append(_said(site))
            except _CannotSay as why:
                problems.append(f"{name}, block {i + 1} ({_called(site)}): {why}")
        twin = TWIN.fullmatch(name)
        if twin and twin[1] in names and stacks and stage[0].stride == 1:
            stacks[-1] += found
        else:
            stacks.append(found)
    last = [item for site in sites[-1] for item in site.bind()]
    if not any(isinstance(item, Layer) and item.kind == "linear" for item in last):
        problems.append(f"{names[-1]}: it does not end in a classifier")
    if isinstance(subnet.resolution, Pair):
        problems.append(f"an image of {subnet.resolution} pixels, which is not square")
    if problems:
        raise SpaceError(
            Diagnostic("cannot-convert", f"timm's strings cannot say {why}") for why in problems
        )
    return Strings(tuple(map(_merged, stacks)), stem, act, int(as_number(subnet.resolution)))


def _called(site: Site) -> str:
    return site.choice.block.name or "its own body"


def _stem(sites: tuple[Site, ...]) -> tuple[int, str]:
    bound = sites[0].bind()
    plain = len(sites) == 1 and len(bound) == 1 and isinstance(bound[0], Layer)
    layer = bound[0] if plain else None
    if not isinstance(layer, Layer) or (layer.kind, layer.kernel, layer.stride) != ("conv", 3, 2):
        raise _CannotSay("a stem is one convolution 3x3 of stride 2")
    if layer.bias or not layer.norm or layer.act not in LETTERS:
        raise _CannotSay("a stem has a norm, no bias, and relu, relu6, hswish or swish")
    return layer.cout, layer.act


def _layers(bound: tuple[Bound, ...]) -> list[Layer]:
    """The layers of a main path without residuals inside it."""
    for item in bound:
        if not isinstance(item, Layer):
            what = "a shortcut" if isinstance(item, Residual) else "branches"
            raise _CannotSay(f"{what} within the block")
    return [item for item in bound if isinstance(item, Layer)]


def _said(site: Site) -> Said:
    bound, skip = site.bind(), False
    if len(bound) == 1 and isinstance(bound[0], Residual):
        residual = bound[0]
        if residual.shortcut:
            ops = " and ".join(layer.kind for layer in _layers(residual.shortcut))
            raise _CannotSay(f"its shortcut has operators of its own ({ops})")
        if residual.add.act:
            raise _CannotSay("an activation after the addition")
        bound, skip = residual.main, True
    layers = _layers(bound)
    main = [layer for layer in layers if layer.kind != "se"]
    for layer in main:
        if layer.kind not in ("conv", "dwconv"):
            raise _CannotSay(f"the operator `{layer.kind}`")
        if layer.bias or not layer.norm:
            raise _CannotSay("a convolution with a bias or without norm")
        if layer.groups > 1:
            raise _CannotSay("a convolution with groups")
        plain = (layer.dilation, layer.valid) == (1, False)
        if not plain or not isinstance(layer.kernel, int) or layer.kernel % 2 == 0:
            raise _CannotSay("a window that is not square and odd, is dilated or has no padding")
    kind = _kind(main, skip)
    spatial = main[1] if kind == "ir" else main[0]
    if any(n.stride != 1 for n in main if n is not spatial) or spatial.stride not in (1, 2):
        raise _CannotSay("strides other than 1 or 2, or on another convolution")
    if round8(site.cout) != site.cout:
        raise _CannotSay(f"{site.cout} channels: timm rounds them to a multiple of 8")
    keeps = spatial.stride == 1 and site.cin == main[-1].cout
    said = Said(
        kind=kind,
        repeat=1,
        kernel=int(as_number(spatial.kernel)),
        stride=int(as_number(spatial.stride)),
        width=main[-1].cout,
        act=spatial.act,
        skip=skip if keeps or kind in ("cn", "dsa") else True,
    )
    if kind in ("ir", "er"):
        said = replace(said, expand=_factor("expand", site, main[0].cout, site.cin))
    return _with_se(said, site, layers, kind)


SHAPES: dict[tuple[str, ...], Kind] = {
    ("conv",): "cn",
    ("dwconv", "conv"): "ds",
    ("conv", "dwconv", "conv"): "ir",
    ("conv", "conv"): "er",
}


def _kind(main: list[Layer], skip: bool) -> Kind:
    kind = SHAPES.get(tuple(layer.kind for layer in main))
    if kind is None:
        listed = ", ".join(layer.kind for layer in main)
        raise _CannotSay(f"a block of {listed or 'no convolution'}")
    if any(layer.kernel != 1 for layer in main[1:] if layer.kind == "conv"):
        raise _CannotSay("a last convolution larger than 1x1")
    if kind == "ir" and main[0].kernel != 1:
        raise _CannotSay("a first convolution larger than 1x1 before a depthwise one")
    acts = [layer.act for layer in main]
    if acts[0] not in LETTERS:
        raise _CannotSay(f"the activation {acts[0] or 'none'}")
    if kind == "ds" and acts[1] == acts[0] and not skip:
        return "dsa"
    last = () if kind == "cn" else (None,)
    if acts != [acts[0]] * (len(main) - len(last)) + list(last):
        raise _CannotSay(f"the activations {', '.join(act or 'none' for act in acts)}")
    return kind


def _with_se(said: Said, site: Site, layers: list[Layer], kind: Kind) -> Said:
    places = [i for i, layer in enumerate(layers) if layer.kind == "se"]
    if not places:
        return said
    se = layers[places[0]]
    if len(places) > 1 or places[0] != len(layers) - 2 or kind == "cn":
        raise _CannotSay("SE elsewhere than before the last convolution")
    if (se.act, se.gate) != ("relu", "hsigmoid"):
        raise _CannotSay(f"SE with {se.act} and {se.gate}")
    return replace(said, ratio=_factor("ratio", site, se.squeeze, se.cin))


def _factor(name: str, site: Site, result: int, base: int) -> float:
    """The setting `name` if it leads from `base` to `result`, else a usual ratio, else the
    shortest decimal that does."""
    settings = dict(site.settings)
    shortest = [round(result / base, digits) for digits in range(5)]
    for value in (settings.get(name), *USUAL, *shortest):
        if isinstance(value, int | float) and value > 0 and round8(base * exact(value)) == result:
            return int(value) if value == int(value) else value
    raise _CannotSay(f"{result} channels from {base}: no multiple of 8 near a ratio")


USUAL = (0.25, 0.5, 1, 2, 3, 4, 6)


def _merged(stack: list[Said]) -> Stack:
    """Equal blocks counted. A stride is the first block's alone."""
    alike = groupby(enumerate(stack), key=lambda e: replace(e[1], stride=1))
    runs = [[said for _, said in group] for _, group in alike]
    return tuple(replace(run[0], repeat=len(run)) for run in runs)


def string(said: Said, act: str) -> str:
    """One canonical string; `act` is the network's default and not said again."""
    parts = [said.kind, f"r{said.repeat}", f"k{said.kernel}", f"s{said.stride}"]
    if said.kind != "cn":
        parts.append(f"e{shown((said.expand,))}")
    parts.append(f"c{said.width}")
    if said.ratio:
        parts.append(f"se{shown((said.ratio,))}")
    if said.act not in (None, act):
        parts.append(f"n{LETTERS[said.act or '']}")
    if said.kind == "cn":
        parts += ["skip"] if said.skip else []
    elif said.kind != "dsa" and not said.skip:
        parts.append("noskip")
    return "_".join(parts)


def stacks_text(strings: Strings) -> str:
    """The arch definition, a stack per line: Python and JSON alike read it."""
    rows = [json.dumps([string(s, strings.act) for s in stack]) for stack in strings.stacks]
    return "[\n" + ",\n".join(f"  {row}" for row in rows) + "\n]\n"
