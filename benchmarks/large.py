"""A hyperspace as large as people write them, on made-up tables: how soon scores by the best
networks start, and what `optimum` comes to.

    python -m benchmarks.large [--stages 8] [--minutes 15] [--no-proof] [--seed 0]
    python -m benchmarks.large --write DIR     page, target and table for the commands

Eight elastic stages of 16 widths with windows of 3, ten block types, depths 2 to 4, three
resolutions. The table is of the form of a fitted one and holds every block: latencies follow from a
block's FLOPs and channels, losses from its width, settings and type, both with a made-up part that
depends on everything."""

from __future__ import annotations

import argparse
import json
import resource
import time
import zlib
from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any

from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.passes.costs import costs
from spacedsl.passes.extremes import cost_range
from spacedsl.search.best.optimum import best_optimum
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.compare import random_genotypes
from spacedsl.search.exact.executors import Processes
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.stream import Stream
from spacedsl.tables.blocks import KernelCache, family, reachable_sites
from spacedsl.tables.files import fitted_models, save_table
from spacedsl.tables.latency import block_unit
from spacedsl.tables.prior import feature_matrix
from spacedsl.tables.schema import (
    MS_PER_UNIT,
    LatencyData,
    PanelData,
    QualityData,
    StageLossData,
    TableFile,
)
from spacedsl.tables.schema import Source as Origin
from spacedsl.text import Source

RESOLUTIONS = (160, 192, 224)
LIMITS_MS = (20.0, 30.0, 40.0, 60.0, 80.0)
MS_PER_FEATURE = 0.004
"""What stem and head take per unit of a feature of the prior."""

ANY_SIZE = 1e9
"""The greatest value of a feature: stem and head are covered whatever their size."""

LINK = ((-6.0, 0.0, 2.0), (0.05, 1.0, 2.7))
"""Sums of terms, and the losses that they come to."""

Group = tuple[str, tuple[float, ...], Size, Size]
"""What a panel is of: block type, settings, stride and height in pixels."""

BLOCKS = """
    mbv1-dual { kernel 3, 5 }
    mbv2 { kernel 3, 5  expand 4, 6 }
    mbv3 { kernel 3, 5  expand 4, 6 }
    bottleneck { kernel 3, 5  expand 0.5, 1 }
    bottleneck-se { kernel 3, 5  expand 0.5, 1 }
    fused { kernel 3, 5  expand 1, 2 }
    fused-se { kernel 3, 5  expand 1, 2 }
    mbv3-k3 { kernel 5, 7  expand 4, 6 }
    mbv2-k3 { kernel 5, 7  expand 4, 6 }
    mbv2-plain { kernel 3, 5  expand 2, 3 }"""


def page(stages: int) -> str:
    """The hyperspace's text."""
    lines = [
        'language 1\nuse "std/blocks.space"\n\nhyperspace large {',
        "  input 3 x 160..224 step 32",
    ]
    lines += [f"  blocks {{{BLOCKS}\n  }}", "  stem { conv 3x3 relu strided  width 16  stride 2 }"]
    for i in range(1, stages + 1):
        stride = 2 if i % 2 else 1
        widths = f"{16 * i + 8}..{16 * i + 128} step 8"
        lines.append(
            f"  elastic stage{i} {{ width {widths}  window 3  depth 2..4  stride {stride} }}"
        )
    return "\n".join([*lines, "  head { conv 1x1 -> 1280 hswish  pool  linear -> 1000 }\n}\n"])


class Noise:
    """Numbers in 0..1, each of which depends on all that it is asked for, and on a seed."""

    def __init__(self, seed: int) -> None:
        self._start = zlib.crc32(str(seed).encode()) if seed else 0

    def __call__(self, *of: object) -> float:
        return zlib.crc32(repr(of).encode(), self._start) / 2**32


