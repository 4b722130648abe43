"""spacedsl compile: a page to plans (JSON)."""

from __future__ import annotations

from pathlib import Path

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.summary import command, say_next
from spacedsl.diagnostics import fault
from spacedsl.files import check_folder, write_atomic
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.json_files import sealed_text


def compile_page(
    page: str = typer.Argument(..., help="A page, PAGE#ITEM, or a name of the library."),
    out: Path = typer.Option(..., "--out", help="The folder for the plans."),
    target: str | None = typer.Option(
        None, "--target", help="The target to be trained for: which tensors are in 8 bits."
    ),
    format: Format = FORMAT,
) -> None:
    """Compile a page to its plans: a model to NAME.network.json, NAME.subnet.json and, with
    --target, NAME.int8.json; a space to NAME.supernet.json, for quantisation-aware training with
    --target; a hyperspace to one NAME.STAGE.BLOCK.bkd.json per elastic stage and block type, for
    LSQ+ with --target."""
    check_folder(out)
    item = api.load(page)
    device = api.load_target(target) if target else None
    if isinstance(item, Subnet):
        plans = model_plans(item, device)
    elif isinstance(item, Space):
        plans = space_plans(item, device)
    else:
        raise fault("wrong-kind", f"{page} is not a hyperspace, a space or a model")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in plans.items():
        write_atomic(out / name, sealed_text(text))
    written = [str(out / name) for name in plans]
    if format is Format.json:
        emit({"plans": written})
    else:
        print("\n".join(written))
        say_next(_then(page, item, target, device))


def _then(page: str, item: Space | Subnet, target: str | None, device: Target | None) -> str:
    """What makes of a page what its plans are for. `target`: how the device was named."""
    from spacedsl.runtimes.table import runtime_of

    named = ("--target", target) if target else ()
    if isinstance(item, Subnet):
        format = runtime_of(device).format if device else "onnx"
        return command("export", page, *named, "--out", f"{item.name}.{format}")
    if item.kind == "space" and item.taps:  # what trains them has a head of its own
        return command("sample", page, "--out", "models")
    if item.kind == "space":
        return command("train", page, "--data", "imagefolder:PHOTOS", "--out", "run")
    data = ("--data", "photos:PHOTOS", "--teacher", "lite0")
    return command("distill", "--hyper", page, *data, *named, "--out", "run")


def model_plans(model: Subnet, target: Target | None) -> dict[str, str]:
    """File name -> text of every plan of a model."""
    from spacedsl.compiler.plans import int8_plan, network_plan, plan_text
    from spacedsl.compiler.subnets import subnet_json
    from spacedsl.compiler.supernet_file import json_text
    from spacedsl.runtimes.table import rules_of

    network = network_plan(model)
    plans = {f"{model.name}.network.json": plan_text(network)}
    if all(len(stage.choices) == 1 for stage in model.of.stages):
        plans[f"{model.name}.subnet.json"] = json_text(subnet_json(model))
    if target is not None:
        plan = int8_plan(network, rules_of(target), target)
        plans[f"{model.name}.int8.json"] = plan_text(plan)
    return plans


def space_plans(space: Space, target: Target | None = None) -> dict[str, str]:
    """File name -> text: the supernet's plan, or the BKD plans of a hyperspace."""
    from spacedsl.compiler.supernet import bkd_plans, supernet_plan
    from spacedsl.compiler.supernet_file import json_text, plan_json

    if space.kind == "space":
        found = {f"{space.name}.supernet": supernet_plan(space, target)}
    else:
        found = {f"{p.name.replace(' ', '.')}.bkd": p for p in bkd_plans(space, target)}
    return {f"{name}.json": json_text(plan_json(plan)) for name, plan in found.items()}
