"""Synthetic table directories of the tiny hyperspace, in the published format."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from spacedsl.ir.space import Space
from spacedsl.operators.size import Size, area, as_number, by_side
from spacedsl.operators.window import strided
from spacedsl.passes.bind import Site
from spacedsl.passes.bound import layers
from spacedsl.passes.cost import Cost, site_cost
from spacedsl.passes.kernels import Kernel, kernels
from spacedsl.passes.stage_sizes import stage_sizes

Milliseconds = Callable[[Site], float]


def kernel_ms(kernel: Kernel) -> float:
    """A made-up device on which kernels add up."""
    macs = area(kernel.out_size) * kernel.cin * kernel.cout * area(kernel.kernel)
    return 0.01 + macs * 1e-6 * (1.0 + 0.05 * (hash_of(kernel) % 7)) + kernel.cin * 1e-4


def additive_ms(site: Site) -> float:
    """Latency of a block on that device."""
    return sum(kernel_ms(kernel) for kernel in kernels(layers(site.bind())))


def blockwise_ms(site: Site) -> float:
    """Latency on a device where every block has a quirk of its own."""
    quirk = hash_of((site.choice.block.name, site.cin, site.cout, site.size, site.settings))
    return additive_ms(site) * (0.8 + 0.4 * (quirk % 97) / 97)


def hash_of(value: object) -> int:
    return random.Random(repr(value)).randrange(1 << 30)


def loss_of(sites: list[Site]) -> float:
    """A loss that falls with width and kernel, saturating."""
    total = sum(site.cout * (1 + 0.1 * as_number(dict(site.settings)["kernel"])) for site in sites)
    return 0.1 + 0.8 / (1 + total / 100)


def write_tables(folder: Path, space: Space, block_ms: Milliseconds, rows: int) -> None:
    """`rows` random sub-stages for each (stage, block type, window) of `space`."""
    rng = random.Random(0)
    sizes = {r: stage_sizes(space, r) for r in space.resolutions}
    for number, position in enumerate(space.elastic, 1):
        stage, before = space.stages[position], space.stages[position - 1].widths
        for block, choice in enumerate(stage.choices):
            for window, widths in enumerate(stage.windows):
                lines: list[str] = []
                for _ in range(rows):
                    cin, size = rng.choice(before), sizes[rng.choice(space.resolutions)][position]
                    start, sites, stride = (cin, size), [], stage.stride
                    for _ in range(rng.choice(stage.depths)):
                        settings = tuple((a.name, rng.choice(a.values)) for a in choice.chosen)
                        site = Site(choice, cin, rng.choice(widths), size, stride, settings)
                        sites.append(site)
                        cin, size, stride = site.cout, by_side(strided, size, stride), 1
                    lines.append(_line(start, sites, block_ms))
                path = folder / f"stage{number}_{block}_{window}.csv"
                path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _line(start: tuple[int, Size], sites: list[Site], block_ms: Milliseconds) -> str:
    blocks = "_".join(
        f"{dict(s.settings)['kernel']}#{s.cout}#{dict(s.settings)['expand']}" for s in sites
    )
    cost = sum((site_cost(site) for site in sites), Cost())
    latency = sum(block_ms(site) for site in sites)
    shape = f"1x{start[0]}x{start[1]}x{start[1]}"
    numbers = (loss_of(sites), cost.flops / 1e6, cost.params / 1e6, latency)
    return ",".join([blocks, shape, *(f"{value:.8f}" for value in numbers)])
