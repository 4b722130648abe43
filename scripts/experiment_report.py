"""Tables of scripts/small-experiment and scripts/rank-study, from the files that they leave.

python scripts/experiment_report.py FOLDER SPACE...          # models under each limit, side by side
python scripts/experiment_report.py FOLDER --rank SPACE...   # Q-T score against deployed accuracy
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from spacedsl.tables.statistics import kendall_tau

DRAWS = 2000


def front_of(folder: Path, space: str) -> dict[str, Any]:
    """What `search` found in a space, with latencies as they were measured beside it."""
    models = folder / f"models-{space}"
    front: dict[str, Any] = json.loads((models / "front.json").read_text())
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
            cells.append(
                f"{found[0]['top1']:.2%}, {found[0]['measured_ms']:.3f} ms" if found else "none"
            )
        print(f"| {limit:g} ms | {' | '.join(cells)} |")
    gap = [
        abs(m["top1"] - m["supernet_top1"]) for front in fronts.values() for m in front["models"]
    ]
    print(f"\ndeployed against supernet, {len(gap)} files: at most {max(gap):.3%} apart")


def score_of(folder: Path, space: str, limits_ms: list[float]) -> float:
    """The exact Q-T score of a space by the experiment's tables."""
    limits = ",".join(f"{x:g}" for x in limits_ms) + "ms"
    words = [
        *(sys.executable, "-m", "spacedsl", "score", str(folder / f"{space}.space")),
        *("--target", "cpu", "--quality", str(folder / "bkd"), "--limits", limits),
        *("--definition", "qt", "--exact", "--format", "json"),
    ]
    found = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    return float(json.loads(found.stdout)["score"])


def accuracies_of(front: dict[str, Any]) -> list[float]:
    """Deployed accuracy under each limit; 0 under one that no subnet meets."""
    found = {m["limit_ms"]: m["top1"] for m in front["models"]}
    return [found.get(limit, 0.0) for limit in front["search"]["limits_ms"]]


def rank(folder: Path, spaces: list[str]) -> None:
    """Prints scores and accuracies of the spaces that are finished; Kendall's tau-b of score and
    sum of accuracies, with its 95 % interval from redrawn spaces; how often chance gives it."""
    done = [s for s in spaces if (folder / f"search-{s}.done").exists()]
    if len(done) < 3:
        print(f"{len(done)} finished spaces are too few for a rank correlation")
        return
    fronts = [front_of(folder, s) for s in done]
    limits = fronts[0]["search"]["limits_ms"]
    score = np.array([score_of(folder, s, limits) for s in done])
    under = np.array([accuracies_of(front) for front in fronts])  # (spaces, limits)
    print(f"| space | Q-T score | {' | '.join(f'{x:g} ms' for x in limits)} | sum |")
    print(f"|---|---|{'---|' * len(limits)}---|")
    for name, value, row in zip(
        [*done, "mean"], [*score, score.mean()], [*under, under.mean(axis=0)], strict=True
    ):
        cells = " | ".join(f"{x:.2%}" for x in row)
        print(f"| {name} | {value:.4f} | {cells} | {row.sum():.4f} |")
    accuracy = under.sum(axis=1)
    table = np.column_stack([score, accuracy])
    tau, rng = kendall_tau(score, accuracy), np.random.default_rng(0)
    redrawn = (table[rng.integers(len(done), size=len(done))] for _ in range(DRAWS))
    low, high = np.nanquantile([kendall_tau(*draw.T) for draw in redrawn], (0.025, 0.975))
    shuffled = [abs(kendall_tau(score, rng.permutation(accuracy))) for _ in range(DRAWS)]
    chance = np.mean(np.array(shuffled) >= abs(tau))
    print(f"\nKendall's tau over {len(done)} spaces: {tau:.2f} ({low:.2f} to {high:.2f})")
    print(f"unrelated rankings are as far from 0 in {chance:.0%} of {DRAWS:,} shuffles")


def main() -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("spaces", nargs="+")
    parser.add_argument("--rank", action="store_true")
    args = parser.parse_args()
    (rank if args.rank else side_by_side)(args.folder, args.spaces)


if __name__ == "__main__":
    main()
