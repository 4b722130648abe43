"""Does each device's space win on its own device? The best models of some spaces, side by side.

    python -m benchmarks.contradiction --target cpu --target litert SPACE... [--seconds 120]

For every target: the subnet of the least loss of each space under each of its limits, as its
latency model and the hyperspace's quality table have them (`score --top 1`), then all
of them measured there interleaved, by `target verify`'s measurer. 1/loss stands for accuracy as in
scores; higher is better."""

from __future__ import annotations

import argparse

from spacedsl import api
from spacedsl.ir.space import Space
from spacedsl.search.best.networks import Network
from spacedsl.search.best.scorer import BestScorer
from spacedsl.targets.device import open_device
from spacedsl.targets.open_scorer import Request, open_scorer
from spacedsl.targets.verify import Checked, verify

Under = dict[tuple[float, str], Network]
"""By limit in ms and space."""


def best_of(space: Space, target: str) -> Under:
    """The best subnet of a space under each limit of a target."""
    scorer = BestScorer(open_scorer(space, api.load_target(target), Request()))
    found = zip(scorer.limits_ms, scorer.top(space, 1), strict=True)
    return {(limit, space.name): best[0] for limit, best in found if best}


def compare(target: str, spaces: list[Space], seconds: float) -> None:
    """Prints a table of one target."""
    best: Under = {}
    for space in spaces:
        best |= best_of(space, target)
    models = {key: found.subnet for key, found in best.items()}
    device = open_device(api.load_target(target))
    result = verify(device.target, device.latency, list(models.values()), seconds, "cpu")
    measured = dict(zip(models, result.checked, strict=True))
    names = [space.name for space in spaces]
    print(f"\n{target}: 1/loss, and ms measured\n\n| limit | {' | '.join(names)} |")
    print(f"|---|{'---|' * len(names)}")
    for limit in device.limits_ms:
        cells = [cell(best.get((limit, n)), measured.get((limit, n))) for n in names]
        print(f"| {limit:g} ms | {' | '.join(cells)} |")
    print(f"\n{result.rounds} rounds, {result.repeatable} of {len(models)} repeat within 3 %")


def cell(found: Network | None, checked: Checked | None) -> str:
    """A subnet's 1/loss and measured latency."""
    if found is None or checked is None:
        return "none"
    return f"{found.value:.4f}, {checked.measured_ms:.2f}"


def main() -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("spaces", nargs="+")
    parser.add_argument("--target", action="append", required=True)
    parser.add_argument("--seconds", type=float, default=120)
    args = parser.parse_args()
    spaces = [api.load_space(spec) for spec in args.spaces]
    for target in args.target:
        compare(target, spaces, args.seconds)


if __name__ == "__main__":
    main()
