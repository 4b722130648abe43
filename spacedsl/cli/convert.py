"""spacedsl convert: a model in another notation."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.summary import command, say_next
from spacedsl.diagnostics import fault
from spacedsl.files import write_atomic
from spacedsl.ir.subnet import Subnet


class Notation(StrEnum):
    """What a model can be written as."""

    json = "json"
    timm = "timm"


def convert(
    model: str = typer.Argument(..., help="A model: a page, PAGE#ITEM, or a library name."),
    to: Notation = typer.Option(..., "--to", help="The notation: timm or json."),
    out: Path | None = typer.Option(None, "--out", help="The file to write."),
    format: Format = FORMAT,
) -> None:
    """Write a model in another notation: json (the network, its space and its hash, read back by
    `import`) or timm (an arch definition of block strings; stem, head and resolution stand
    outside of it)."""
    from spacedsl.bridges.model_json import model_text
    from spacedsl.bridges.timm_write import read_network, stacks_text, string

    subnet = api.load(model)
    if not isinstance(subnet, Subnet):
        help = "`spacedsl sample` draws models of a space"
        raise fault("wrong-kind", f"{model} is not a model", help)
    facts: dict[str, object] = {}
    if to is Notation.json:
        text = model_text(subnet)
    else:
        found = read_network(subnet)
        text = stacks_text(found)
        facts = {
            "arch_def": [[string(said, found.act) for said in stack] for stack in found.stacks],
            "stem": found.stem,
            "act": found.act,
            "resolution": found.resolution,
        }
    if out is not None:
        write_atomic(out, text)
    if format is Format.json:
        emit({"text": text, **facts})
    elif out is None:
        print(text, end="")
    else:
        print(f"{out}: {subnet.name} as {to}")
        page = f"{subnet.name}.space"
        say_next(command("import", out, "--name", subnet.name, "--out", page))
