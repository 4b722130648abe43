"""Write docs/gallery.md: every page of the library with its figures, by `spacedsl show`.

python scripts/gallery.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from spacedsl.api import open_page
from spacedsl.cli.app import app
from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.tables import shipped
from spacedsl.lang.values import shown as shown_values
from spacedsl.tables.files import load_quality

ROOT = Path(__file__).resolve().parents[1]
SPACES = ROOT / "spaces"

TOP = """\
# Gallery: the pages of the library

Every page below comes with spacedsl and is known by its name, such as `spacedsl show vnni`. FLOPs
are multiply-accumulates of one image. Weights are those of the deployed network; `show` says also
how many are trained, where that is another number. Of a space, both are given from the smallest
network to the largest. [What quality tables know](#what-quality-tables-know) is at the end. This
page is written by `scripts/gallery.py`.
"""

TABLES = """\
## What quality tables know

A score needs to know how good blocks are. The tables that come with spacedsl know the elastic
stages of the hyperspace of the same name: the block types below, in the stages below, numbered from
the first elastic one. Between two widths and between two image sizes they interpolate; what lies
outside is an error that names it (`uncovered`). A block type is told by its ops, and not by its
name. Where your page has other blocks, more elastic stages or smaller images, no shipped table
knows them: make a table of your own, by
[distillation or from trained networks](howto/own-accuracies.md).
"""

FOLDERS = {
    "": "Spaces and hyperspaces",
    "models": "Models",
    "baselines": "Hand-made spaces and networks, for comparison",
    "benchmarks": "Spaces of public benchmarks",
}
"""Folder of spaces/ -> its heading. `std` and `targets` have no sizes."""

HEAD = "| name | kind | of | images | FLOPs | weights | networks |\n|---|---|---|---|---|---|---|"


def items(name: str) -> list[str]:
    """The spaces and models of a page, as `show` takes them."""
    page, _ = open_page(name)
    found = [n for n in page.names if isinstance(page.get(n), Space | Subnet)]
    return [name] if len(found) == 1 else [f"{name}#{item}" for item in found]


def shown(spec: str) -> dict[str, Any]:
    """What `show --format json` says."""
    said = CliRunner().invoke(app, ["show", spec, "--format", "json"])
    if said.exit_code:
        raise RuntimeError(said.output)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def size(number: int) -> str:
    """Three digits and a unit."""
    for least, unit in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if number >= least:
            return f"{number / least:.3g}{unit}"
    return str(number)


def extent(found: dict[str, int] | int) -> str:
    """One size, or from the least to the greatest."""
    if isinstance(found, int):
        return size(found)
    least, most = size(found["min"]), size(found["max"])
    return least if least == most else f"{least} to {most}"


def networks(count: int) -> str:
    """A number of networks in few digits."""
    if count < 10**6:
        return f"{count:,}"
    digits = len(str(count)) - 1
    return f"{count / 10**digits:.2g} x 10^{digits}"


def row(name: str, link: str, found: dict[str, Any]) -> str:
    """The line of a page."""
    images = found.get("resolutions") or [found["resolution"]]
    sides = f"{images[0]} to {images[-1]} px" if len(images) > 1 else f"{images[0]} px"
    cells = [f"[{name}]({link})", found["kind"], found.get("of") or "", sides]
    cells += [extent(found["flops"]), extent(found["weights"]), networks(found["subnets"])]
    return f"| {' | '.join(cells)} |"


def listed(values: tuple[Any, ...]) -> str:
    """Values from the least to the greatest, as a page says a range."""
    return str(values[0]) if len(values) == 1 else f"{values[0]}..{values[-1]}"


def known(name: str) -> str:
    """What a quality table knows, as lines: of every block type, and of every elastic stage."""
    hyper, table = open_page(name)[0].get(name), load_quality(name)
    assert isinstance(hyper, Space)
    stages = [hyper.stages[position] for position in hyper.elastic]

    def numbers(block: str) -> str:
        found = [
            str(number)
            for number, stage in enumerate(stages, start=1)
            for choice in stage.choices
            if choice.block.name == block and table.stage(number, choice) is not None
        ]
        return "all" if len(found) == len(stages) else ", ".join(found)

    blocks = {choice.block.name: choice for stage in stages for choice in stage.choices}
    lines = [f"### {name}", "", f"Images of {listed(table.resolutions)} px.", ""]
    lines += ["| block type | settings | elastic stages |", "|---|---|---|"]
    for block, choice in blocks.items():
        settings = "  ".join(f"{arg.name} {shown_values(arg.values)}" for arg in choice.args)
        lines.append(f"| {block} | `{settings}` | {numbers(block)} |")
    lines += ["", "| elastic stage | widths | depths | stride |", "|---|---|---|---|"]
    lines += [stage_row(number, stage) for number, stage in enumerate(stages, start=1)]
    return "\n".join([*lines, ""])


def stage_row(number: int, stage: Stage) -> str:
    """The line of an elastic stage."""
    return f"| {number} | {listed(stage.widths)} | {listed(stage.depths)} | {stage.stride} |"


def gallery() -> str:
    """The text of docs/gallery.md."""
    parts = [TOP]
    for folder, heading in FOLDERS.items():
        rows = [
            row(found["name"], f"../spaces/{page.relative_to(SPACES).as_posix()}", found)
            for page in sorted((SPACES / folder).glob("*.space"))
            for found in map(shown, items(str(page)))
        ]
        parts.append("\n".join([f"## {heading}", "", HEAD, *rows, ""]))
    parts += [TABLES, *map(known, shipped())]
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "gallery.md").write_text(gallery(), encoding="utf-8")
