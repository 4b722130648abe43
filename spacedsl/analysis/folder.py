"""An analysis as a folder: what was measured on, tables, pictures, likes and dislikes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from spacedsl.analysis.analyse import Analysis
from spacedsl.analysis.cases import AnalysisPart
from spacedsl.analysis.report import as_csv, as_text, tastes_csv
from spacedsl.files import check_folder, write_atomic


def make_folder(out: Path) -> None:
    """Raises `SpaceError` where `out` is no folder and cannot become one."""
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)


def write_folder(analysis: Analysis, out: Path) -> bool:
    """Write report.txt, machine.json, tastes.csv, and per part a table and, where matplotlib is
    installed, a picture; returns whether it is. Raises `SpaceError`."""
    parts = [part for part in AnalysisPart if analysis.part(part)]
    write_atomic(out / "report.txt", as_text(analysis))
    write_atomic(out / "machine.json", json.dumps(analysis.description, indent=1) + "\n")
    write_atomic(out / "tastes.csv", tastes_csv(analysis))
    for part in parts:
        write_atomic(out / f"{part.value}.csv", as_csv(analysis, part))
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from spacedsl.analysis.plot import as_png

    for part in parts:
        write_atomic(out / f"{part.value}.png", as_png(analysis, part))
    return True
