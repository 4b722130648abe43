"""Which score finds the spaces whose networks are really the best?

    python benchmarks/truth.py CSV --hyper mnasnet --column zcu102_ms [--spaces 200] [--seed 0]
    python benchmarks/truth.py CSV --hyper macro --target cpu [--networks 300] [--scores best-1]

CSV lists trained networks, as `spacedsl tables fit --accuracies` reads it. One half of the rows is
what scores may see: a quality table is fitted to it, or to 100, 300 and 1,000 of its rows. The
other half is the truth: a network's accuracy where it is known, else that of boosted trees, which
know all interactions, fitted to that half. Latencies are those of a column of the CSV, or of a
target.

Random spaces of the hyperspace fix every stage's block type and narrow its settings and depths. The
true worth of a space is the greatest accuracy of all its networks within a limit, summed over five
limits. Printed are Kendall's tau of each score with it, with a 95 % interval (resampled spaces),
and the regret: how many points per limit the space that a score likes best falls short of the best
one."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import fsum, prod
from pathlib import Path
from typing import TypeVar

import numpy as np

from spacedsl import api
from spacedsl.ir.block import Value
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage, smallest_block
from spacedsl.operators.size import as_number
from spacedsl.passes.bind import subnet_sites
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.protocols import Floats, LatencyModel
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.tables.accuracy import FittedAccuracy
from spacedsl.tables.blocks import family
from spacedsl.tables.designs import Canonical, State, network_states
from spacedsl.tables.fit_accuracy import fit_accuracy
from spacedsl.tables.fit_networks import latency_table
from spacedsl.tables.latency import FittedLatency
from spacedsl.tables.networks import Network, read_accuracies, read_latencies
from spacedsl.tables.statistics import kendall_tau
from spacedsl.targets.device import open_device

MOST = 30_000
"""Networks of a random space, all of which are valued."""

QUANTILES = (0.05, 0.15, 0.3, 0.5, 0.7)
"""Limits, as shares of random networks that keep them."""

TABLES = (100, 300, 1000, 2000)
RESAMPLED = 1000


V = TypeVar("V", int, Value)


def narrowed(stage: Stage, rng: random.Random) -> Stage:
    """A stage of one block type, with some of its settings and depths."""
    choice = rng.choice(stage.choices)
    args = tuple(a.model_copy(update={"values": _some(a.values, rng)}) for a in choice.args)
    window = rng.choice(stage.windows)
    return stage.model_copy(
        update={
            "choices": (choice.model_copy(update={"args": args}),),
            "widths": window,
            "window": len(window),
            "depths": _some(stage.depths, rng),
        }
    )


def _some(values: Sequence[V], rng: random.Random) -> tuple[V, ...]:
    return tuple(sorted(rng.sample(values, rng.randint(1, len(values)))))


def random_space(hyper: Space, rng: random.Random, name: str) -> Space:
    """A space of at most `MOST` networks."""
    while True:
        stages = tuple(narrowed(s, rng) if s.elastic else s for s in hyper.stages)
        space = hyper.model_copy(
            update={"kind": "space", "name": name, "of": hyper, "stages": stages}
        )
        if prod(len(list(stage_blocks(space.stages[at]))) for at in space.elastic) <= MOST:
            return space


def stage_blocks(stage: Stage) -> Iterator[SubnetStage]:
    """Every stage of a subnet whose blocks have the same settings, as those of both benchmarks."""
    numeric = stage.choices[0].chosen
    for depth in stage.depths:
        for width in stage.widths:
            for values in product(*(arg.values for arg in numeric)):
                settings = tuple(
                    Setting(name=a.name, value=v) for a, v in zip(numeric, values, strict=True)
                )
                yield SubnetStage(blocks=(SubnetBlock(width=width, settings=settings),) * depth)


@dataclass(frozen=True)
class Judge:
    """Latencies and true accuracies of networks, stage by stage."""

    hyper: Space
    latency: LatencyModel
    known: dict[tuple[State, ...], float]
    features: Callable[[Sequence[State]], Floats]
    trees: Callable[[Floats], Floats]

    def networks(self, space: Space) -> tuple[Floats, Floats]:
        """Latency in ms and accuracy of every network of a space, (N,) each."""
        ms, states, parts = [], [], []
        fixed = self._fixed(space)
        for at in space.elastic:
            whole = self.hyper.stages[at]
            same, choice = Canonical(whole), space.stages[at].choices[0]
            which = [c.block for c in whole.choices].index(choice.block)
            found = list(stage_blocks(space.stages[at]))
            ms.append(self._stage_ms(space, at, found))
            state = [
                (
                    which,
                    tuple(
                        same(
                            which,
                            (float(b.width), *(as_number(x.value) for x in _ordered(b, choice))),
                        )
                        for b in one.blocks
                    ),
                )
                for one in found
            ]
            states.append(state)
            parts.append(np.array([self.features([one]) for one in state]))
        index = np.array(list(product(*(range(len(m)) for m in ms))))
        latency = fixed + sum(np.array(m)[index[:, s]] for s, m in enumerate(ms))
        matrix = np.concatenate([p[index[:, s]] for s, p in enumerate(parts)], axis=1)
        accuracy = self.trees(matrix)
        for i, row in enumerate(index.tolist()):
            key = tuple(states[s][j] for s, j in enumerate(row))
            accuracy[i] = self.known.get(key, accuracy[i])
        return latency, accuracy

    def _fixed(self, space: Space) -> float:
        sites = subnet_sites(_with(space, {}))
        outside = [x for i, some in enumerate(sites) if i not in space.elastic for x in some]
        return float(self.latency.predict(outside).ms.sum())

    def _stage_ms(self, space: Space, at: int, found: Sequence[SubnetStage]) -> list[float]:
        runs = [subnet_sites(_with(space, {at: one}))[at] for one in found]
        ms = iter(self.latency.predict([site for run in runs for site in run]).ms.tolist())
        return [fsum(next(ms) for _ in run) for run in runs]


def _ordered(block: SubnetBlock, choice: BlockChoice) -> list[Setting]:
    by_name = {s.name: s for s in block.settings}
    return [by_name[name] for name in family(choice).order]


def _with(space: Space, chosen: dict[int, SubnetStage]) -> Subnet:
    stages = tuple(
        chosen.get(i) or SubnetStage(blocks=(smallest_block(s, s.choices[0]),) * s.depths[0])
        for i, s in enumerate(space.stages)
    )
    return Subnet(name="one", of=space, resolution=space.resolutions[-1], stages=stages)


def stage_numbers(states: Sequence[State]) -> Floats:
    """A stage as numbers that trees split: block type, depth, width and settings (0: none)."""
    rows = []
    for which, blocks in states:
        first = blocks[0]
        rows.append([which, len(blocks), *first, *([0.0] * (4 - len(first)))])
    return np.array(rows, dtype=float).reshape(-1)


Known = dict[tuple[State, ...], float]
"""Accuracies by the states of a network's stages."""


