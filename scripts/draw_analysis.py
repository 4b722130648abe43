"""Draw the pictures of docs/analysis again from its tables, without measuring.

python scripts/draw_analysis.py
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

from spacedsl import api
from spacedsl.analysis.analyse import Analysis
from spacedsl.analysis.cases import AnalysisPart, cases_of
from spacedsl.analysis.measured import Figure, Row
from spacedsl.analysis.plot import as_png
from spacedsl.analysis.tastes import reference_of, tastes
from spacedsl.files import write_atomic

DOCS = Path(__file__).parents[1] / "docs" / "analysis"


def read_analysis(folder: Path) -> Analysis:
    """What an analysis wrote into a folder, of a target that was measured."""
    description = json.loads((folder / "machine.json").read_text(encoding="utf-8"))
    rows = tuple(row for part in AnalysisPart for row in _rows(folder / f"{part.value}.csv", part))
    target = api.load_target(description["target"])
    return Analysis(target, rows, tastes(rows), reference_of(rows), description)


def _rows(path: Path, part: AnalysisPart) -> list[Row]:
    cases = {(c.name, c.channels, c.size): c for c in cases_of(part)}
    with path.open(encoding="utf-8", newline="") as file:
        return [_row(cases, line) for line in csv.DictReader(file)]


def _row(cases: dict, line: dict) -> Row:
    case = cases[line["name"], int(line["channels"]), int(line["size"])]
    int8 = _figure(line, "int8_ms")
    assert int8 is not None
    fp32, speedup = _figure(line, "fp32_ms"), _figure(line, "speedup")
    return Row(case, int8, fp32, speedup, line["status"], line["coverage"])


def _figure(line: dict, name: str) -> Figure | None:
    found = [line[name + bound] for bound in ("", "_low", "_high")]
    return Figure(*(float(v) if v else None for v in found)) if found[0] else None


if __name__ == "__main__":
    for name in ("cpu", "litert"):
        analysis = read_analysis(DOCS / name)
        for part in AnalysisPart:
            write_atomic(DOCS / name / f"{part.value}.png", as_png(analysis, part))