def made_up(hyper: Space, seed: int = 0) -> TableFile:
    """A table that holds every block of the hyperspace."""
    noise = Noise(seed)
    return TableFile(
        source=Origin(
            hyperspace=hyper.name,
            hyperspace_hash=space_identity(hyper),
            teacher="made-up",
            nsr="made-up",
            provenance="benchmarks/large.py",
            licence="MIT",
            rows=0,
        ),
        latency=_latencies(hyper, noise),
        quality=QualityData(resolutions=RESOLUTIONS, stages=tuple(_losses(hyper, noise))),
    )


def _latencies(hyper: Space, noise: Noise) -> LatencyData:
    """Of every block that a stage can have; stem and head follow from their sizes."""
    known: dict[Group, dict[tuple[int, int], Site]] = {}
    for site in reachable_sites(hyper, RESOLUTIONS):
        unit = block_unit(site)
        group = (unit.family, unit.settings, unit.stride, unit.size)
        known.setdefault(group, {})[unit.cin, unit.cout] = site
    ms = iter(_made_up_ms([s for sites in known.values() for s in sites.values()], noise))
    families = tuple(dict.fromkeys(family for family, *_ in known))
    pairs = tuple(dict.fromkeys(tuple(zip(*sites, strict=True)) for sites in known.values()))
    numbers = {pair: number for number, pair in enumerate(pairs)}
    panels = tuple(
        PanelData(
            family=families.index(family),
            settings=settings,
            stride=stride,
            size=size,
            pairs=numbers[tuple(zip(*sites, strict=True))],
            value=tuple(max(1, round(next(ms) / MS_PER_UNIT)) for _ in sites),
        )
        for (family, settings, stride, size), sites in known.items()
    )
    kernels = KernelCache()
    some = [site for space in _by_choice(hyper) for s in subnet_sites(largest(space)) for site in s]
    names, _ = feature_matrix([k for site in some for k in kernels.kernels(site)])
    return LatencyData(
        granularity="block",
        resolutions=RESOLUTIONS,
        coefficients=dict.fromkeys(names, MS_PER_FEATURE),
        limits=dict.fromkeys(names, ANY_SIZE),
        families=families,
        pairs=pairs,
        panels=panels,
    )


def _by_choice(hyper: Space) -> Iterator[Space]:
    """The hyperspace with each of its block types alone."""
    for i in range(max(len(stage.choices) for stage in hyper.stages)):
        stages = (
            s.model_copy(update={"choices": s.choices[i:][:1] or s.choices}) for s in hyper.stages
        )
        yield hyper.model_copy(update={"stages": tuple(stages)})


def _made_up_ms(sites: Sequence[Site], noise: Noise) -> Iterator[float]:
    for site, flops in zip(sites, costs(sites)[0].tolist(), strict=True):
        unit = block_unit(site)
        yield (flops * 2e-8 + 1e-3 * site.cin) * (0.8 + 0.4 * noise(*unit))


def _losses(hyper: Space, noise: Noise) -> Iterator[StageLossData]:
    """Of every stage and block type: deeper, wider and larger ones lose less."""
    cins = hyper.stages[hyper.elastic[0] - 1].widths
    for number, at in enumerate(hyper.elastic, 1):
        stage = hyper.stages[at]
        for choice in stage.choices:
            yield _stage_losses(number, stage, choice, cins, noise)
        cins = stage.widths


