"""spacedsl sample: random models of a space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.summary import command, say_next
from spacedsl.figures import counted
from spacedsl.files import check_folder, write_atomic
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.items import LANGUAGE
from spacedsl.lang.write import write
from spacedsl.lang.written import page_in
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity


def _page(models: Sequence[Subnet]) -> str:
    """One page of many models, each laid out on its own: it may be longer than one that is read."""
    head, *rest = map(write, models)
    return head + "".join(text.removeprefix(f"language {LANGUAGE}\n") for text in rest)


def sample(
    space: str = typer.Argument(..., help="A space or a hyperspace."),
    count: int = typer.Option(1, "-n", "--count", min=1, max=100_000, help="How many models."),
    seed: int = typer.Option(0, "--seed", min=0, help="Same seed, same models."),
    out: Path | None = typer.Option(None, "--out", help="A folder for one page per model."),
    format: Format = FORMAT,
) -> None:
    """Write random models of a space: one page on standard output, or a page each in --out."""
    found = api.load_space(space)
    if out is not None:
        check_folder(out)
    models = api.sample(found, count, seed)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for model in models:
            write_atomic(out / f"{model.name}.space", page_in(out, model, space))
    if format is Format.json:
        entries = [
            {
                "name": m.name,
                "hash": subnet_identity(m),
                "flops": subnet_cost(m).flops,
                "params": subnet_cost(m).params,
                "text": write(m),
            }
            for m in models
        ]
        emit({"models": entries})
    elif out is None:
        print(_page(models), end="")
    else:
        print(f"{counted(len(models), 'model')} in {out}")
        first = out / f"{models[0].name}.space"
        say_next(command("export", first, "--out", first.with_suffix(".onnx")))
