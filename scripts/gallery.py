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
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet

ROOT = Path(__file__).resolve().parents[1]
SPACES = ROOT / "spaces"

TOP = """\
# Gallery: the pages of the library

Every page below comes with spacedsl and is known by its name, such as `spacedsl show vnni`. FLOPs
are multiply-accumulates of one image. Weights are those of the deployed network. Of a space, both
are given from the smallest network to the largest. This page is written by `scripts/gallery.py`.
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
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "gallery.md").write_text(gallery(), encoding="utf-8")
