"""How large the weights of a supernet are: the greatest sizes of every op over all the ways in
which its block can be chosen. Each way is bound as any block is (`passes.bind`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from spacedsl.ir.block import Conv, Optional, Shuffle, Value, op_sizes, walk
from spacedsl.ir.expr import names_in
from spacedsl.ir.inline import inlined
from spacedsl.ir.space import BlockChoice, Stage
from spacedsl.operators.layer import Layer
from spacedsl.operators.size import Size, pair, size_of
from spacedsl.passes.bind import Site
from spacedsl.passes.bound import layers
from spacedsl.passes.errors import BindError
from spacedsl.passes.lot import greatest, greatest_same
from spacedsl.passes.together import together


class Image(int):
    """The number of channels of the image, as a width: binding passes it on as it is."""


def first_sites(stage: Stage, cins: Sequence[int], size: Size) -> list[Site]:
    """Every way to choose the first block of a stage that has one block type, on a map of
    `size`."""
    return list(_sites(stage, product(cins, stage.widths or (0,)), size, stage.stride))


def rest_sites(stage: Stage, cins: Sequence[int], size: Size) -> list[Site]:
    """Every way to choose a later block: its input and output width are of one window, and equal
    where they are shared; where widths follow from what comes in, none is chosen."""
    if stage.growth is not None:
        return list(_sites(stage, product(stage.within(cins), (0,)), size, 1))
    reach = 1 if "width" in stage.shared else stage.window
    places = list(enumerate(stage.widths))
    pairs = [(a, b) for i, a in places for j, b in places if abs(i - j) < reach]
    return list(_sites(stage, pairs or product(cins, (0,)), size, 1))


def _sites(
    stage: Stage, widths: Iterable[tuple[int, int]], size: Size, stride: Size
) -> Iterator[Site]:
    """`widths`: those that may come into a block, each with a width to choose, 0 where none is."""
    (choice,) = stage.choices
    names = [arg.name for arg in choice.chosen]
    settings = [
        tuple(zip(names, values, strict=True))
        for values in product(*(arg.values for arg in choice.chosen))
    ]
    for cin, width in widths:
        for chosen in settings:
            yield Site(choice, cin, stage.width(cin, width, chosen), size, stride, chosen)


@dataclass(frozen=True, slots=True)
class Largest:
    """The greatest sizes that the layers of one op have; `parts` of them in a stack. `image`: all
    of them read the image. `fan_in`: the channels that a filter reads. `kept`: the greatest width
    of a layer that adds its input to what it is trained as."""

    image: bool
    cin: int
    fan_in: int
    cout: int
    squeeze: int
    parts: int
    kernel: Size
    kept: int


def largest_sizes(stage: Stage, sites: Sequence[Site]) -> dict[int, Largest]:
    """The sizes of every op of a stage's body that runs in some of `sites`, by its position in the
    body. Raises `BindError` where one of them does not fit.

    Not every site need be bound. Which ops run, and how wide they are, depends on some of the
    settings only: one site for each of their values will do, and one that an op runs in will do to
    see what the other settings make of the op."""
    deciding = width_names(stage.choices[0])
    alike: dict[tuple[Value, ...], dict[tuple[int, int], list[Site]]] = {}
    for site in sites:
        said = tuple(v for name, v in site.settings if name in deciding)
        alike.setdefault(said, {}).setdefault((site.cin, site.cout), []).append(site)
    found: dict[int, list[int]] = {}
    elastic: set[int] = set()

    def see(layers: Iterable[Layer]) -> bool:
        """Is there an op that was not seen before?"""
        before = len(found)
        for layer in layers:
            own = layer.cin, layer.fan_in, layer.cout, layer.squeeze, layer.part + 1
            most = *map(greatest, (*own, *pair(layer.kernel))), _kept(layer)
            found[layer.op] = list(map(max, found.get(layer.op, most), most))
            if not isinstance(layer.cin, Image):
                elastic.add(layer.op)
        return len(found) > before

    for places in alike.values():
        for one, bound in _bound(stage, [first for first, *_ in places.values()]):
            if see(bound):
                for site in places[one.cin, one.cout][1:]:
                    see(_layers(stage, site))
    return {
        op: Largest(op not in elastic, cin, fan, cout, squeeze, parts, size_of(rows, columns), kept)
        for op, (cin, fan, cout, squeeze, parts, rows, columns, kept) in sorted(found.items())
    }


def _kept(layer: Layer) -> int:
    """The greatest width at which a layer adds its input to what it is trained as."""
    return greatest_same(layer.cin, layer.cout) if layer.reparam and layer.stride == 1 else 0


def _bound(stage: Stage, sites: Sequence[Site]) -> Iterator[tuple[Site, list[Layer]]]:
    """Layers that run in sites, and one of those in which they run; numbers in which they differ
    are lots. Raises `BindError`."""
    if any(isinstance(site.cin, Image) for site in sites):
        for site in sites:
            yield site, list(_layers(stage, site))
        return
    for places, found in together(sites, lambda site: list(_layers(stage, site))):
        yield sites[places[0]], found


def _layers(stage: Stage, site: Site) -> Iterator[Layer]:
    try:
        return layers(site.bind())
    except BindError as error:
        raise BindError(f"stage `{stage.name}`: {site}: {error}") from None


def width_names(choice: BlockChoice) -> frozenset[str]:
    """The settings that decide which ops run and how wide they are, and those that stand with one
    of them, or with a width, in some other size."""
    ops = tuple(walk(inlined(choice.block)))
    found = {op.param for op in ops if isinstance(op, Optional)} | {"cin", "cout"}
    convs = [op for op in ops if isinstance(op, Conv)]
    found.update(*(names_in(size) for op in convs for size in (op.width, op.groups)))
    found.update(*(names_in(op.groups) for op in ops if isinstance(op, Shuffle)))
    others = [set(names_in(size)) for size in op_sizes(ops)]
    while mixed := [names for names in others if names & found and not names <= found]:
        found.update(*mixed)
    return frozenset(found)


@dataclass(frozen=True)
class Body:
    """A stage's first block, or its others: every way to choose it, and the largest sizes of its
    weights by the position of their op in the body."""

    sites: list[Site]
    sizes: dict[int, Largest]


def bodies(stage: Stage, cins: Sequence[int], size: Size, out: Size) -> tuple[Body, Body | None]:
    """The first block of a stage whose input has one of `cins`, and the others; None where there is
    always one block. `size` and `out` are the largest maps before and after the stage: there the
    fewest sizes are equal by being 1. Raises `BindError`."""
    first, rest = first_sites(stage, cins, size), rest_sites(stage, cins, out)
    others = Body(rest, largest_sizes(stage, rest)) if stage.depths[-1] > 1 else None
    return Body(first, largest_sizes(stage, first)), others
