"""A hyperspace as large as people write them, on made-up tables: how soon scores by the best
networks start, and what `optimum` comes to.

    python -m benchmarks.large [--stages 8] [--minutes 15] [--no-proof]

Eight elastic stages of 16 widths with windows of 3, ten block types, depths 2 to 4, three
resolutions. Latencies follow from a block's FLOPs and channels, losses from its width, settings and
type, both with a made-up part that depends on everything."""

from __future__ import annotations

import argparse
import json
import resource
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spacedsl.ir.identity import choice_identity
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.lang.page import Loader
from spacedsl.operators.size import Pair, as_number
from spacedsl.passes.bind import Site
from spacedsl.passes.costs import costs
from spacedsl.passes.extremes import cost_range
from spacedsl.search.best.optimum import best_optimum
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.compare import random_genotypes
from spacedsl.search.exact.executors import Processes
from spacedsl.search.protocols import Coverage, Floats, Ints, Prediction, StageLoss, Valuation
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.stream import Stream
from spacedsl.search.valuation import InverseLoss
from spacedsl.text import Source

RESOLUTIONS = (160, 192, 224)
LIMITS_MS = (20.0, 30.0, 40.0, 60.0, 80.0)
FIRST = 60.0
"""Seconds within which a search should have its first scores."""

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


def noise(*of: object) -> float:
    """A number in 0..1 that depends on all of `of`."""
    return zlib.crc32(repr(of).encode()) / 2**32


@dataclass
class Latency:
    """Made-up latencies of blocks."""

    resolutions: tuple[int, ...] = RESOLUTIONS
    identity: str = "made-up"
    fastest_ms: float = 0.0

    def predict(self, sites: Sequence[Site]) -> Prediction:
        """As `LatencyModel.predict`."""
        flops = costs(sites)[0] if sites else np.empty(0)
        cin = np.array([site.cin for site in sites])
        parts = np.array([noise(str(site)) for site in sites])
        ms = (flops * 2e-8 + 1e-3 * cin) * (0.8 + 0.4 * parts)
        return Prediction(ms, np.full(len(sites), Coverage.MEASURED, dtype=np.uint8))


@dataclass
class Loss:
    """Made-up losses of a stage and block type."""

    number: int
    name: str
    offset_uncertainty: float = 0.0

    def base(self, resolution: float | Pair, depth: int, cin: Ints) -> Floats:
        """As `StageLoss.base`."""
        level = noise(self.name, self.number)
        return np.asarray(
            0.2 * level - 0.3 * depth - as_number(resolution) / 300 - cin / 800, dtype=float
        )

    def terms(
        self,
        resolution: float | Pair,
        depth: int,
        position: int,
        cin: Ints,
        width: Ints,
        settings: Mapping[str, Floats],
    ) -> Floats:
        """As `StageLoss.terms`."""
        total = -width / (200 + 20 * position) + 0.0005 * cin
        for values in settings.values():
            total = total - 0.03 * values
        return np.asarray(total + 0.1 * noise(self.name, position, depth), dtype=float)

    def link(self, total: Floats) -> Floats:
        """As `StageLoss.link`."""
        return np.asarray(np.exp(0.5 * total), dtype=float)


@dataclass(frozen=True)
class Quality:
    """Made-up losses of all block types."""

    resolutions: tuple[int, ...] = RESOLUTIONS
    identity: str = "made-up"
    valuation: Valuation = field(default_factory=InverseLoss)

    def refits(self) -> tuple[Quality, ...]:
        """As `QualityModel.refits`: none."""
        return ()

    def stage(self, number: int, choice: BlockChoice) -> StageLoss | None:
        """As `QualityModel.stage`."""
        return Loss(number, choice_identity(choice))


def measured(stages: int, minutes: float, proof: bool) -> dict[str, Any]:
    """Seconds of processor time (of the proof: of wall time), and memory in MB."""
    began = time.process_time()
    loaded = Loader().parse(Source("large.space", page(stages)), Path()).get("large")
    if not isinstance(loaded, Space):
        raise TypeError("a hyperspace")
    result: dict[str, Any] = {"page read, s": time.process_time() - began}
    began = time.process_time()
    cost_range(loaded)
    result["costs of the page (show), s"] = time.process_time() - began
    scorer = BestScorer(ModelScorer(loaded, Latency(), Quality(), LIMITS_MS, definition="best"))
    began = time.process_time()
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
    result["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def main() -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--no-proof", action="store_true")
    parser.add_argument("--page", action="store_true", help="Only print the page.")
    args = parser.parse_args()
    if args.page:
        print(page(args.stages), end="")
        return
    print(json.dumps(measured(args.stages, args.minutes, not args.no_proof), indent=2))


if __name__ == "__main__":
    main()
