"""Both local targets analysed, and where their tastes contradict (the paper's Observation 3).

    python benchmarks/analysis.py [--budget 4m] [--out docs/analysis]
    python benchmarks/analysis.py --contrast-only

writes OUT/cpu, OUT/litert (as `spacedsl analyze --out` does) and OUT/contrast.csv. A gain is what
INT8 brings over FP32; over a device's own mean of whole models it says what that device would have
more of. Two devices contradict where one gains surely more than its mean and the other surely
less."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from spacedsl import api
from spacedsl.analysis.analyse import analyse
from spacedsl.analysis.cases import AnalysisPart
from spacedsl.analysis.folder import make_folder, write_folder
from spacedsl.cli.limits import parse_seconds
from spacedsl.files import write_atomic

TARGETS = ("cpu", "litert")

Taste = dict[str, str]


def read_tastes(folder: Path) -> dict[tuple[str, str], Taste]:
    """By part and name, those that have a gain."""
    with (folder / "tastes.csv").open(encoding="utf-8") as file:
        return {(row["part"], row["name"]): row for row in csv.DictReader(file) if row["gain"]}


def relative(taste: Taste) -> tuple[float, float, float]:
    """A gain and its interval over the device's reference."""
    gain, low, high = (float(taste[key]) / float(taste["reference"]) for key in RELATIVE)
    return gain, low, high


RELATIVE = ("gain", "low", "high")


def contrast(first: Path, second: Path) -> str:
    """The table of what both devices have gains for, by how much more the first gains."""
    one, two = read_tastes(first), read_tastes(second)
    lines = []
    for key in one.keys() & two.keys():
        a, b = relative(one[key]), relative(two[key])
        opposite = (a[1] > 1 and b[2] < 1) or (a[2] < 1 and b[1] > 1)
        gains = f"{float(one[key]['gain']):.2f},{float(two[key]['gain']):.2f}"
        shares = f"{a[0]:.2f},{b[0]:.2f},{a[0] / b[0]:.2f}"
        word = "contradict" if opposite else ""
        lines.append((-a[0] / b[0], f"{','.join(key)},{gains},{shares},{word}"))
    names = [f"{kind}_{folder.name}" for kind in ("gain", "relative") for folder in (first, second)]
    head = ",".join(["part", "name", *names, "ratio", "verdict"])
    return "\n".join([head, *(line for _, line in sorted(lines))]) + "\n"


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", default="4m")
    parser.add_argument("--out", type=Path, default=Path("docs/analysis"))
    parser.add_argument("--contrast-only", action="store_true")
    args = parser.parse_args()
    for name in () if args.contrast_only else TARGETS:
        found = analyse(
            api.load_target(name),
            list(AnalysisPart),
            parse_seconds(args.budget),
            lambda part, share: None,
        )
        make_folder(args.out / name)
        write_folder(found, args.out / name)
    table = contrast(*(args.out / name for name in TARGETS))
    write_atomic(args.out / "contrast.csv", table)
    print(table, end="")


if __name__ == "__main__":
    main()
