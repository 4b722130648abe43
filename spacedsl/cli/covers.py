"""spacedsl covers: is every subnet of B one of A."""

from __future__ import annotations

import typer

from spacedsl import api
from spacedsl.cli.boundary import DIFFERS, FORMAT, Format, emit
from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import fault
from spacedsl.ir.covers import mismatch, subnet_mismatch
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write


def covers(
    a: str = typer.Argument(..., help="A hyperspace or a space."),
    b: str = typer.Argument(..., help="A hyperspace, a space or a model."),
    format: Format = FORMAT,
) -> None:
    """Is every subnet of B one of A? Exit 1 if not, with a model that is not."""
    outer, inner = api.load_space(a), api.load(b)
    if isinstance(inner, Subnet):
        found = subnet_mismatch(outer, inner)
    elif isinstance(inner, Space):
        found = mismatch(outer, inner)
    else:
        raise fault("wrong-kind", f"{b} is not a hyperspace, a space or a model")
    witness = write(found.witness) if found else None
    if format is Format.json:
        detail = {"stage": found.stage, "key": found.key, "reason": found.reason} if found else {}
        emit({"covers": found is None, **detail, "witness": witness})
    elif found is None:
        print(f"{a} covers {b}")
    else:
        where = f"{found.stage}: " if found.stage else ""
        print(wrapped(f"{a} does not cover {b}: {where}{found.reason}; for example"))
        print(f"\n{witness}", end="")
    if found is not None:
        raise typer.Exit(DIFFERS)
