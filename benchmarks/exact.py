"""How fast exact scores are: fresh, after a one-stage mutation, and beside the authors' definition.

    python benchmarks/exact.py [--hyper onnxw] [--spaces 64] [--agreement 0]

One core; say OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1, on an idle machine. `--agreement N`
compares N random spaces with the sampler instead (30 seeds each)."""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from typing import Any

import numpy as np

from spacedsl import api
from spacedsl.search.candidate import Genome
from spacedsl.search.compare import random_genotypes
from spacedsl.search.exact.pairs import Pairs
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.qt_score import ModelScorer
from spacedsl.search.stream import Stream
from spacedsl.tables.files import load_latency, load_quality

LIMITS_MS = {"onnxw": (8, 10, 15, 20, 25), "mobilew": (15, 20, 25, 30, 35)}
SEEDS = 30


def speed(hyper: str, count: int) -> dict[str, Any]:
    """Spaces per second by each way, memory in MB, and the errors against full detail."""
    space, limits = api.load_space(hyper), LIMITS_MS[hyper]
    scorer = ModelScorer(space, load_latency(hyper), load_quality(hyper), limits)
    searching, full = ExactScorer(scorer, searching=True), ExactScorer(scorer)
    pairs = Pairs(searching)
    genome = pairs.genome
    drawn = random_genotypes(genome, count, Stream(0))
    spaces = [genome.to_space(g, "any") for g in drawn]
    result: dict[str, Any] = {"hyper": hyper, "spaces": count}

    def timed(name: str, scored: int, began: float) -> None:
        result[name] = scored / (time.perf_counter() - began)

    for s in spaces:
        searching.score(s)  # operators and tables of stages are made once
    began = time.perf_counter()
    scores = [searching.score(s).score for s in spaces]
    timed("fresh, one by one", count, began)
    cut, last = len(genome.shape) // 2, len(genome.shape) - 1
    base = drawn[0]
    blocks, windows = genome.shape[last]
    mutants = [(*base[cut:last], (b, w)) for b in range(blocks) for w in range(windows)]
    heads, tails = pairs.heads([base[:cut]] * 8), pairs.tails(cut, base[cut - 1], mutants)
    pairs.scores(heads, tails)
    began = time.perf_counter()
    for _ in range(4):
        pairs.scores(heads, tails)
    timed("head and tail known", 4 * 8 * len(mutants), began)
    began = time.perf_counter()
    mutated = pairs.tails(cut, base[cut - 1], mutants)
    pairs.scores(pairs.heads([base[:cut]]), mutated)
    timed("one-stage mutants, all of the last stage", len(mutants), began)
    authors = ModelScorer(
        space, scorer.latency, scorer.quality, limits, definition="authors", seed=1
    )
    some = spaces[:3]
    began = time.perf_counter()
    for i, s in enumerate(some):
        authors.reseeded(i).score(s)
    timed("authors' definition, subnets drawn per space", len(some), began)
    began = time.perf_counter()
    exact = [full.score(s) for s in spaces[:8]]
    timed("full detail, operators made anew", 8, began)
    errors = [abs(a / b.score - 1) for a, b in zip(scores, exact, strict=False)]
    result["largest relative error of a search score"] = max(errors)
    result["largest relative error bound at full detail"] = max(e.error / e.score for e in exact)
    result["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def agreement(hyper: str, count: int) -> dict[str, Any]:
    """z scores of the sampler's mean against the exact score, every space on draws of its own."""
    space, limits = api.load_space(hyper), LIMITS_MS[hyper]
    scorer = ModelScorer(space, load_latency(hyper), load_quality(hyper), limits)
    exact = ExactScorer(scorer, searching=True)
    genome = Genome(space)
    found = []
    for i, genotype in enumerate(random_genotypes(genome, count, Stream(1))):
        candidate = genome.to_space(genotype, "any")
        member = exact.score(candidate).score
        drawn = [scorer.reseeded(SEEDS * i + s).score(candidate).score for s in range(SEEDS)]
        spread = float(np.std(drawn, ddof=1)) / math.sqrt(SEEDS)
        found.append((float(np.mean(drawn)) - member) / spread)
    return {
        "spaces": count,
        "mean z": float(np.mean(found)),
        "largest |z|": float(np.abs(found).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hyper", default="onnxw", choices=sorted(LIMITS_MS))
    parser.add_argument("--spaces", type=int, default=64)
    parser.add_argument("--agreement", type=int, default=0)
    args = parser.parse_args()
    work = (
        agreement(args.hyper, args.agreement) if args.agreement else speed(args.hyper, args.spaces)
    )
    print(json.dumps(work, indent=2))


if __name__ == "__main__":
    main()
