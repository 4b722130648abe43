"""By how many points the best networks of many are predicted too good, estimated by refits.

    python scripts/optimism.py /path/to/spaceevo_block_lut

The rows of each published table are dealt into two halves, and losses fitted to each. The best
networks of the published space by one half are valued by the other, which did not choose them: what
they lose is the optimism of a table of half the rows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from spacedsl import api
from spacedsl.search.best.scorer import BestScorer
from spacedsl.search.qt_scorers import ModelScorer
from spacedsl.tables.files import load_latency, load_table
from spacedsl.tables.fit_quality import fit_quality
from spacedsl.tables.network_sums import network_values
from spacedsl.tables.quality import FittedQuality
from spacedsl.tables.rows import read_directory

PLACES = (("onnxw", "vnni"), ("mobilew", "pixel4"))
"""Tables, and the targets and published spaces of the same name."""

PARTS = 10


def main(directory: Path) -> None:
    """Print the points lost under each limit, both ways round, and the mean."""
    lost: list[float] = []
    for table, name in PLACES:
        hyper, space = api.load_space(table), api.load_space(name)
        files = read_directory(directory / table, hyper)
        calibration = load_table(table).calibration
        halves = [
            FittedQuality(
                fit_quality([rows.take(rows.part % 2 == h) for rows in files], hyper), calibration
            )
            for h in range(2)
        ]
        limits = api.load_target(name).limits_ms
        for chooser, judge in (halves, halves[::-1]):
            inner = ModelScorer(hyper, load_latency(table), chooser, limits, None, 1, 0, "best")
            networks = [found[0] for found in BestScorer(inner).top(space, 1)]
            chosen = np.array([network.value for network in networks])
            points = chosen - network_values([network.subnet for network in networks], judge)
            print(
                name,
                "  ".join(
                    f"{limit:g} ms {p:+.2f}" for limit, p in zip(limits, points, strict=True)
                ),
            )
            lost += points.tolist()
    print(f"mean {np.mean(lost):.2f} points")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
