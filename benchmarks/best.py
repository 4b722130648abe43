"""How fast scores by the best networks are, how soon the optimum is proven, and how near to it
aging evolution ends.

    python -m benchmarks.best [--hyper onnxw] [--target vnni] [--spaces 512] [--best K]

Processor time of one core; say OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1. Instead, `--proof JOBS`
runs `optimum`, and `--evolution SEEDS` compares what aging evolution ends with to the proven
optimum and to the target's published space, limit by limit."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from spacedsl import api
from spacedsl.search.best.optimum import best_optimum
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.candidate import mutate
from spacedsl.search.combine import Combine
from spacedsl.search.combined import CombinedScorer
from spacedsl.search.compare import random_genotypes
from spacedsl.search.evolve import evolve
from spacedsl.search.exact.executors import Processes, serial
from spacedsl.search.space_score import LimitScore
from spacedsl.search.stream import Stream
from spacedsl.targets.open_scorer import Request, open_scorer

ROUNDS = 3


def opened(hyper: str, targets: Sequence[str], best: int = 1) -> BestScorer | CombinedScorer:
    """The scorer of a hyperspace on one target, or the sum of several; `best` networks count."""
    space, request = api.load_space(hyper), Request(best=best)
    parts = {t: BestScorer(open_scorer(space, api.load_target(t), request)) for t in targets}
    return CombinedScorer(parts, Combine.sum) if len(parts) > 1 else parts[targets[0]]


def peak_mb() -> float:
    """Of this process, or of any that it started."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(w).ru_maxrss for w in who) / 1024


def speed(hyper: str, target: str, count: int, best: int) -> dict[str, Any]:
    """Spaces a second of processor time, after all stages and their pairs are known."""
    scorer = opened(hyper, [target], best)
    if not isinstance(scorer, BestScorer):
        raise TypeError("one target")
    engine = scorer.engine
    genome, line = engine.line.genome, engine.line
    began = time.process_time()
    for stage in range(line.stages):
        for gene in line.genes(stage):
            line.front(stage, gene)
    stages = time.process_time() - began
    drawn = random_genotypes(genome, count, Stream(0))
    began = time.process_time()
    engine.parts.columns(drawn)
    pairs = time.process_time() - began
    stream = Stream(1)
    mutants = []
    for parent in drawn[: count // 2]:
        mutants += [mutate(genome, parent, what, stream) or parent for what in (0, 1)]
    engine.parts.columns(mutants)
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):  # interleaved, so that all meet the same machine
        for name, spaces, lot in (
            ("random, 64 at a time", drawn, 64),
            ("one-stage mutants, two at a time", mutants, 2),
            ("one-stage mutants, 64 at a time", mutants, 64),
        ):
            began = time.process_time()
            for i in range(0, len(spaces), lot):
                engine.values(spaces[i : i + lot])
            rates.setdefault(name, []).append(len(spaces) / (time.process_time() - began))
    began = time.process_time()
    evolve(api.load_space(hyper), scorer, cycles=count)
    evolved = count / (time.process_time() - began)
    return {
        "hyper": hyper,
        "target": target,
        "networks that count": best,
        "preparing all stages, s": stages,
        f"spaces/s of aging evolution, {count} spaces, pairs made on the way": evolved,
        f"preparing the pairs of {count} random spaces, s": pairs,
        "spaces/s": {name: sorted(found) for name, found in rates.items()},
        "peak MB": peak_mb(),
    }


def proof(hyper: str, targets: Sequence[str], jobs: int) -> dict[str, Any]:
    """The optimum of a hyperspace: time, and the certificate's figures."""
    began = time.perf_counter()
    found = best_optimum(opened(hyper, targets), Processes(jobs) if jobs > 1 else serial)
    wall = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "hyper": hyper,
        "targets": list(targets),
        "wall s": wall,
        "processor s": sum(u.ru_utime + u.ru_stime for u in used),
        "peak MB of a process": peak_mb(),
        "score": found.result.score,
        "complete": found.complete,
        "spaces": found.size,
        "scored": found.enumerated,
    }


def evolution(hyper: str, target: str, seeds: int, cycles: int) -> dict[str, Any]:
    """Per limit, how far below the proven optimum's best network that of the space is with which
    aging evolution ends, and how far above the published space's: mean and least over seeds."""
    scorer = opened(hyper, [target])
    space = api.load_space(hyper)
    best = values(best_optimum(scorer).result.limits)
    reference = api.load_target(target).reference
    published = values(scorer.score(api.load_space(reference)).limits) if reference else best
    found = []
    for seed in range(seeds):
        ended = evolve(space, scorer, cycles=cycles, seed=seed)
        found.append(values(ended.best.limits))
    ends = np.array(found)
    return {
        "hyper": hyper,
        "target": target,
        "cycles": cycles,
        "optimum": best.tolist(),
        "published": published.tolist(),
        "below the optimum, mean over limits": (best - ends).mean(axis=1).tolist(),
        "above the published space, least of a limit": (ends - published).min(axis=1).tolist(),
        "above the published space, mean over limits": (ends - published).mean(axis=1).tolist(),
    }


def values(limits: Sequence[LimitScore]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(T,) what the best networks are worth."""
    return np.array([limit.score for limit in limits])


def main() -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hyper", default="onnxw")
    parser.add_argument("--target", action="append")
    parser.add_argument("--spaces", type=int, default=512)
    parser.add_argument("--best", type=int, default=1, help="How many networks count.")
    parser.add_argument("--proof", type=int, default=0)
    parser.add_argument("--evolution", type=int, default=0)
    parser.add_argument("--cycles", type=int, default=5_000)
    args = parser.parse_args()
    targets = args.target or ["vnni"]
    if args.proof:
        work = proof(args.hyper, targets, args.proof)
    elif args.evolution:
        work = evolution(args.hyper, targets[0], args.evolution, args.cycles)
    else:
        work = speed(args.hyper, targets[0], args.spaces, args.best)
    print(json.dumps(work, indent=2))


if __name__ == "__main__":
    main()
