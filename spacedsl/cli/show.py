"""spacedsl show: what a page says and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.facts import Bounds, ModelFacts, SpaceFacts, TapChoices, TapFacts
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.figures import amount, count, counted
from spacedsl.ir.identity import space_identity
from spacedsl.ir.item import Item
from spacedsl.ir.reparam import trains_other_weights
from spacedsl.ir.sampling import smallest
from spacedsl.ir.size import count_spaces, count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.codes import space_code, subnet_code
from spacedsl.lang.origin import origins
from spacedsl.lang.page import main_item
from spacedsl.lang.resolve import resolved_text
from spacedsl.lang.values import shown
from spacedsl.operators.size import from_json, size_of
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.cost import stage_costs, subnet_cost, trained_weights
from spacedsl.passes.memory import subnet_memory
from spacedsl.passes.network import subnet_identity
from spacedsl.passes.taps import tap_shapes, tapped

if TYPE_CHECKING:
    from spacedsl.ir.target import Target
    from spacedsl.report.parts import Report
    from spacedsl.targets.latency import StageLatency

SCALARS = "weights and three LSQ+ scalars per convolution"


def show(
    page: str = typer.Argument(..., help="A page, PAGE#ITEM, or a name of the library."),
    target: str | None = typer.Option(
        None, "--target", help="A model's latency on this target, a space's range."
    ),
    code: bool = typer.Option(
        False, "--code", help="Only its code: the method's authors', or its benchmark's."
    ),
    resolved: bool = typer.Option(
        False, "--resolved", help="Only the flat page: nothing used, nothing inherited."
    ),
    origin: bool = typer.Option(False, "--origin", help="Only where every value was written."),
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Show hash, FLOPs (multiply-accumulates), parameters and number of subnets."""
    check_html(html, [page])
    if html is not None and (origin or resolved or code):
        help = "leave out --origin, --resolved and --code"
        raise fault("bad-option", "--html shows a whole page, not one part of it", help)
    if origin:
        _show_origins(page, format)
        return
    item = api.load(page)
    if resolved:
        text = resolved_text(_network(item, page))
        print(text, end="") if format is Format.text else emit({"text": text})
        return
    if code:
        text = _code(item, page)
        print(text) if format is Format.text else emit({"code": text})
        return
    facts = _facts(item, page).model_dump(exclude_unset=True)
    network = _network(item, page)
    if taps := _taps(network):
        facts["taps"] = [tap.model_dump() for tap in taps]
    if trains_other_weights(network.of if isinstance(network, Subnet) else network):
        facts["trained"] = _trained(network)
    known = None if target is None else _latency(item, page, target)
    if known is not None:
        facts["latency"] = known.json
    if format is Format.json:
        emit(facts)
    else:
        _print(facts)
    write_html(html, lambda: _report(page, facts, known), quiet=format is Format.json)


def _network(item: Item, page: str) -> Space | Subnet:
    if isinstance(item, Space | Subnet):
        return item
    raise fault("wrong-kind", f"{page} is not a hyperspace, a space or a model")


def _show_origins(spec: str, format: Format) -> None:
    page, item = api.open_page(spec)
    found = origins(page, item or main_item(page))
    if format is Format.json:
        emit({"origins": [asdict(o) for o in found]})
        return
    stage = ""
    for said in found:
        if said.stage != stage:
            print(said.stage)
        stage = said.stage
        where = f"{said.place.file}:{said.place.line}:{said.place.column}"
        key = f"  {said.key}" if stage else said.key
        print(f"{key:<11} {_shortened(said.text):<36}  {where}")


def _shortened(text: str) -> str:
    return text if len(text) <= 36 else f"{text[:33]}..."


def _code(item: Item, page: str) -> str:
    if isinstance(item, Space):
        return space_code(item)
    if isinstance(item, Subnet):
        return _model_code(item)
    raise fault("wrong-kind", f"{page} is not a space or a model")


def _model_code(model: Subnet) -> str:
    """In its benchmark's notation, else in that of the method's authors."""
    from spacedsl.bridges.benchmarks import benchmark_code

    return benchmark_code(model) or subnet_code(model)


def _code_or_none(item: Space | Subnet) -> str | None:
    try:
        return space_code(item) if isinstance(item, Space) else _model_code(item)
    except SpaceError:
        return None


def _facts(item: Item, page: str) -> ModelFacts | SpaceFacts:
    if isinstance(item, Subnet):
        cost = subnet_cost(item)
        return ModelFacts(
            kind="model",
            name=item.name,
            of=item.of.name,
            hash=subnet_identity(item),
            channels=item.of.channels,
            resolution=item.resolution,
            flops=cost.flops,
            params=cost.params,
            weights=cost.weights,
            memory=subnet_memory(item),
            subnets=1,
            code=_code_or_none(item),
        )
    if isinstance(item, Space):
        from spacedsl.passes.extremes import cost_range

        ranges = cost_range(item)
        return SpaceFacts(
            kind=item.kind,
            name=item.name,
            of=item.of.name if item.of else None,
            hash=space_identity(item),
            channels=item.channels,
            resolutions=list(item.resolutions),
            flops=Bounds(min=ranges.flops.least, max=ranges.flops.greatest),
            params=Bounds(min=ranges.params.least, max=ranges.params.greatest),
            weights=Bounds(min=ranges.weights.least, max=ranges.weights.greatest),
            memory=Bounds(min=ranges.memory.least, max=ranges.memory.greatest),
            subnets=count_subnets(item),
            spaces=count_spaces(item),
            code=_code_or_none(item),
        )
    raise fault("wrong-kind", f"{page} is not a hyperspace, a space or a model")


