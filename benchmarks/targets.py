"""Subnets per second that a profile's latency model answers for, against a fitted table's.

    python benchmarks/targets.py [--target cpu] [--subnets 200000] [--rounds 7]

One space, latency and loss of fresh random subnets through the per-block tables that search uses;
the two models in turn, processor time of one core. The target must be profiled."""

from __future__ import annotations

import argparse
import time

import numpy as np

from spacedsl import api
from spacedsl.search.qt_score import ModelScorer
from spacedsl.tables.files import load_quality
from spacedsl.targets.device import open_device


def scorer_of(target: str, subnets: int) -> ModelScorer:
    """A scorer of the published space's hyperspace, its tables filled."""
    space, device = api.load_space("vnni"), open_device(api.load_target(target))
    hyper = space.of or space
    scorer = ModelScorer(
        hyper, device.latency, load_quality("onnxw"), device.limits_ms, samples=subnets
    )
    scorer.score(space)
    return scorer


def main() -> None:
    """Prints a line per model and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--subnets", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    names, space = (args.target, "vnni"), api.load_space("vnni")
    scorers = [scorer_of(name, args.subnets) for name in names]
    rates = np.empty((args.rounds, len(names)))
    for turn in range(args.rounds):
        for i, scorer in enumerate(scorers):
            fresh = scorer.reseeded(turn + 1)
            start = time.process_time()
            fresh.score(space)
            rates[turn, i] = args.subnets / (time.process_time() - start)
    for i, name in enumerate(names):
        low, median, high = np.quantile(rates[:, i], (0, 0.5, 1))
        print(f"{name}: {median:,.0f} subnets/s ({low:,.0f} to {high:,.0f})")
    ratio = rates[:, 0] / rates[:, 1]
    print(f"ratio {np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})")


if __name__ == "__main__":
    main()
