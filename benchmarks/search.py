"""How fast a space search is: the paper's, how it grows, and what keeping vectors saves.

    python benchmarks/search.py [--seeds 10]

Every line is measured in a process of its own, so that its memory is its own; run it on an idle
machine. `taskset -c 0` keeps it on one core."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from spacedsl.ir.size import count_spaces
from spacedsl.ir.space import Space
from spacedsl.lang.library import library
from spacedsl.lang.page import Loader
from spacedsl.search.candidate import Genome
from spacedsl.search.compare import random_genotypes
from spacedsl.search.evolve import evolve
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.search.stream import Stream
from spacedsl.tables.files import load_latency, load_quality

LIMITS_MS = {"onnxw": (8, 10, 15, 20, 25), "mobilew": (15, 20, 25, 30, 35)}
PUBLISHED = {"onnxw": "vnni", "mobilew": "pixel4"}
BLAS_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Case:
    """One measurement. `mode`: `search`, `redraw` (every space on subnets of its own, nothing kept
    but block tables, as searchers do that draw per space) or `authors` (their definition: 100,000
    subnets per limit and space)."""

    hyper: str = "onnxw"
    spaces: int = 5_000
    samples: int = 5_000
    stages: int = 6
    seed: int = 0
    mode: str = "search"


def shortened(space: Space, stages: int) -> Space:
    """`space` with its first `stages` elastic stages only."""
    dropped = space.elastic[stages:]
    kept = tuple(s for i, s in enumerate(space.stages) if i not in dropped)
    return space.model_copy(update={"stages": kept})


def library_space(name: str) -> Space:
    """The page NAME.space of the library."""
    item = Loader().load(library() / f"{name}.space").get(name)
    if not isinstance(item, Space):
        raise TypeError(name)
    return item


def measure(case: Case) -> dict[str, Any]:
    """Run one case here. Times in seconds (`seconds` with loading, `search_seconds` without; one by
    one, filling the block tables counts as loading), memory in MB."""
    began = time.perf_counter()
    hyper = shortened(library_space(case.hyper), case.stages)
    tables = load_latency(case.hyper), load_quality(case.hyper)
    limits = LIMITS_MS[case.hyper]
    loaded = time.perf_counter()
    result: dict[str, Any] = {}
    if case.mode == "search":
        scorer = ModelScorer(hyper, *tables, limits, case.samples, seed=case.seed)
        found = evolve(hyper, scorer, cycles=case.spaces, seed=case.seed)
        spaces = len(found.history)
        result = {"score": found.score, "hash": found.best.hash}
        searched = time.perf_counter()
        if case.stages == len(library_space(case.hyper).elastic):
            published = library_space(PUBLISHED[case.hyper])
            fresh = scorer.reseeded(case.seed + 1_000_003)
            result["published"] = scorer.score(published).score
            result["fresh"] = fresh.score(found.space).score
            result["fresh_published"] = fresh.score(published).score
    else:
        spaces, loaded = score_one_by_one(case, hyper, tables)
        searched = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        **result,
        "spaces": spaces,
        "seconds": searched - began,
        "search_seconds": searched - loaded,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def score_one_by_one(case: Case, hyper: Space, tables: tuple[Any, Any]) -> tuple[int, float]:
    """Score random spaces, each on subnets drawn for it alone; the number scored, and the time at
    which all block tables were there."""
    options: dict[str, Any] = {"samples": case.samples}
    if case.mode == "authors":
        options = {"definition": "authors"}
    scorer = ModelScorer(hyper, *tables, LIMITS_MS[case.hyper], **options)
    genome = Genome(hyper)
    genotypes = random_genotypes(genome, case.spaces, Stream(case.seed))
    scorer.require(hyper)
    filled = time.perf_counter()
    for i, genotype in enumerate(genotypes):
        scorer.reseeded(i).score(genome.to_space(genotype, "candidate"))
    return len(genotypes), filled


def run(case: Case) -> dict[str, Any]:
    """Measure one case in a fresh process with one thread."""
    command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
    environment = {**os.environ, **dict.fromkeys(BLAS_THREADS, "1")}
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def line(case: Case, found: dict[str, Any]) -> None:
    """Print one measurement."""
    rate = found["spaces"] / found["search_seconds"]
    score = f"{found['score']:.4f}" if "score" in found else ""
    print(
        f"{case.mode:8} {case.hyper:8} {case.stages:6} {case.samples:8,} {found['spaces']:8,} "
        f"{found['seconds']:8.2f} {rate:9,.0f} {found['peak_mb']:7.0f} {score:>8}",
        flush=True,
    )


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="searches per hyperspace")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(Case(**json.loads(options.case)))))
        return
    print("mode     hyper    stages  samples   spaces  seconds  spaces/s      MB    score")
    paper = Case()
    growth = (
        *(replace(paper, spaces=n) for n in (1_250, 2_500, 5_000, 10_000, 20_000)),
        *(replace(paper, samples=n) for n in (1_250, 2_500, 10_000, 20_000)),
        *(replace(paper, stages=n) for n in (3, 4, 5)),
    )
    for case in growth:
        line(case, run(case))
    kept = run(paper)
    for case in (
        replace(paper, mode="redraw", spaces=40),
        replace(paper, mode="authors", spaces=4),
    ):
        found = run(case)
        line(case, found)
        each = found["search_seconds"] / found["spaces"]
        ratio = each * kept["spaces"] / kept["search_seconds"]
        print(f"  {each * 1e3:,.0f} ms a space, {ratio:,.0f} times as long as the search's")
    for hyper, published in PUBLISHED.items():
        searches = [run(replace(paper, hyper=hyper, seed=s)) for s in range(options.seeds)]
        spread(hyper, published, searches)


def spread(hyper: str, published: str, searches: list[dict[str, Any]]) -> None:
    """Print what searches with several seeds (of search and scores) found."""
    size = count_spaces(library_space(hyper))
    print(f"{hyper} ({size:,} spaces), {len(searches)} seeds:")
    for what in ("score", "published", "fresh", "fresh_published", "seconds", "peak_mb"):
        values = sorted(s[what] for s in searches)
        mean = sum(values) / len(values)
        label = what.replace("published", f"spaceevo@{published}")
        print(f"  {label:24} {values[0]:8.4f} to {values[-1]:8.4f}, mean {mean:8.4f}")
    print(f"  {len({s['hash'] for s in searches})} different spaces")


if __name__ == "__main__":
    main()