def trees_of(networks: Sequence[Network], space: Space) -> tuple[Callable[[Floats], Floats], Known]:
    """Boosted trees fitted to networks, and the known accuracies by states."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    states = network_states(networks, space)
    rows = [
        tuple(known[i] for known, i in zip(states.states, row, strict=True))
        for row in states.index.tolist()
    ]
    matrix = np.array([np.concatenate([stage_numbers([one]) for one in row]) for row in rows])
    accuracy = np.array([n.value for n in networks])
    model = HistGradientBoostingRegressor(
        max_iter=500, learning_rate=0.06, max_leaf_nodes=12, random_state=0
    ).fit(matrix, accuracy)
    return model.predict, dict(zip(rows, accuracy.tolist(), strict=True))


def true_worth(latency: Floats, accuracy: Floats, limits: Sequence[float]) -> Floats:
    """The best accuracy within each limit, 0 where there is none."""
    return np.array([max(accuracy[latency <= limit].max(initial=0.0), 0.0) for limit in limits])


def report(name: str, scores: Floats, truth: Floats, rng: np.random.Generator) -> None:
    """A line: tau with its interval, and the regret in points per limit."""
    total = truth.sum(axis=1)
    resampled = []
    for _ in range(RESAMPLED):
        at = rng.integers(0, len(total), len(total))
        resampled.append(kendall_tau(total[at], scores[at]))
    low, high = np.percentile(resampled, [2.5, 97.5])
    chosen = truth[int(scores.argmax())]
    regret = (total.max() - chosen.sum()) / truth.shape[1]
    best = "  ".join(f"{v:.1f}" for v in chosen)
    tau = kendall_tau(total, scores)
    print(f"  {name:<18} tau {tau:.3f} ({low:.3f} to {high:.3f})  regret {regret:.2f}  [{best}]")


def qt(tables: ModelScorer, spaces: Sequence[Space]) -> Floats:
    """The Q-T score of each space, sampled."""
    return np.array([tables.score(space).score for space in spaces])


def exact(tables: ModelScorer, spaces: Sequence[Space]) -> Floats:
    """The expectation of the Q-T score."""
    scorer = ExactScorer(tables)
    return np.array([scorer.score(space).score for space in spaces])


def best(tables: ModelScorer, spaces: Sequence[Space], count: int) -> Floats:
    """The score by the `count` best networks."""
    models = (tables.latency, tables.quality)
    inner = ModelScorer(tables.hyper, *models, tables.limits_ms, best=count, definition="best")
    scorer = BestScorer(inner)
    return np.array([scorer.score(space).score for space in spaces])


SCORES: dict[str, Callable[[ModelScorer, Sequence[Space]], Floats]] = {
    "qt": qt,
    "exact": exact,
    "best-1": partial(best, count=1),
    "best-20": partial(best, count=20),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--hyper", default="mnasnet")
    parser.add_argument("--column")
    parser.add_argument("--target")
    parser.add_argument("--spaces", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--networks", type=int, nargs="+", default=TABLES, help="tables of so many networks"
    )
    parser.add_argument("--scores", nargs="+", default=list(SCORES), choices=SCORES)
    asked = parser.parse_args()
    hyper = api.load_space(asked.hyper)
    latency: LatencyModel
    if asked.column:
        table = latency_table(read_latencies(asked.csv, hyper, asked.column), hyper, "", "", "")
        if table.table.latency is None:
            raise AssertionError("it was just fitted")
        latency = FittedLatency(table.table.latency)
    else:
        latency = open_device(api.load_target(asked.target or "cpu")).latency
    rows = read_accuracies(asked.csv, hyper)
    order = np.random.default_rng(asked.seed).permutation(len(rows))
    seen = [rows[i] for i in order[: len(rows) // 2]]
    trees, known = trees_of([rows[i] for i in order[len(rows) // 2 :]], hyper)
    judge = Judge(hyper, latency, known, stage_numbers, trees)

    rng = random.Random(asked.seed)
    spaces = [random_space(hyper, rng, f"space{i}") for i in range(asked.spaces)]
    some = [random_subnet(hyper, rng) for _ in range(400)]
    times = [latency.predict([x for s in subnet_sites(n) for x in s]).ms.sum() for n in some]
    limits = tuple(round(float(q), 4) for q in np.quantile(times, QUANTILES))
    truth = np.array([true_worth(*judge.networks(space), limits) for space in spaces])
    there = (truth > 0).all(axis=1)
    print(
        f"{asked.hyper}, {asked.column or asked.target}: {len(spaces)} spaces, limits {limits} ms"
    )
    print(f"{int(there.sum())} spaces have networks under every limit")

    for count in sorted({min(count, len(seen)) for count in asked.networks}):
        quality = FittedAccuracy(fit_accuracy(seen[:count], hyper))
        print(f"table of {count} networks")
        for name in asked.scores:
            scores = SCORES[name](ModelScorer(hyper, latency, quality, limits), spaces)
            report(name, scores, truth, np.random.default_rng(0))
            if 10 <= there.sum() < len(spaces):
                report("  all limits kept", scores[there], truth[there], np.random.default_rng(0))


if __name__ == "__main__":
    main()
