"""A profile's latency model: how fast it answers, and how well two profiles of a machine agree.

    python benchmarks/targets.py [--target cpu] [--subnets 200000] [--rounds 7]
    python benchmarks/targets.py --profiles FIRST.npz SECOND.npz [--networks 700]

The first asks for latency and loss of fresh random subnets of one space through the tables that
search uses, against a fitted table's model in turn, in processor time of one core; the target must
be profiled. The second predicts random members of the spaces that `target profile` measures
where none is named, by two fitted profiles (`target export` writes them)."""

from __future__ import annotations

import argparse
import time
from math import fsum
from pathlib import Path

import numpy as np

from spacedsl import api
from spacedsl.cli.options import MEASURED_SPACES as SPACES
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.tables.files import load_quality
from spacedsl.targets.device import open_device
from spacedsl.targets.latency import model_latency
from spacedsl.targets.profiled_latency import load_fit


def scorer_of(target: str, subnets: int) -> ModelScorer:
    """A scorer of the published space's hyperspace, its tables filled."""
    space, device = api.load_space("vnni"), open_device(api.load_target(target))
    hyper = space.of or space
    scorer = ModelScorer(
        hyper, device.latency, load_quality("onnxw"), device.limits_ms, samples=subnets
    )
    scorer.score(space)
    return scorer


def compare(first: Path, second: Path, networks: int) -> None:
    """Prints how far apart two profiles' predictions are, up to a common factor."""
    fits, names = [load_fit(first), load_fit(second)], SPACES.split(",")
    count = -(-networks // len(names))
    models = [m for name in names for m in api.sample(api.load_space(name), count, seed=7)]
    ms = np.array([[fsum(p.ms for p in model_latency(m, fit)) for fit in fits] for m in models])
    ratio = ms[:, 1] / ms[:, 0]
    factor = float(np.median(ratio))
    error = np.abs(ratio / factor - 1)
    print(f"{len(models)} networks, common factor {factor:.3f}")
    print(f"within 5 %: {(error <= 0.05).mean():.1%}; within 2 %: {(error <= 0.02).mean():.1%}")
    print(f"difference: median {np.median(error):.2%}, greatest {error.max():.1%}")


def main() -> None:
    """Prints a line per model and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--subnets", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profiles", type=Path, nargs=2)
    parser.add_argument("--networks", type=int, default=700)
    args = parser.parse_args()
    if args.profiles:
        first, second = args.profiles
        compare(first, second, args.networks)
        return
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
