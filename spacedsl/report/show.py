"""What a page says, as a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from spacedsl.figures import counted
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import as_map
from spacedsl.passes.cost import Cost
from spacedsl.report.legend import Entry
from spacedsl.report.parts import Code, Element, Facts, Figure, Made, Report, Section, Table
from spacedsl.report.ribbon import Ribbon, Run, palette, runs
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis
from spacedsl.targets.latency import StageLatency


@dataclass(frozen=True, slots=True)
class Shown:
    """A space or a model, its page's text, and what follows from it. `facts`: names and figures.
    Of a model `costs` are by stage, and on a target `latency` too."""

    item: Space | Subnet
    text: str
    facts: tuple[tuple[str, str], ...]
    costs: tuple[Cost, ...] = ()
    latency: tuple[StageLatency, ...] = ()
    target: str = ""


def show_report(shown: Shown, made: Made) -> Report:
    """A ribbon, the figures, where a model's costs arise, and the page."""
    item = shown.item
    kind = "model" if isinstance(item, Subnet) else item.kind
    return Report(
        kind,
        item.name,
        _lead(item),
        (
            Section("Stages", (ribbon_of(item),)),
            Section("Figures", (Facts(shown.facts),)),
            Section("Where its costs arise", tuple(_costs(shown))),
            Section("The page", (Code("The page", shown.text),)),
        ),
        made,
    )


def _lead(item: Space | Subnet) -> str:
    if isinstance(item, Subnet):
        return (
            f"A network of {item.of.name} with {counted(item.blocks, 'block')}, for images of "
            f"{as_map(item.resolution)} pixels."
        )
    of = f" of {item.of.name}" if item.of else ""
    networks = counted(count_subnets(item), "network")
    return f"A {item.kind}{of}: {networks}, {counted(len(item.elastic), 'elastic stage')}."


SEEN_SPACE = (
    "Every box is a block that a network may have in a stage. The axis says how many channels it "
    "has: the full part is the least number, the faint part what may come on top."
)
SEEN_MODEL = "Every box is a block. The axis says how many channels it has."


def ribbon_of(item: Space | Subnet, title: str = "Stages") -> Figure:
    """A space's or a model's stages."""
    found = runs(item)
    model = isinstance(item, Subnet)
    caption = SEEN_MODEL if model else SEEN_SPACE
    several = any(len(run.blocks) > 1 for run in found)
    more = " Stripes of colour are block types, of which a space takes one." if several else ""
    return Figure(title, seen_stages(found), Ribbon(found, palette(item)), caption + more)


def seen_stages(found: Sequence[Run]) -> str:
    """What a ribbon shows, in words."""
    return "; ".join(
        f"{run.name}: {' or '.join(run.blocks)}, up to {len(run.cells)} blocks of up to "
        f"{max(run.widths)} channels"
        for run in found
    )


def _costs(shown: Shown) -> list[Element]:
    """Shares of a model's costs by stage, as a picture and as a table."""
    item = shown.item
    if not isinstance(item, Subnet) or not shown.costs:
        return []
    names = [stage.name for stage in item.of.stages]
    shares: list[tuple[str, str, Sequence[float]]] = [
        ("FLOPs", "M", [cost.flops / 1e6 for cost in shown.costs]),
        ("weights", "K", [cost.weights / 1e3 for cost in shown.costs]),
    ]
    if shown.latency:
        on = f"latency on {shown.target}"
        shares.append((on, " ms", [part.ms for part in shown.latency]))
    wholes = [fsum(values) or 1.0 for _, _, values in shares]
    rows = tuple(
        Row(
            name,
            tuple(
                Mark(
                    100 * values[i] / whole,
                    colour,
                    f"{name}: {values[i]:,.4g}{unit} of {what}, {values[i] / whole:.1%}",
                )
                for colour, ((what, unit, values), whole) in enumerate(
                    zip(shares, wholes, strict=True)
                )
            ),
        )
        for i, name in enumerate(names)
    )
    entries = tuple(Entry(what, i, "patch") for i, (what, _, _) in enumerate(shares))
    axis = Axis("% of the whole network", from_zero=True)
    heads = ("stage", *(f"{what}{f', {unit.strip()}' if unit else ''}" for what, unit, _ in shares))
    cells = tuple(
        (name, *(f"{values[i]:,.4g}" for _, _, values in shares)) for i, name in enumerate(names)
    )
    if shown.latency:
        known = (part.coverage.name.lower() for part in shown.latency)
        heads = (*heads, "known from")
        cells = tuple((*row, word) for row, word in zip(cells, known, strict=True))
    seen = "Bars: the share of each stage in the network's costs. The table below has the numbers."
    return [
        Figure("Shares by stage", seen, Rows(axis, rows, entries, look="bars")),
        Table("By stage", heads, cells, folded=True),
    ]
