"""How fast exact scores are: fresh, after a one-stage mutation, and beside the authors' definition.

    python benchmarks/exact.py [--hyper onnxw] [--spaces 500]

Processor time of one core; say OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1. Instead, `--agreement N`
compares N random spaces with the sampler (30 seeds each), `--proof JOBS` runs `optimum`, and
`--evolution SEEDS` says what aging evolution ends with."""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from spacedsl import api
from spacedsl.search.candidate import Genome, mutate
from spacedsl.search.compare import random_genotypes
from spacedsl.search.evolve import POPULATION, SAMPLE, Evolution
from spacedsl.search.exact.executors import Processes
from spacedsl.search.exact.halves import Halves
from spacedsl.search.exact.joint import Joint
from spacedsl.search.exact.neighbours import neighbours
from spacedsl.search.exact.optimum import evolved, optimum
from spacedsl.search.exact.pairs import Pairs
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.journal import Evaluated
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.stream import Stream
from spacedsl.tables.files import load_latency, load_quality

LIMITS_MS = {"onnxw": (8, 10, 15, 20, 25), "mobilew": (15, 20, 25, 30, 35)}
SEEDS = 30
ROUNDS = 5
PARENTS = 20
EVOLVED = 1_000
BUDGETS = (500, 1_000, 2_000, 5_000, 20_000)


def speed(hyper: str, count: int) -> dict[str, Any]:
    """Spaces per second of processor time by each way, memory in MB, errors against full
    detail."""
    space, limits = api.load_space(hyper), LIMITS_MS[hyper]
    scorer = ModelScorer(space, load_latency(hyper), load_quality(hyper), limits)
    full = ExactScorer(scorer)
    began = time.process_time()
    halves = Halves(ExactScorer(scorer, searching=True))
    halves.prepare(math.inf)
    result: dict[str, Any] = {"hyper": hyper, "spaces": count}
    result["preparing all stages, s"] = time.process_time() - began
    pairs, genome = Pairs(halves), halves.genome
    drawn = random_genotypes(genome, count, Stream(0))
    spaces = [genome.to_space(g, "any") for g in drawn[:8]]
    authors = ModelScorer(
        space, scorer.latency, scorer.quality, limits, definition="authors", seed=1
    )
    rates: dict[str, list[float]] = {}
    totals: dict[str, tuple[int, float]] = {}

    @contextmanager
    def timed(name: str, scored: int) -> Iterator[None]:
        began = time.process_time()
        yield
        n, seconds = totals.get(name, (0, 0.0))
        totals[name] = n + scored, seconds + time.process_time() - began

    stream = Stream(1)
    for i in range(ROUNDS):  # interleaved, so that all meet the same machine
        halves.forget()
        with timed("fresh, 64 at a time", count):
            fresh = [pairs.limits(drawn[j : j + 64]) for j in range(0, count, 64)]
        scores = np.concatenate(fresh).sum(axis=1)
        with timed("head and tail known", count):
            for j in range(0, count, 64):
                pairs.limits(drawn[j : j + 64])
        parents = [drawn[stream.below(count)] for _ in range(count // 2)]
        children = [[mutate(genome, p, what, stream) or p for what in (0, 1)] for p in parents]
        with timed("one-stage mutants, two of a random parent", count):
            for pair in children:
                pairs.limits(pair)
        _evolve(pairs, i, timed)
        around = len(neighbours(pairs, drawn[0])[0])
        with timed("one-stage mutants, all of a space", PARENTS * around):
            for parent in drawn[:PARENTS]:
                neighbours(pairs, parent)
        reseeded = authors.reseeded(i)
        with timed("authors' definition, subnets drawn per space", 1):
            reseeded.score(spaces[i])
        with timed("full detail, stages made anew", 1):
            full.score(spaces[i])
        for name, (n, seconds) in totals.items():
            rates.setdefault(name, []).append(n / seconds)
        totals.clear()
    for name, found in rates.items():
        result[f"{name}, spaces/s"] = {
            "median": float(np.median(found)),
            "least": min(found),
            "most": max(found),
        }
    exact = [full.score(s) for s in spaces]
    errors = [abs(a / b.score - 1) for a, b in zip(scores, exact, strict=False)]
    result["largest relative error of a search score"] = max(errors)
    result["largest relative error bound at full detail"] = max(e.error / e.score for e in exact)
    result["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def _evolve(
    pairs: Pairs, seed: int, timed: Callable[[str, int], AbstractContextManager[None]]
) -> None:
    """Time the scores that an aging evolution asks for, and nothing else of it."""
    state, done = Evolution(pairs.halves.genome, POPULATION, SAMPLE, Stream(seed)), 0
    while done < EVOLVED:
        proposed = state.propose()
        with timed("aging evolution's spaces, as it asks for them", len(proposed)):
            values = pairs.limits(proposed).sum(axis=1).tolist()
        scored = zip(range(done, done + len(proposed)), proposed, values, strict=True)
        state.tell(tuple(Evaluated(i, g, "", v, ()) for i, g, v in scored))
        done += len(proposed)


def proof(hyper: str, jobs: int) -> dict[str, Any]:
    """The optimum of a hyperspace: time, processor time and the certificate's figures."""
    space, limits = api.load_space(hyper), LIMITS_MS[hyper]
    scorer = ModelScorer(space, load_latency(hyper), load_quality(hyper), limits)
    began = time.perf_counter()
    found = optimum(ExactScorer(scorer, searching=True), Processes(jobs))
    wall = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "wall s": wall,
        "processor s": sum(u.ru_utime + u.ru_stime for u in used),
        "peak MB of a process": max(u.ru_maxrss for u in used) / 1024,
        "score": found.result.score,
        "bound": found.bound,
        "spaces": found.size,
        "enumerated": found.enumerated,
        "pruned": found.pruned,
        "precision": found.precision,
        "deviation": found.deviation,
        "evolution": found.evolution,
        "complete": found.complete,
    }


def evolution(hyper: str, seeds: int) -> dict[str, Any]:
    """The best exact score of aging evolution by budget, over seeds; nothing is drawn."""
    space, limits = api.load_space(hyper), LIMITS_MS[hyper]
    scorer = ModelScorer(space, load_latency(hyper), load_quality(hyper), limits)
    pairs = Pairs(Halves(ExactScorer(scorer, searching=True)))
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        history = sorted(evolved(Joint([pairs]), max(BUDGETS), seed), key=lambda r: r.index)
        for budget in BUDGETS:
            best = max(r.score for r in history[:budget])
            found.setdefault(str(budget), []).append(best)
    return {"hyper": hyper, "seeds": seeds, "best score by budget": found}


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
    parser.add_argument("--spaces", type=int, default=500)
    parser.add_argument("--agreement", type=int, default=0)
    parser.add_argument("--proof", type=int, default=0)
    parser.add_argument("--evolution", type=int, default=0)
    args = parser.parse_args()
    if args.agreement:
        work = agreement(args.hyper, args.agreement)
    elif args.proof:
        work = proof(args.hyper, args.proof)
    elif args.evolution:
        work = evolution(args.hyper, args.evolution)
    else:
        work = speed(args.hyper, args.spaces)
    print(json.dumps(work, indent=2))


if __name__ == "__main__":
    main()
