"""spacedsl show: what a page says and what follows from it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.facts import Bounds, ModelFacts, SpaceFacts
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.figures import amount, count
from spacedsl.ir.identity import space_identity
from spacedsl.ir.item import Item
from spacedsl.ir.size import count_spaces, count_subnets
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.codes import space_code, subnet_code
from spacedsl.lang.origin import origins
from spacedsl.lang.page import main_item
from spacedsl.lang.resolve import resolved_text
from spacedsl.lang.values import shown
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.memory import subnet_memory
from spacedsl.passes.network import subnet_identity

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
    format: Format = FORMAT,
) -> None:
    """Show hash, FLOPs (multiply-accumulates), parameters and number of subnets."""
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
    if target is not None:
        facts["latency"] = _latency(item, page, target)
    if format is Format.json:
        emit(facts)
    else:
        _print(facts)


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
        print(f"{key:<12} {_shortened(said.text):<48}  {where}")


def _shortened(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:45]}..."


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


def _latency(item: Item, page: str, target: str) -> dict[str, Any]:
    """A model's latency in parts, a space's range."""
    from spacedsl.cli.device import ready_target
    from spacedsl.targets.device import open_device
    from spacedsl.targets.latency import latency_json, model_latency
    from spacedsl.targets.ranges import latency_range

    known = _network(item, page)
    space = known.of if isinstance(known, Subnet) else known
    found = ready_target(target, space)
    latency = open_device(found).latency
    if isinstance(known, Subnet):
        return latency_json(model_latency(known, latency), found.name)
    return {"target": found.name, **latency_range(known, latency).to_json()}


def _print(facts: dict[str, Any]) -> None:
    of = f" of {facts['of']}" if facts["of"] else ""
    print(f"{facts['kind']} {facts['name']}{of}")
    print(f"  hash     {facts['hash']}")
    if facts["kind"] == "model":
        print(f"  input    {facts['resolution']} px")
        print(f"  FLOPs    {amount(facts['flops'])} (multiply-accumulates)")
        print(f"  params   {amount(facts['params'])} ({SCALARS})")
        print(f"  weights  {amount(facts['weights'])} (of the deployed network)")
        print(f"  memory   {amount(facts['memory'])} (bytes of activations in INT8)")
    else:
        print(f"  input    {shown(tuple(facts['resolutions']))} px")
        for name, key, note in (
            ("FLOPs", "flops", " (multiply-accumulates)"),
            ("params", "params", f" ({SCALARS})"),
            ("weights", "weights", " (of the deployed network)"),
            ("memory", "memory", " (bytes of activations in INT8)"),
        ):
            print(f"  {name:<8} {amount(facts[key]['min'])} to {amount(facts[key]['max'])}{note}")
        print(f"  subnets  {count(facts['subnets'])}")
    if facts["kind"] == "hyperspace":
        print(f"  spaces   {count(facts['spaces'])}")
    if facts["code"]:
        print(f"  code     {facts['code']}")
    if "latency" in facts:
        _print_latency(facts["latency"])


def _print_latency(latency: dict[str, Any]) -> None:
    if "total_ms" not in latency:
        _print_range(latency)
        return
    print(f"  latency  {latency['total_ms']:.3f} ms on {latency['target']}")
    for part in latency["parts"]:
        print(f"    {part['stage']:<8} {part['ms']:8.3f} ms  {part['coverage']}")


def _print_range(latency: dict[str, Any]) -> None:
    if latency["min_ms"] is None:
        count, missing = latency["missing_count"], latency["missing"]
        print(f"  latency  not covered on {latency['target']}: {count} blocks, e.g. {missing[0]}")
        return
    print(
        f"  latency  {latency['min_ms']:.4g} to {latency['max_ms']:.4g} ms on {latency['target']} "
        f"({latency['coverage']})"
    )
