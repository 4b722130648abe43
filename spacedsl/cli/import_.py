"""spacedsl import: the method authors' codes as pages."""

from __future__ import annotations

from pathlib import Path

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.pages import page_in
from spacedsl.diagnostics import fault
from spacedsl.files import write_atomic
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.codes import (
    hyperspace_of,
    is_model_code,
    is_space_code,
    space_from_code,
    subnet_from_code,
)


def import_code(
    code: str = typer.Argument(..., help="e.g. onnxw-151122-023231, or d..._k..._w..._e..._r..."),
    of: str | None = typer.Option(None, "--of", help="The space of a model's code (page or name)."),
    name: str = typer.Option("imported", "--name", help="Name of the item on the page."),
    out: Path | None = typer.Option(None, "--out", help="Where to write the page."),
    format: Format = FORMAT,
) -> None:
    """Turn a code of the method's authors into a page."""
    folder = out.parent if out is not None else Path()
    text = page_in(folder, _item(code, of, name), of, comments=[f"Imported from {code}"])
    if out is not None:
        write_atomic(out, text)
    if format is Format.json:
        emit({"text": text})
    elif out is None:
        print(text, end="")


def _item(code: str, of: str | None, name: str) -> Space | Subnet:
    if is_model_code(code):
        if of is None:
            help = "name it: --of spaces/vnni.space"
            raise fault("missing-option", "a model's code does not say its space", help)
        return subnet_from_code(code, api.load_space(of), name)
    if not is_space_code(code):
        help = "e.g. onnxw-151122-023231, or d1#1_k3#3_w16#16_e0#1_r160"
        raise fault("bad-code", f"{code[:80]} is neither a space's code nor a model's", help)
    named = hyperspace_of(code)
    hyper = api.load_space(of or named)
    if hyper.name != named:
        raise fault("bad-code", f"{code} is of {named}, not of {hyper.name}")
    return space_from_code(code, hyper, name)
