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


def score_of(folder: Path, space: str) -> float:
    """The exact Q-T score of a space by the experiment's tables."""
    limits = ",".join(f"{x:g}" for x in front_of(folder, space)["search"]["limits_ms"]) + "ms"
    words = [
        *(sys.executable, "-m", "spacedsl", "score", str(folder / f"{space}.space")),
        *("--target", "cpu", "--quality", str(folder / "bkd"), "--limits", limits),
        *("--exact", "--format", "json"),
    ]
    found = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    return float(json.loads(found.stdout)["score"])


def accuracy_of(folder: Path, space: str) -> float:
    """Deployed accuracy summed over the limits; a limit that no subnet meets counts 0."""
    return float(sum(m["top1"] for m in front_of(folder, space)["models"]))


def rank(folder: Path, spaces: list[str]) -> None:
    """Prints scores and accuracies of the spaces that are finished, Kendall's tau-b with its 95 %
    interval from redrawn spaces, and how often unrelated rankings give as much."""
    done = [s for s in spaces if (folder / f"search-{s}.done").exists()]
    table = np.array([[score_of(folder, s), accuracy_of(folder, s)] for s in done])
    print("| space | Q-T score | accuracy, sum over limits |\n|---|---|---|")
    for space, (score, accuracy) in zip(done, table, strict=True):
        print(f"| {space} | {score:.4f} | {accuracy:.4f} |")
    if len(done) < 3:
        print(f"\n{len(done)} spaces are too few for a rank correlation")
        return
    score, accuracy = table.T
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