def _trained(item: Space | Subnet) -> int | dict[str, int]:
    """The weights in training, branches included that become one convolution."""
    if isinstance(item, Subnet):
        blocks = (site.bind() for stage in subnet_sites(item) for site in stage)
        return sum(trained_weights(layer) for bound in blocks for layer in layers(bound))
    from spacedsl.passes.extremes import trained_range

    found = trained_range(item)
    return Bounds(min=found.least, max=found.greatest).model_dump()


def _taps(item: Space | Subnet) -> list[TapFacts] | list[TapChoices]:
    """The outputs of a page with taps; none of one with a head."""
    space = item.of if isinstance(item, Subnet) else item
    ends = tapped(space)
    stages = {
        name: [stage.name for stage in space.stages[: position + 1] if not stage.level][-1]
        for name, position in ends.items()
    }
    if isinstance(item, Subnet):
        shapes = tap_shapes(item).items()
        return [TapFacts(name=name, stage=stages[name], shape=shape) for name, shape in shapes]
    networks = [smallest(item, resolution) for resolution in item.resolutions]
    sizes = [tap_shapes(network) for network in networks] if item.taps else []
    return [
        TapChoices(
            name=name,
            stage=stages[name],
            channels=[item.pyramid] if item.pyramid else list(item.widths_after(position)),
            sizes=[size_of(*shapes[name][1:]) for shapes in sizes],
        )
        for name, position in ends.items()
    ]


@dataclass(frozen=True, slots=True)
class _Latency:
    """On a target: a model's in parts (a space has none), and as JSON."""

    target: Target
    parts: tuple[StageLatency, ...]
    json: dict[str, Any]


def _latency(item: Item, page: str, target: str) -> _Latency:
    """A model's latency in parts, a space's range. Nothing is measured for it."""
    from spacedsl.targets.device import open_device
    from spacedsl.targets.latency import latency_json, model_latency
    from spacedsl.targets.ranges import latency_range

    known = _network(item, page)
    found = api.load_target(target)
    latency = open_device(found).latency
    if isinstance(known, Subnet):
        parts = model_latency(known, latency)
        return _Latency(found, parts, latency_json(parts, found.name))
    json = {"target": found.name, **latency_range(known, latency).to_json()}
    return _Latency(found, (), json)


def _report(spec: str, facts: dict[str, Any], known: _Latency | None) -> Report:
    from spacedsl.report.show import Shown, show_report

    page, _ = api.open_page(spec)
    item = _network(api.load(spec), spec)
    shown = Shown(
        item,
        page.source.text,
        tuple(_said(facts)),
        stage_costs(item) if isinstance(item, Subnet) else (),
        known.parts if known else (),
        known.target.name if known else "",
    )
    return show_report(shown, made_by(*([known.target] if known else [])))


def _print(facts: dict[str, Any]) -> None:
    of = f" of {facts['of']}" if facts["of"] else ""
    print(f"{facts['kind']} {facts['name']}{of}")
    for name, said in _said(facts):
        print(f"  {name:<8} {said}")
    parts = facts.get("latency", {}).get("parts", ())
    longest = max((len(part["stage"]) for part in parts), default=0)
    for part in parts:
        stage = part["stage"].ljust(max(8, longest))
        print(f"    {stage} {part['ms']:8.3f} ms  {part['coverage']}")


NOTES = (
    ("FLOPs", "flops", "multiply-accumulates"),
    ("params", "params", SCALARS),
    ("weights", "weights", "of the deployed network"),
    ("trained", "trained", "weights that are trained"),
    ("memory", "memory", "bytes of activations in INT8"),
)


def _said(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every figure's name, and what is said of it."""
    model = facts["kind"] == "model"
    yield "hash", facts["hash"]
    sizes = [facts["resolution"]] if model else facts["resolutions"]
    yield "input", f"{facts['channels']} x {shown(tuple(map(from_json, sizes)))} px"
    for name, key, note in NOTES:
        if key in facts:
            yield name, f"{_amounts(facts[key])} ({note})"
    if not model:
        yield "subnets", count(facts["subnets"])
    if facts["kind"] == "hyperspace":
        yield "spaces", count(facts["spaces"])
    if facts["code"]:
        yield "code", facts["code"]
    for tap in facts.get("taps", ()):
        yield tap["name"], _tap_said(tap)
    if "latency" in facts:
        yield "latency", _latency_said(facts["latency"])


def _tap_said(tap: dict[str, Any]) -> str:
    if "shape" in tap:
        return f"{' x '.join(map(str, tap['shape']))} ({tap['stage']})"
    channels, sizes = shown(tuple(tap["channels"])), shown(tuple(map(from_json, tap["sizes"])))
    return f"{channels} channels of {sizes} px ({tap['stage']})"


def _amounts(value: int | dict[str, int]) -> str:
    if isinstance(value, dict):
        return f"{amount(value['min'])} to {amount(value['max'])}"
    return amount(value)


def _latency_said(latency: dict[str, Any]) -> str:
    target = latency["target"]
    if "total_ms" in latency:
        return f"{latency['total_ms']:.3f} ms on {target}"
    if latency["min_ms"] is None:
        blocks, missing = counted(latency["missing_count"], "block"), latency["missing"]
        return f"not covered on {target}: {blocks}, e.g. {missing[0]}"
    least, most = latency["min_ms"], latency["max_ms"]
    return f"{least:.4g} to {most:.4g} ms on {target} ({latency['coverage']})"
