"""FLOPs and parameters against the published tables and models."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from spacedsl.ir.space import BlockChoice
from spacedsl.operators.size import as_number
from spacedsl.passes.bind import Site
from spacedsl.passes.cost import Cost, site_cost, subnet_cost
from tests.support import LUT, library_model, library_space, needs_shared

EVERY = 8
"""One row of so many is read, so that the test stays quick; `tables verify` reads them all."""

FLOPS_M = {
    "vnni": (163.5, 358.2, 638.3, 981.5, 1383.1),
    "pixel4": (112.9, 274.0, 398.9, 591.2, 738.1),
}


@cache
def cost_of(
    choice: BlockChoice, cin: int, cout: int, size: int, stride: int, values: tuple[str, ...]
) -> Cost:
    """Cost of one block; `values` are kernel and expand as a table writes them."""
    said = dict(zip(("kernel", "expand"), values, strict=True))
    settings = tuple(
        (arg.name, next(v for v in arg.values if as_number(v) == float(said[arg.name])))
        for arg in choice.chosen
    )
    return site_cost(Site(choice, cin, cout, size, stride, settings))


def rows(path: Path) -> Iterator[tuple[list[list[str]], int, int, float, float]]:
    """Blocks (kernel, width, expand), input channels and height, FLOPs (M), parameters (M)."""
    for line in path.read_text(encoding="ascii").splitlines()[::EVERY]:
        blocks, shape, _, flops, params, _ = line.split(",")
        _, cin, height, _ = shape.split("x")
        stage = [block.split("#") for block in blocks.split("_")]
        yield stage, int(cin), int(height), float(flops), float(params)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("name", ["mobilew", "onnxw"])
def test_published_rows(name: str) -> None:
    space = library_space(name)
    files = sorted((LUT / name).glob("stage*.csv"))
    assert files
    seen = 0
    for path in files:
        number, block, _ = map(int, path.stem.removeprefix("stage").split("_"))
        stage = space.stages[space.elastic[number - 1]]
        for blocks, cin, height, flops, params in rows(path):
            total, channels, size = Cost(), cin, height
            for i, (kernel, width, expand) in enumerate(blocks):
                stride = stage.stride if i == 0 else 1
                values = (kernel, expand)
                total += cost_of(stage.choices[block], channels, int(width), size, stride, values)
                channels, size = int(width), -(-size // int(as_number(stride)))
            assert total.flops / 1e6 == pytest.approx(flops, rel=2e-5), path.name
            assert total.params / 1e6 == pytest.approx(params, abs=1e-4), path.name
            seen += 1
    assert seen > 100_000 / EVERY


@pytest.mark.parametrize(
    ("name", "flops_m"),
    [
        (f"seqnet-{device}-a{i}", flops)
        for device, found in FLOPS_M.items()
        for i, flops in enumerate(found)
    ],
)
def test_published_models(name: str, flops_m: float) -> None:
    assert round(subnet_cost(library_model(f"models/{name}")).flops / 1e6, 1) == flops_m
