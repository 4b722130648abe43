"""Made-up accuracies and latencies of random networks, as CSVs of pages or codes."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from spacedsl.bridges.benchmarks import benchmark_space
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet

CEILING = 70.0


def random_codes(count: int, seed: int = 0) -> list[str]:
    """Random networks of mnasnet."""
    rng = random.Random(seed)
    space = benchmark_space("mnasnet")
    depths = [space.stages[at].depths for at in space.elastic]
    return [
        "-".join(
            f"{rng.choice('is')}e{rng.choice('146')}k{rng.choice('35')}d{rng.choice(some)}"
            for some in depths
        )
        for _ in range(count)
    ]


def worth(code: str) -> float:
    """An accuracy that is additive over stages up to its link, with interactions inside a stage."""
    total = 2.4
    for number, word in enumerate(code.split("-")):
        expand, kernel, depth = int(word[2]), int(word[4]), int(word[6])
        gain = 0.04 * math.log(expand) * depth + 0.02 * (kernel - 3) + 0.05 * (word[0] == "s")
        total -= gain * (1 + number / 7)
    return CEILING - math.exp(total)


def write_csv(path: Path, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """A CSV with a line of heads."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([heads, *rows])
    return path


def accuracy_csv(path: Path, codes: Sequence[str], noise: float = 0.1) -> Path:
    """Codes and accuracies; the first code once more at the end."""
    rng = random.Random(1)
    rows = [(code, "x", round(worth(code) + rng.gauss(0, noise), 3)) for code in codes]
    return write_csv(path, ("code", "ignored", "top1"), [*rows, rows[0]])


def networks_of(space: Space, count: int, value: Callable[[Subnet], float]) -> list[object]:
    """Random networks of a space with a number each."""
    from spacedsl.api import sample
    from spacedsl.tables.networks import Network

    return [Network(i, s, value(s)) for i, s in enumerate(sample(space, count), 2)]
