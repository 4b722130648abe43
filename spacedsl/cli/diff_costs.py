"""What follows from two pages: sizes, costs, latencies on targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spacedsl import api
from spacedsl.figures import amount, count, counted
from spacedsl.ir.size import count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.library import SUFFIX, library
from spacedsl.passes.cost import subnet_cost

if TYPE_CHECKING:
    from spacedsl.targets.ranges import LatencyRange


@dataclass(frozen=True, slots=True)
class Effect:
    """One quantity of both sides: as text and as JSON. `note` stands behind the texts."""

    name: str
    text: tuple[str, str]
    json: tuple[Any, Any]
    note: str = ""
    target: str = ""

    @property
    def line(self) -> str:
        """`name  a  ->  b`, or once where they are equal."""
        a, b = self.text
        return f"{self.name:<8} {a if a == b else f'{a}  ->  {b}'}{self.note}"


Pair = tuple[Space, Space] | tuple[Subnet, Subnet]


def effects(pair: Pair, targets: tuple[str, ...]) -> Iterator[Effect]:
    """Effects of a pair; latencies on `targets`, else on the published targets for which the
    hyperspace of both was made (a hyperspace itself takes seconds and is left out)."""
    left, right = pair
    if isinstance(left, Space) and isinstance(right, Space):
        yield from _space_effects(left, right)
    elif isinstance(left, Subnet) and isinstance(right, Subnet):
        a, b = subnet_cost(left), subnet_cost(right)
        yield Effect("FLOPs", (amount(a.flops), amount(b.flops)), (a.flops, b.flops))
        yield Effect("params", (amount(a.params), amount(b.params)), (a.params, b.params))
    found = [api.load_target(name) for name in targets] or _published(pair)
    for target in dict.fromkeys(found):
        yield _latency(pair, target)


def _space_effects(left: Space, right: Space) -> Iterator[Effect]:
    from spacedsl.passes.extremes import cost_range

    counts = (count_subnets(left), count_subnets(right))
    yield Effect("subnets", (count(counts[0]), count(counts[1])), counts)
    mine, theirs = cost_range(left), cost_range(right)
    for name, a, b in (("FLOPs", mine.flops, theirs.flops), ("params", mine.params, theirs.params)):
        texts = [f"{amount(r.least)} to {amount(r.greatest)}" for r in (a, b)]
        json = [{"min": r.least, "max": r.greatest} for r in (a, b)]
        yield Effect(name, (texts[0], texts[1]), (json[0], json[1]))


def _published(pair: Pair) -> list[Target]:
    spaces = [item.of if isinstance(item, Subnet) else item for item in pair]
    if any(isinstance(item, Space) and item.kind == "hyperspace" for item in pair):
        return []
    made_for = {_outermost(space) for space in spaces}
    found: list[Target] = []
    for path in sorted((library() / "targets").glob(f"*{SUFFIX}")):
        target = api.load_target(str(path))
        if target.measured or not target.reference:
            continue
        if {_outermost(api.load_space(target.reference))} == made_for:
            found.append(target)
    return found


def _outermost(space: Space) -> Space:
    while space.of is not None:
        space = space.of
    return space


def _latency(pair: Pair, target: Target) -> Effect:
    from spacedsl.targets.device import open_device
    from spacedsl.targets.ranges import latency_range

    latency = open_device(target).latency
    a, b = (latency_range(item, latency) for item in pair)
    json = (a.to_json(), b.to_json())
    return Effect("latency", (_shown(a), _shown(b)), json, f"  on {target.name}", target.name)


def _shown(found: LatencyRange) -> str:
    if found.least_ms is None or found.greatest_ms is None:
        blocks = counted(len(found.missing), "block")
        return f"not covered ({blocks}, e.g. {found.missing[0]})"
    least, greatest = f"{found.least_ms:.4g}", f"{found.greatest_ms:.4g}"
    return f"{least} ms" if least == greatest else f"{least} to {greatest} ms"
