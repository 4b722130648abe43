"""spacedsl import: other notations as pages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.import_timm import TIMM, Network, import_network
from spacedsl.cli.summary import command, say_next
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import write_atomic
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.codes import hyperspace_of, is_model_code, space_from_code, subnet_from_code
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.lang.written import page_in
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.text import Source

if TYPE_CHECKING:
    from spacedsl.bridges.timm_network import Frame


class SeOf(StrEnum):
    """The width that SE's ratio is of."""

    expanded = "expanded"
    input = "input"


class From(StrEnum):
    """Notations."""

    code = "code"
    ofa = "ofa"
    attentivenas = "attentivenas"
    timm = "timm"
    json = "json"
    benchmark = "benchmark"


SE_NOTE = (
    "strings do not say what SE's ratio is of: taken of the expanded width, as in MobileNetV3; "
    "FBNetV3 and EfficientNet take it of the block's input: --se input"
)


def import_code(
    code: str = typer.Argument(
        ..., help="A code or a name, a setting as JSON, block strings, or a file with them."
    ),
    of: str | None = typer.Option(None, "--of", help="The space of a model (page or name)."),
    notation: From | None = typer.Option(None, "--from", help="What it is; else it is recognised."),
    name: str | None = typer.Option(
        None, "--name", help="Name of the item on the page (imported; timm: NAME)."
    ),
    at: int | None = typer.Option(None, "--at", min=1, max=4096, help="Resolution, if not said."),
    stem: int | None = typer.Option(None, "--stem", min=1, max=65536, help="timm: width (16)."),
    head: int | None = typer.Option(None, "--head", min=1, max=65536, help="timm: width (1280)."),
    act: str | None = typer.Option(None, "--act", help="timm: default activation (hswish)."),
    se: SeOf | None = typer.Option(
        None, "--se", help="timm: SE's ratio is of the `expanded` width (default) or the `input`'s."
    ),
    out: Path | None = typer.Option(None, "--out", help="Where to write the page."),
    weights: Path | None = typer.Option(
        None, "--weights", help="timm:NAME: its weights, a file of tensors (.safetensors, .pth)."
    ),
    pretrained: bool = typer.Option(
        False, "--pretrained", help="timm:NAME: weights that timm downloads."
    ),
    seed: int | None = typer.Option(
        None, "--seed", min=0, help="timm:NAME: of random weights, if neither is said (0)."
    ),
    format: Format = FORMAT,
) -> None:
    """Turn another notation into a page: a code of the method's authors (onnxw-151122-023231,
    d..._k..._w..._e..._r...), a name or setting of Once-for-All, a configuration of AttentiveNAS
    or AlphaNet (FILE.yml, FILE.yml#a0), timm's block strings, a model's JSON, or a code of
    Accel-NASBench (ie1k3d1-...) or NAS-Bench-Macro (00120212). `timm:NAME` is a network of timm
    with its weights, which go into a checkpoint beside the page."""
    if code.startswith(TIMM):
        others = {"--of": of, "--from": notation, "--stem": stem, "--head": head, "--act": act}
        _refuse(others | {"--se": se}, f"says nothing of {code[:60]}", "leave it out")
        network = Network(code.removeprefix(TIMM), weights, pretrained, seed, at, name)
        import_network(network, out, format)
        return
    only = {"--weights": weights, "--pretrained": pretrained or None, "--seed": seed}
    help = "write timm:NAME, e.g. timm:mobilenetv3_large_100"
    _refuse(only, "is for networks of timm with their weights", help)
    name = name or "imported"
    from spacedsl.bridges.read import given, recognised

    found = given(code)
    kind = notation.value if notation else recognised(found)
    frame = _frame(kind, at, stem, head, act, se)
    if kind == "code":
        text = found.source.text.strip()
        item = _of_code(text, of, name)
    else:
        from spacedsl.bridges.read import read

        space = api.load_space(of) if of else None
        item = read(found, kind, space, frame, name, at=at)
    folder = out.parent if out is not None else Path()
    page = _page(item, folder, of, _origin(code))
    names = _checked(Source(_origin(code), page), folder)
    if kind == "timm" and se is None and "_se" in found.source.text:
        print(f"note: {SE_NOTE}", file=sys.stderr)
    if out is not None:
        write_atomic(out, page)
    if format is Format.json:
        emit({"text": page})
    elif out is None:
        print(page, end="")
    else:
        print(f"{out}: {item.name}")
        where = out if len(names) == 1 else f"{out}#{item.name}"
        file = ("--out", f"{item.name}.onnx")
        say_next(
            command(*(("show", where) if isinstance(item, Space) else ("export", where, *file)))
        )


def _refuse(options: Mapping[str, object], why: str, help: str) -> None:
    """Raises `SpaceError` for the first of these options that is said."""
    for option, value in options.items():
        if value is not None:
            raise fault("bad-option", f"{option} {why}", help)


def _origin(code: str) -> str:
    shown = " ".join(code.split())
    return f"Imported from {shown if len(shown) <= 80 else shown[:77] + '...'}"


def _checked(source: Source, folder: Path) -> tuple[str, ...]:
    """The names of the page's items. Raises `SpaceError` with every error of the page: what is
    said may be no network."""
    page = Loader().parse(source, folder)
    for name in page.names:
        page.get(name)
    return page.names


def _page(item: Space | Subnet, folder: Path, of: str | None, comment: str) -> str:
    """A page that finds what it needs; a model of a space that no page has comes with it."""
    page = page_in(folder, item, of, comments=[comment])
    if isinstance(item, Space) or of is not None or _is_found(item):
        return page
    return write(item.of, item, comments=[comment])


def _is_found(model: Subnet) -> bool:
    try:
        return api.load_space(model.of.name) == model.of
    except SpaceError:
        return False


def _frame(
    kind: str,
    at: int | None,
    stem: int | None,
    head: int | None,
    act: str | None,
    se: SeOf | None,
) -> Frame:
    from spacedsl.bridges.timm_network import Frame

    if kind != "timm" and (stem, head, act, se) != (None, None, None, None):
        raise fault("bad-option", "--stem, --head, --act and --se are for block strings of timm")
    if act is not None and act not in ACTIVATIONS:
        raise fault("bad-option", f"--act {act[:40]}: not one of {', '.join(ACTIVATIONS)}")
    said = {"stem": stem, "head": head, "act": act, "se": se and se.value, "resolution": at}
    return Frame(**{key: value for key, value in said.items() if value is not None})  # type: ignore[arg-type]


def _of_code(code: str, of: str | None, name: str) -> Space | Subnet:
    if is_model_code(code):
        if of is None:
            help = "name it: --of spaces/vnni.space"
            raise fault("missing-option", "a model's code does not say its space", help)
        return subnet_from_code(code, api.load_space(of), name)
    named = hyperspace_of(code)
    hyper = api.load_space(of or named)
    if hyper.name != named:
        raise fault("bad-code", f"{code} is of {named}, not of {hyper.name}")
    return space_from_code(code, hyper, name)
