"""Tables of scripts/small-experiment and scripts/rank-study, from the files that they leave.

python scripts/experiment_report.py FOLDER SPACE...          # models under each limit, side by side
python scripts/experiment_report.py FOLDER --rank SPACE...   # scores against deployed accuracy
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from spacedsl.tables.statistics import kendall_tau

DRAWS = 2000


def front_of(folder: Path, space: str) -> dict[str, Any]:
    """What `search` found in a space, with latencies as they were measured beside it."""
    models = folder / f"models-{space}"
    front: dict[str, Any] = json.loads((models / "front.json").read_text())
    if (models / "measured.json").is_file():
        times = json.loads((models / "measured.json").read_text())["latency_ms"]
        for model in front["models"]:
            model["measured_ms"] = times[model["name"]]["median"]
    return front


def side_by_side(folder: Path, spaces: list[str]) -> None:
    """Prints accuracy of the deployed file and measured latency per limit and space."""
    fronts = {space: front_of(folder, space) for space in spaces}
    limits = sorted({m["limit_ms"] for f in fronts.values() for m in f["models"]})
    print(f"| limit | {' | '.join(spaces)} |\n|---|{'---|' * len(spaces)}")
    for limit in limits:
        cells = []
        for front in fronts.values():
            found = [m for m in front["models"] if m["limit_ms"] == limit]
            cells.append(_cell(found[0]) if found else "none")
        print(f"| {limit:g} ms | {' | '.join(cells)} |")
    gap = [
        abs(m["top1"] - m["supernet_top1"]) for front in fronts.values() for m in front["models"]
    ]
    print(f"\ndeployed against supernet, {len(gap)} files: at most {max(gap):.3%} apart")


def _cell(model: dict[str, Any]) -> str:
    """Accuracy, and the latency where it was measured."""
    took = f", {model['measured_ms']:.3f} ms" if "measured_ms" in model else ""
    return f"{model['top1']:.2%}{took}"


def score_of(folder: Path, space: str, target: str, limits_ms: list[float], *how: str) -> float:
    """The exact score of a space by the experiment's tables; `how`: options of `score`."""
    limits = ",".join(f"{x:g}" for x in limits_ms) + "ms"
    words = [
        *(sys.executable, "-m", "spacedsl", "score", str(folder / f"{space}.space")),
        *("--target", target, "--quality", str(folder / "bkd"), "--limits", limits),
        *(*how, "--format", "json"),
    ]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(json.loads(found.stdout)["score"])


def under_limits(front: dict[str, Any], value: str) -> list[float]:
    """A number of the deployed model under each limit; 0 under one that no subnet meets."""
    found = {m["limit_ms"]: m[value] for m in front["models"]}
    return [found.get(limit, 0.0) for limit in front["search"]["limits_ms"]]


def rank(folder: Path, spaces: list[str], target: str) -> None:
    """Prints accuracies and scores of the spaces that are finished with every seed; Kendall's tau-b
    of each score and the mean accuracy, with its 95 % interval from redrawn spaces, and of the
    seeds with each other."""
    seeds = sorted({p.stem.rpartition("-s")[2] for p in folder.glob("search-rank*-s*.done")})
    done = [s for s in spaces if all((folder / f"search-{s}-s{n}.done").exists() for n in seeds)]
    if len(done) < 3:
        print(f"{len(done)} finished spaces are too few for a rank correlation")
        return
    fronts = [[front_of(folder, f"{s}-s{n}") for n in seeds] for s in done]
    limits = fronts[0][0]["search"]["limits_ms"]
    under = np.array([[under_limits(f, "top1") for f in each] for each in fronts])
    scores = {
        "best": [score_of(folder, s, target, limits) for s in done],
        "qt": [score_of(folder, s, target, limits, "--definition", "qt", "--exact") for s in done],
        "MMAC": [float(np.mean([under_limits(f, "flops") for f in each])) / 1e6 for each in fronts],
    }
    _table(done, scores, under.mean(axis=1), limits)
    means = under.mean(axis=2)  # (spaces, seeds)
    print(f"\nKendall's tau with the mean accuracy over {len(seeds)} seeds, {len(done)} spaces:")
    for name, values in scores.items():
        print(f"- {name}: {_tau(np.array(values), means.mean(axis=1))}")
    for first, second in combinations(range(len(seeds)), 2):
        between = _tau(means[:, first], means[:, second])
        print(f"- seed {seeds[first]} and seed {seeds[second]} (noise ceiling): {between}")
    if len(seeds) > 1:
        noise, spread = means.std(axis=1, ddof=1), means.mean(axis=1).std(ddof=1)
        print(
            f"standard deviation: {100 * np.sqrt((noise**2).mean()):.2f} points of a seed, "
            f"{100 * spread:.2f} of the spaces' means"
        )
    gain = 100 * (under[..., -1] - under[..., 0]).mean()
    print(f"{limits[-1]:g} ms gains {gain:.2f} points over {limits[0]:g} ms")


def _table(
    spaces: list[str], scores: dict[str, list[float]], under: Any, limits: list[float]
) -> None:
    print(f"| space | {' | '.join(scores)} | {' | '.join(f'{x:g} ms' for x in limits)} | mean |")
    print(f"|---|{'---|' * (len(scores) + len(limits) + 1)}")
    for i, space in enumerate(spaces):
        values = " | ".join(f"{column[i]:.4g}" for column in scores.values())
        cells = " | ".join(f"{x:.2%}" for x in under[i])
        print(f"| {space} | {values} | {cells} | {under[i].mean():.2%} |")


def _tau(a: Any, b: Any) -> str:
    """Tau, its interval, and how often shuffles are as far from 0."""
    tau, rng = kendall_tau(a, b), np.random.default_rng(0)
    redrawn = (rng.integers(len(a), size=len(a)) for _ in range(DRAWS))
    low, high = np.nanquantile([kendall_tau(a[i], b[i]) for i in redrawn], (0.025, 0.975))
    shuffled = [abs(kendall_tau(a, rng.permutation(b))) for _ in range(DRAWS)]
    chance = np.mean(np.array(shuffled) >= abs(tau))
    return f"{tau:.2f} ({low:.2f} to {high:.2f}; chance gives as much in {chance:.0%})"


def main() -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("spaces", nargs="+")
    parser.add_argument("--rank", action="store_true")
    parser.add_argument("--target", default="cpu")
    args = parser.parse_args()
    if args.rank:
        rank(args.folder, args.spaces, args.target)
    else:
        side_by_side(args.folder, args.spaces)


if __name__ == "__main__":
    main()
