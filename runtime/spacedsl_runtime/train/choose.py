"""What a search for subnets needs of a QAT supernet: accuracy on held-out images, and files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from spacedsl.compiler.plans import Int8Plan
from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.data.kept import LIMIT, Kept
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data, Unreadables
from spacedsl_runtime.data.views import seen_share
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import DataError, RunError
from spacedsl_runtime.quant.deployment import deploy
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.evaluate import Evaluation, Score
from spacedsl_runtime.train.quantise import (
    QAT_FOLDER,
    check_target,
    finished,
    fp32_settings,
    settings_of,
    stamp_of,
)
from spacedsl_runtime.train.recipe import held_out, training_part
from spacedsl_runtime.train.run import CHECKPOINT
from spacedsl_runtime.train.state import load_weights

IMAGES = 10_000
"""Held-out images that a subnet is valued on, at most."""

NEEDS = "quantise it first: `spacedsl train SPACE --data D --out RUN --qat --target T`"


@dataclass(frozen=True)
class Chooser:
    """A finished QAT supernet, evaluated on `validation` (held-out training images in place of the
    test split) and `test`. `identity`: everything that accuracies depend on, plain JSON."""

    qat: QatSupernet
    data: Data
    validation: Evaluation
    test: Evaluation
    identity: dict[str, Any]

    def value(self, subnet: Subnet) -> float:
        """The INT8 accuracy of a subnet on the held-out images. Raises `SubnetError`,
        `DataError`."""
        return self._score(self.validation, subnet).top1

    def score(self, subnet: Subnet) -> Score:
        """Its INT8 scores on the test split."""
        return self._score(self.test, subnet)

    def _score(self, evaluation: Evaluation, subnet: Subnet) -> Score:
        (found,) = evaluation(self.qat, {subnet.name: subnet})
        if not found.images:
            raise DataError(f"no image of {self.data.spec} can be read")
        return found

    def deploy(self, subnet: Subnet, plan: Int8Plan, path: Path) -> None:
        """Write a subnet's integer model, for its INT8 plan. Raises `DeployError`."""
        network = self.qat.extract(subnet)
        recalibrate(network, self.validation.calibration(subnet.resolution))
        normalise = self.validation.normalise
        from_run = f"QAT {self.identity['checkpoint'][:16]}"
        labels = self.data.labels
        deploy(
            network,
            plan,
            path,
            mean=normalise.mean,
            std=normalise.std,
            crop=seen_share(self.data.augment),
            labels=labels,
            weights_from=from_run,
        )


def open_chooser(
    run: Path,
    plan: SupernetPlan,
    spec: str | None,
    images: int | None,
    unreadables: Unreadables,
    device: torch.device,
    kept_bytes: int = LIMIT,
) -> Chooser:
    """The QAT supernet of a run, for a space's plan with a target. `spec`: where the data of the
    training are now; `images`: how many held-out ones value a subnet; `kept_bytes` of decoded
    images are kept. Raises `RunError` for a run
    without finished QAT, `CheckpointError` for QAT of another space or set of 8-bit tensors,
    `DataError` for other data."""
    folder = run / QAT_FOLDER
    settings = settings_of(folder, "QAT", NEEDS)
    check_target(folder, plan)
    header = finished(folder, settings, "QAT")
    data = open_data(spec or str(header.get("data")), settings.get("decoder"))
    if data.hash != header.get("data_hash"):
        raise DataError(
            f"{data.spec} is not what {run} was trained on", "say where that is: --data"
        )
    kept = min(int(s.get("holdout", 0)) for s in (settings, fp32_settings(run)))
    if not kept:
        help = "train with --holdout N, so that subnets are not chosen by images they saw"
        raise RunError(f"{run} was trained on all images", help)
    wanted = min(kept, IMAGES if images is None else images)
    supernet = load_supernet(plan, data.channels, data.classes).to(device)
    qat = QatSupernet(supernet)
    load_weights(folder / CHECKPOINT, qat)
    normalise = Normalise(tuple(header["mean"]), tuple(header["std"]))
    seed = int(settings.get("seed", 0))
    seen = training_part(data, int(settings["holdout"]))
    held = replace(seen, test=held_out(data, wanted))
    rest = (normalise, seed, device, unreadables)
    validation, test = (Evaluation(d, *rest, Kept(kept_bytes // 2)) for d in (held, seen))
    identity = {
        "space": plan.hash,
        "checkpoint": stamp_of(folder / CHECKPOINT),
        "data": data.hash,
        "decoder": data.decoder,
        "images": wanted,
        "calibration_seed": seed,
    }
    return Chooser(qat.eval(), data, validation, test, identity)
