"""Block-wise distillation of onnxw from EfficientNet-Lite0 on photos at 128 px, and its losses
beside those that SpaceEvo's authors published (EfficientNet-B5, ImageNet, 224 to 160 px).

    pip install --target pictures --no-deps foolbox scikit-image
    python scripts/photo_features.py pictures runs/photos

Takes the photos below a folder (other pictures there are left out). Stages of two blocks of the
narrowest windows, kernels 3 and 5: about half an hour on one core. Goes on where it was ended. What
is published is the shipped table's value for the very same sub-stages at 160 px. Prints a table in
Markdown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from spacedsl import api
from spacedsl.ir.space import Space
from spacedsl.tables.distilled import substage_rows
from spacedsl.tables.files import load_quality
from spacedsl.tables.fit_quality import substages
from spacedsl.tables.statistics import kendall_tau

ROOT = Path(__file__).parents[1]
LEAST_SIDE, LEAST_COLOURS = 300, 10_000
"""Of what counts as a photo."""
PUBLISHED = 160
SETTINGS = "--steps 120 --batch 8 --samples 12 --threads 1 --nsr authors"


def take_photos(pictures: Path, folder: Path) -> int:
    """Copy the photos below `pictures` into one folder; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(pictures.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            with Image.open(path) as image:
                if image.mode == "RGB" and min(image.size) >= LEAST_SIDE:
                    colours = image.getcolors(maxcolors=LEAST_COLOURS)
                    if colours is None:
                        shutil.copy(path, folder / path.name)
    return len(list(folder.iterdir()))


def smaller(page: str) -> str:
    """onnxw at 128 px with its narrowest windows, two blocks a stage, kernels 3 and 5."""
    page = re.sub(r"input 3 x .*", "input 3 x 128", page).replace("kernel 3, 5, 7", "kernel 3, 5")

    def narrowed(found: re.Match[str]) -> str:
        least, window = int(found[1]), int(found[2])
        return f"width {least}..{least + 16 * (window - 1)} step 16  window {window}  depth 2"

    page = re.sub(r"width (\d+)\.\.\d+ step 16  window (\d)  depth \d\.\.\d", narrowed, page)
    return page.replace("hyperspace onnxw", "hyperspace photos")


def losses(out: Path, space: Space) -> dict[tuple[int, int], tuple[float, float]]:
    """Mean loss measured and published, of every finished job by stage and block type."""
    published = load_quality("onnxw")
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for path in sorted((out / "bkd" / "jobs").glob("*.json")):
        job = json.loads(path.read_text())
        number, choice = (int(part) for part in re.findall(r"\d+", job["job"])[:2])
        if not job.get("rows"):
            continue
        (cell,) = substages(substage_rows(space, number, choice, job["rows"]), space)
        stage = published.stage(number, cell.choice)
        if stage is None:
            continue
        same = np.full(len(cell.loss), PUBLISHED)
        theirs = stage.losses(same, cell.cin, cell.depth, cell.widths, cell.settings)
        found[number, choice] = float(cell.loss.mean()), float(theirs.mean())
    return found


def ranks(values: list[float]) -> np.ndarray:
    """From 0, the least first."""
    return np.argsort(np.argsort(values)).astype(float)


def print_table(found: dict[tuple[int, int], tuple[float, float]], space: Space) -> None:
    """Measured / published by stage and block type, with both coefficients of rank."""
    names = [c.block.name for c in space.stages[space.elastic[0]].choices]
    print("| stage | " + " | ".join(names) + " | Kendall | Spearman |")
    print("|---" * (len(names) + 3) + "|")
    taus: list[float] = []
    for number in range(1, len(space.elastic) + 1):
        row = [found.get((number, choice)) for choice in range(len(names))]
        shown = (
            [f"{a:.3f} / {b:.3f}" for a, b in filter(None, row)] if all(row) else ["-"] * len(names)
        )
        pairs = np.array([pair for pair in row if pair])
        tau = rho = float("nan")
        if len(pairs) > 1:
            tau = kendall_tau(pairs[:, 0], pairs[:, 1])
            rho = float(np.corrcoef(ranks(list(pairs[:, 0])), ranks(list(pairs[:, 1])))[0, 1])
        taus.append(tau)
        print(f"| {number} | " + " | ".join(shown) + f" | {tau:.2f} | {rho:.2f} |")
    print(f"\nKendall's coefficient, mean of the stages: {np.mean(taus):.2f}")


def main() -> None:
    """Distil, then compare."""
    pictures, out = Path(sys.argv[1]), Path(sys.argv[2])
    print(f"{take_photos(pictures, out / 'photos')} photos", file=sys.stderr)
    page = out / "photos.space"
    page.write_text(smaller((ROOT / "spaces" / "onnxw.space").read_text()))
    words = ["distill", "--hyper", str(page), "--data", f"photos:{out / 'photos'}"]
    words += ["--teacher", "lite0", "--out", str(out / "bkd"), "--resume", *SETTINGS.split()]
    subprocess.run([sys.executable, "-m", "spacedsl", *words], check=True)
    space = api.load_space(str(page))
    print_table(losses(out, space), space)


if __name__ == "__main__":
    main()
