"""Make the shipped table files from the published lookup tables.

    python scripts/fit_tables.py /path/to/spaceevo_block_lut

Takes about three minutes on one core and gives the same bytes on the same numpy build."""

from __future__ import annotations

import sys
from pathlib import Path

from calibrate_tables import calibrate

from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.lang.page import Loader
from spacedsl.tables.files import save_table
from spacedsl.tables.fit import fit_directory
from spacedsl.tables.quality import FittedQuality
from spacedsl.tables.schema import TableFile
from spacedsl.tables.transfer import Offset, check_comparable, transfer

ROOT = Path(__file__).parents[1]
DATA = ROOT / "spacedsl" / "tables" / "data"
PROVENANCE = "Microsoft Moonlit, SpaceEvo block lookup tables; see README.md beside this file"
LICENCE = "MIT"
TEACHER = "EfficientNet-B5"
STUDENT_VARIANCE = "student-variance"
"""The published tables divide the squared error by the student's variance, not the teacher's."""

DEVICES = {"onnxw": "Intel VNNI CPU, ONNX Runtime", "mobilew": "Pixel 4 CPU, TFLite 2.7"}


def page(name: str) -> Space:
    """A hyperspace of the library."""
    found = Loader().load(ROOT / "spaces" / f"{name}.space").get(name)
    if not isinstance(found, Space):
        raise TypeError(f"{name} is no hyperspace")
    return found


def quality(table: TableFile) -> FittedQuality:
    """The NSR losses of a fit."""
    if table.quality is None:
        raise ValueError("the table has no NSR losses")
    return FittedQuality(table.quality)


def hyper(onnxw: TableFile, mobilew: TableFile) -> tuple[TableFile, tuple[Offset, ...]]:
    """The paper's seven block types on onnxw's widths."""
    check_comparable(onnxw, mobilew)
    space = page("hyper")
    here, source = quality(onnxw), quality(mobilew)
    combined, offsets = transfer(space, here, source)
    origin = onnxw.source.model_copy(
        update={
            "hyperspace": space.name,
            "hyperspace_hash": space_identity(space),
            "note": "fused-se from mobilew, less per-stage offsets; the other types from onnxw",
        }
    )
    return TableFile(source=origin, quality=combined), offsets


def main(directory: Path) -> None:
    """Fit and write all files; print the offsets."""
    fits: dict[str, TableFile] = {}
    for name, device in DEVICES.items():
        fits[name] = fit_directory(
            directory / name,
            page(name),
            device=device,
            teacher=TEACHER,
            nsr=STUDENT_VARIANCE,
            provenance=PROVENANCE,
            licence=LICENCE,
        )
        save_table(fits[name], DATA / f"{name}.json")
    combined, offsets = hyper(fits["onnxw"], fits["mobilew"])
    save_table(combined, DATA / "hyper.json")
    calibrate()
    for offset in offsets:
        shared = ", ".join(f"{name} {value:+.3f}" for name, value in offset.differences)
        print(f"stage{offset.stage}: {offset.median:+.3f} (spread {offset.spread:.3f}; {shared})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