def _stage_losses(
    number: int, stage: Stage, choice: BlockChoice, cins: Sequence[int], noise: Noise
) -> StageLossData:
    found = family(choice)
    values = {arg.name: tuple(float(str(v)) for v in arg.values) for arg in choice.chosen}
    settings = tuple(values[name] for name in found.order)
    hats = [-0.03 * value for some in settings for value in some if len(some) > 1]
    counts = [len(some) for some in settings if len(some) > 1]
    crossed = 4 + 2 * sum(counts) + (sum(counts) ** 2 - sum(n * n for n in counts)) // 2
    at = (number, found.identity)
    level = 0.2 * noise(*at)
    return StageLossData(
        stage=number,
        block=found.identity,
        name=choice.block.name or "body",
        stride=stage.stride,
        depths=stage.depths,
        cin=(cins[0], cins[-1]),
        width=(stage.widths[0], stage.widths[-1]),
        settings=settings,
        cin_scale=_scale(cins),
        width_scale=_scale(stage.widths),
        level_a=tuple(
            tuple(level - 0.3 * depth - resolution / 300 for depth in stage.depths)
            for resolution in RESOLUTIONS
        ),
        level_b=((-0.05,) * len(stage.depths),) * len(RESOLUTIONS),
        shape=0.0,
        position=tuple(
            (
                0.1 * noise(*at, depth, position),
                *(hat + 0.02 * noise(*at, depth, position, i) for i, hat in enumerate(hats)),
                -0.25 / (1 + 0.1 * position),
                0.02,
                0.0,
                *(0.02 * noise(*at, depth, position, "x", i) - 0.01 for i in range(crossed)),
            )
            for depth in stage.depths
            for position in range(depth)
        ),
        size=((0.0,) * (4 + sum(counts)),) * len(RESOLUTIONS),
        knots=LINK,
        rows=0,
    )


def _scale(widths: Sequence[int]) -> tuple[float, float]:
    """Middle and half of the range of their logarithms, so that they go from -1 to 1."""
    low, high = log(widths[0]), log(widths[-1])
    return (low + high) / 2, (high - low) / 2 or 1.0


def hyperspace(stages: int) -> Space:
    """The page, read."""
    found = Loader().parse(Source("large.space", page(stages)), Path()).get("large")
    if not isinstance(found, Space):
        raise TypeError("a hyperspace")
    return found


def scorer_of(hyper: Space, seed: int = 0) -> ModelScorer:
    """Of the hyperspace, by its made-up table."""
    return ModelScorer(hyper, *fitted_models(made_up(hyper, seed)), LIMITS_MS, definition="best")


def written(stages: int, folder: Path, seed: int) -> None:
    """What the commands take: a page, a target and a table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "large.space").write_text(page(stages))
    limits = ", ".join(f"{ms:g}ms" for ms in LIMITS_MS)
    target = (
        'target handset {\n  device "made up, ONNX Runtime"\n  latency "table.json"\n'
        f"  limits {limits}\n}}\n"
    )
    (folder / "handset.space").write_text(f"language 1\n\n{target}")
    save_table(made_up(hyperspace(stages), seed), folder / "table.json")


def measured(stages: int, minutes: float, proof: bool, seed: int) -> dict[str, Any]:
    """Seconds of processor time (of the proof: of wall time), and memory in MB."""
    began = time.process_time()
    loaded = hyperspace(stages)
    result: dict[str, Any] = {"page read, s": time.process_time() - began}
    began = time.process_time()
    cost_range(loaded)
    result["costs of the page (show), s"] = time.process_time() - began
    inner = scorer_of(loaded, seed)
    began = time.process_time()
    scorer = BestScorer(inner)
    scorer.require(loaded)
    result["coverage looked at, s"] = time.process_time() - began
    genome = scorer.engine.line.genome
    result["spaces"] = genome.size
    drawn = random_genotypes(genome, 16, Stream(0))
    list(scorer.limits(genome, drawn[:1]))
    result["first score, s"] = time.process_time() - began
    list(scorer.limits(genome, drawn))
    result["16 scores, s"] = time.process_time() - began
    result["peak MB so far"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if proof:
        began = time.perf_counter()
        found = best_optimum(scorer, Processes(2), seconds=60 * minutes)
        result["optimum, s"] = time.perf_counter() - began
        result["score"], result["bound"] = found.result.score, found.bound
        result["complete"], result["scored"] = found.complete, found.enumerated
        result["space"] = write(found.space)
    result["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def main() -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--no-proof", action="store_true")
    parser.add_argument("--seed", type=int, default=0, help="Of the made-up table.")
    parser.add_argument("--write", type=Path, help="Only write page, target and table there.")
    args = parser.parse_args()
    if args.write:
        written(args.stages, args.write, args.seed)
        return
    print(json.dumps(measured(args.stages, args.minutes, not args.no_proof, args.seed), indent=2))


if __name__ == "__main__":
    main()
