"""Does what a page describes keep a latency on a target? What CI asks; nothing is ever measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from spacedsl.diagnostics import Diagnostic, fault, place
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Page

if TYPE_CHECKING:
    from spacedsl.targets.device import Device


class Of(StrEnum):
    """Which network of a space has to keep the latency."""

    fastest = "fastest"
    largest = "largest"
    best = "best"


@dataclass(frozen=True, slots=True)
class Gate:
    """What is asked for: `most_ms` on the device of `target`, by which network of a space."""

    device: Device
    most_ms: float
    of: Of


@dataclass(frozen=True, slots=True)
class Checked:
    """An item's latency in ms (of a space, of its network `of`), how it is known, and whether it
    is short enough."""

    item: str
    target: str
    of: str
    latency_ms: float
    max_ms: float
    coverage: str
    ok: bool

    def to_json(self) -> dict[str, Any]:
        """Every field."""
        return asdict(self)


def open_gate(target: str, most: str, of: Of) -> Gate:
    """Raises `SpaceError`, also where the target would have to be profiled first."""
    from spacedsl import api
    from spacedsl.cli.limits import parse_limits
    from spacedsl.targets.device import open_device

    limits = parse_limits(most)
    if len(limits) != 1:
        raise fault("bad-limits", f"`{most}` is not one latency", "write a time, e.g. 15ms")
    return Gate(open_device(api.load_target(target)), limits[0], of)


def checked(page: Page, gate: Gate) -> Iterator[tuple[Checked, Diagnostic | None]]:
    """Every space and model of a page, and what is wrong with it. Raises `SpaceError` where the
    target does not cover it."""
    for name in page.names:
        item = page.get(name)
        if isinstance(item, Space | Subnet):
            found = _checked(item, name, gate)
            yield found, None if found.ok else _too_slow(found, page)


def _checked(item: Space | Subnet, name: str, gate: Gate) -> Checked:
    target = gate.device.target.name
    of = "model" if isinstance(item, Subnet) else gate.of.value
    ms, coverage = _latency(item, gate)
    return Checked(name, target, of, ms, gate.most_ms, coverage, ms <= gate.most_ms)


def _latency(item: Space | Subnet, gate: Gate) -> tuple[float, str]:
    from spacedsl.targets.latency import model_latency, not_covered, whole
    from spacedsl.targets.ranges import latency_range

    latency = gate.device.latency
    if isinstance(item, Subnet):
        return whole(model_latency(item, latency))
    found = latency_range(item, latency)
    if found.least_ms is None or found.greatest_ms is None:
        missing = [str(site) for site in found.missing]
        raise not_covered(item.name, missing, "profile the target, or choose another one")
    if gate.of is Of.best:
        return _latency(_best(item, gate, found.greatest_ms), gate)
    ms = found.least_ms if gate.of is Of.fastest else found.greatest_ms
    return ms, found.coverage.name.lower()


def _best(space: Space, gate: Gate, greatest_ms: float) -> Subnet:
    """The best subnet by the space's quality table."""
    from spacedsl.search.best.scorer import BestScorer
    from spacedsl.targets.open_scorer import Request, open_scorer

    request = Request(limits_ms=(greatest_ms,), definition="best")
    ((found,),) = BestScorer(open_scorer(space, gate.device.target, request)).top(space, 1)
    return found.subnet


def _too_slow(found: Checked, page: Page) -> Diagnostic:
    which = "" if found.of == "model" else f"'s {found.of} network"
    message = (
        f"`{found.item}`{which} takes {found.latency_ms:.4g} ms on {found.target}, "
        f"the most is {found.max_ms:g} ms"
    )
    where = place(page.source, page.items[found.item].span)
    return Diagnostic("too-slow", message, where, _help(found))


def _help(found: Checked) -> str:
    said = f"its latency is {found.coverage}"
    if found.of == "largest":
        return f"{said}; narrower widths or fewer blocks, or ask `--of fastest` or `--of best`"
    return f"{said}; narrower widths, fewer blocks or a lower resolution"
