"""From a trained FP32 supernet to the one that QAT trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.operators.size import Size
from spacedsl_runtime.checkpoint import check_rules, part, quantisers_of, said
from spacedsl_runtime.elastic.sums import calibrate_sums
from spacedsl_runtime.elastic.supernet import Supernet
from spacedsl_runtime.errors import RunError, shown
from spacedsl_runtime.plan import read_plan
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.quant.stages import rules_of
from spacedsl_runtime.train.run import ABOUT, CHECKPOINT, PLAN, read_about, read_metrics
from spacedsl_runtime.train.seeds import Use, choices
from spacedsl_runtime.train.state import load_weights, read_training

QAT_FOLDER = "qat"
"""QAT is a run of its own within the folder of the FP32 one."""

NEEDS = "train it first: `spacedsl train SPACE --data D --out RUN`"


def fp32_settings(folder: Path) -> dict[str, Any]:
    """The settings of a folder's FP32 training. Raises `RunError` where there is none."""
    return settings_of(folder, "FP32 training to quantise", NEEDS)


def trained_on(folder: Path) -> tuple[int, int]:
    """Channels and classes of the data of a folder's FP32 training. Raises `RunError`."""
    settings = fp32_settings(folder)
    channels, classes = settings.get("channels"), settings.get("classes")
    if not (isinstance(channels, int) and isinstance(classes, int) and min(channels, classes) > 0):
        raise RunError(f"{folder / ABOUT} does not say channels and classes")
    return channels, classes


def settings_of(folder: Path, what: str, help: str) -> dict[str, Any]:
    """The settings of a run. Raises `RunError` where a folder holds none."""
    path = folder / ABOUT
    if not path.is_file():
        raise RunError(f"{folder} holds no {what}", help)
    settings = read_about(folder).get("settings")
    if not isinstance(settings, dict):
        raise RunError(f"{path} has no settings")
    return settings


def fp32_stamp(folder: Path, hash: str) -> str:
    """The hash of the FP32 checkpoint that QAT of the space `hash` begins with. Raises `RunError`
    unless that is the end of the training, `CheckpointError` for one that is missing or damaged."""
    settings = fp32_settings(folder)
    if settings.get("hash") != hash:
        raise RunError(
            f"{folder} holds a training of space {shown(settings.get('hash'))}; the page is "
            f"{shown(hash)}",
            "name the page of that training, or another folder",
        )
    finished(folder, settings, "FP32 training")
    return stamp_of(folder / CHECKPOINT)


def stamp_of(path: Path) -> str:
    """The hash of a checkpoint."""
    return sha256(path.read_bytes()).hexdigest()


def finished(folder: Path, settings: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The header of a finished training's checkpoint. Raises `RunError` for one that is not at its
    end, `CheckpointError` for a damaged file."""
    path = folder / CHECKPOINT
    help = "go on with it: its command, with --resume"
    if not path.is_file():
        raise RunError(f"{folder} has no checkpoint of its {what} yet", help)
    header, _ = read_training(path)
    step, steps = header["step"], settings.get("steps")
    if step != steps:
        raise RunError(f"the {what} in {folder} is at step {step} of {steps}", help)
    return header


def fp32_scores(folder: Path) -> dict[str, dict[str, Any]]:
    """The scores of a training's end, by the words for the subnet; none where it was ended before
    it wrote them."""
    steps = fp32_settings(folder).get("steps")
    entries = read_metrics(folder)
    ends = [entry["scores"] for entry in entries if "scores" in entry and entry["step"] == steps]
    return {score["subnet"]: score for score in ends[-1].values()} if ends else {}


def scales_moved(folder: Path) -> dict[str, float]:
    """How far the scales of a QAT run have moved, by its last metrics that say so: `median` and
    `largest` share of what they were."""
    found = [e["scales_moved"] for e in read_metrics(folder) if "scales_moved" in e]
    return dict(found[-1]) if found else {}


def check_target(folder: Path, plan: SupernetPlan) -> None:
    """Raises `CheckpointError` where the QAT run in a folder was for another set of 8-bit tensors,
    naming both targets."""
    if (folder / PLAN).is_file():
        before = read_plan(folder / PLAN, "supernet")
        if before.hash == plan.hash:
            check_rules(folder, said(rules_of(before)), said(rules_of(plan)))


def quantised(
    supernet: Supernet,
    fp32: Path,
    begun: Path,
    images: Callable[[Size], Iterable[Tensor]],
    seed: int,
) -> QatSupernet:
    """A QAT supernet with the quantisers that a begun training's checkpoint has (weights and values
    not loaded), or with the weights of `fp32` and quantisers started on the first batch (N, C, H,
    W) of `images` for each of the subnets that cover all. Raises `CheckpointError`."""
    if begun.exists():
        qat = QatSupernet(supernet)
        names = part(read_training(begun)[1], "model")
        qat.adopt(quantisers_of(begun, names, qat))
        return qat
    load_weights(fp32, supernet)
    calibrate_sums(supernet, images)
    qat = QatSupernet(supernet)
    subnets = qat.covering(choices(seed, Use.quantisers))
    qat.start(subnets, [next(iter(images(s.resolution))) for s in subnets])
    return qat
