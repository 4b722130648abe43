"""Settings of a training: what the resulting weights depend on. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import cos, isfinite, pi
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spacedsl_runtime.data.source import Defaults
from spacedsl_runtime.data.sources import source_of
from spacedsl_runtime.data.split import Data, Split
from spacedsl_runtime.errors import DataError, RecipeError
from spacedsl_runtime.train.seeds import Use, numbers

DistillLoss = Literal["kl", "alpha"]

Precision = Literal["fp32", "tf32", "bf16"]
"""How products are computed. `fp32`: in float32. `tf32`: CUDA's matrix units read the leading 10
bits of a float32's fraction; a CPU computes as for `fp32`. `bf16`: autocast, that is, matrix
products and convolutions in bfloat16, losses and batch norms' statistics in float32. Weights,
gradients and the optimiser's state are float32 in each."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Recipe:
    """`steps` of `batch` images (over all processes). `lr`: the peak, reached after `warmup` steps,
    from where a cosine falls to 0. `clip`: gradients are clipped to -clip..clip. A step trains the
    largest, the smallest and `random_subnets` random subnets; `distill` is the share of in-place
    distillation in the loss of all but the largest, the rest being that of the labels; it is
    reached after `distill_warmup` steps, in which the largest learns what it is to teach;
    `distill_loss` is its divergence (`losses.py`). `ema`: decay of averaged weights per step, 0 for
    none. `micro_batch`: so many images of one process go through the networks at once, and
    gradients are added up over the batch; batch norms see no more images than these. 0: all of
    them. `holdout` training images are left out, for a search to choose subnets by. In QAT
    `quantiser_lr` is the share of itself that a scale moves in a step at most, at the peak; it is
    warmed up and lowered like `lr`."""

    steps: int
    batch: int
    lr: float
    warmup: int
    weight_decay: float
    label_smoothing: float = 0.1
    momentum: float = 0.9
    clip: float = 1.0
    random_subnets: int = 2
    distill: float = 1.0
    distill_warmup: int = 0
    distill_loss: DistillLoss = "kl"
    ema: float = 0.0
    micro_batch: int = 0
    precision: Precision = "fp32"
    holdout: int = 0
    quantiser_lr: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if not (isfinite(value) and low <= value <= high):
                raise RecipeError(f"{name} {value:g} is not within {low:g} and {high:g}")
        if self.precision not in PRECISIONS:
            raise RecipeError(f"precision {self.precision!r} is none of {', '.join(PRECISIONS)}")

    def lr_at(self, step: int) -> float:
        """The learning rate of a step (from 0)."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + cos(pi * share))

    def distill_at(self, step: int) -> float:
        """The share of in-place distillation in a step (from 0)."""
        return self.distill * min(1.0, (step + 1) / max(1, self.distill_warmup))


_BOUNDS = (
    ("steps", 1, 1e9),
    ("batch", 1, 1e6),
    ("lr", 0, 1e38),
    ("warmup", 0, 1e9),
    ("weight_decay", 0, 1),
    ("label_smoothing", 0, 0.99),
    ("momentum", 0, 0.9999),
    ("clip", 1e-6, 1e6),
    ("random_subnets", 0, 64),
    ("distill", 0, 1),
    ("distill_warmup", 0, 1e9),
    ("ema", 0, 0.999999),
    ("micro_batch", 0, 1e6),
    ("holdout", 0, 1e9),
    ("quantiser_lr", 0, 0.5),
    ("seed", 0, 2**63 - 1),
)


HOLDOUT_SHARE, HOLDOUT_MOST = 10, 10_000
"""A tenth of the training images is held out, at most as many as the paper takes of ImageNet."""

QAT_LR_SHARE = 0.1
"""QAT's learning rate over that of FP32 (SpaceEvo, Sec. 5)."""

QUANTISER_LR = 1e-3

DISTILL_WARMUP = 300
"""Steps in which the share of in-place distillation rises where the learning rate's warm-up is
shorter: until then the largest subnet has little to teach (docs/training.md)."""


def recipe_for(
    data: Data,
    epochs: int | None = None,
    steps: int | None = None,
    warmup_epochs: float | None = None,
    distill_warmup_epochs: float | None = None,
    **given: Any,
) -> Recipe:
    """The recipe for data: fields of `Recipe` that are given, the others as usual; None is
    not given. Raises `RecipeError`, and `DataError` for data without labels or with less than a
    batch."""
    usual = _usual(data)
    found = _said(given)
    batch = found.setdefault("batch", usual.batch)
    found.setdefault("lr", usual.lr * batch / 256)
    found.setdefault("weight_decay", usual.weight_decay)
    found.setdefault("holdout", min(len(data.train.labels) // HOLDOUT_SHARE, HOLDOUT_MOST))
    warm = usual.warmup_epochs if warmup_epochs is None else warmup_epochs
    return _timed(data, found, epochs, steps, usual.epochs, warm, distill_warmup_epochs)


def qat_recipe_for(
    data: Data,
    fp32: Mapping[str, Any],
    epochs: int | None = None,
    steps: int | None = None,
    warmup_epochs: float | None = None,
    distill_warmup_epochs: float | None = None,
    **given: Any,
) -> Recipe:
    """The recipe for QAT of weights that were trained with the settings `fp32`, which hold unless
    given; the learning rate is a tenth of theirs, the batch is not larger, and the share of
    in-place distillation does not rise unless that is asked for. Raises as
    `recipe_for`, and `RecipeError` for settings that are none."""
    usual = _usual(data)
    own = {"steps", "warmup", "lr", "batch", "precision", "quantiser_lr", "distill_warmup"}
    names = {f.name for f in fields(Recipe)} - own
    found = {name: fp32[name] for name in names if name in fp32} | _said(given)
    photos = data.augment == "photo"
    try:
        trained = int(fp32["batch"])
        batch = found.setdefault("batch", min(usual.qat_batch, trained) if photos else trained)
        found.setdefault("lr", float(fp32["lr"]) * batch / trained * QAT_LR_SHARE)
        found.setdefault("quantiser_lr", QUANTISER_LR)
        warm = usual.qat_warmup_epochs if warmup_epochs is None else warmup_epochs
        rise = distill_warmup_epochs or 0.0
        return _timed(data, found, epochs, steps, usual.qat_epochs, warm, rise)
    except (KeyError, TypeError, ArithmeticError) as error:
        raise RecipeError(f"the settings of the FP32 training are damaged: {error}") from None


def _usual(data: Data) -> Defaults:
    usual = source_of(data.spec).defaults
    if not data.classes or usual is None:
        raise DataError(f"{data.spec} has no labels to train on")
    return usual


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _timed(
    data: Data,
    found: Mapping[str, Any],
    epochs: int | None,
    steps: int | None,
    usual_epochs: int,
    warmup_epochs: float,
    distill_warmup_epochs: float | None,
) -> Recipe:
    if epochs is not None and steps is not None:
        raise RecipeError("both epochs and steps are given", "say one of them")
    kept = training_part(data, found["holdout"])
    per_epoch = steps_per_epoch(kept, found["batch"])
    total = (epochs or usual_epochs) * per_epoch if steps is None else steps
    warmup = min(round(warmup_epochs * per_epoch), total // 2)
    if distill_warmup_epochs is None:
        rise = max(DISTILL_WARMUP, warmup)
    else:
        rise = round(distill_warmup_epochs * per_epoch)
    return Recipe(**{"steps": total, "warmup": warmup, "distill_warmup": rise, **found})


def steps_per_epoch(data: Data, batch: int) -> int:
    """Whole batches; the rest of an epoch's images is left out. Raises `DataError`."""
    count = len(data.train.labels)
    if not 1 <= batch <= count:
        message = f"{data.spec} has {count:,} images for training, a batch is {batch:,}"
        raise DataError(message, "take more images, or a smaller batch: --batch 32")
    return count // batch


def training_part(data: Data, holdout: int) -> Data:
    """The data without the held-out training images. Raises `DataError` where none is left."""
    return replace(data, train=data.train.some(_parts(data, holdout)[1])) if holdout else data


def held_out(data: Data, holdout: int) -> Split:
    """The held-out training images, which `training_part` leaves out."""
    return data.train.some(_parts(data, holdout)[0])


def _parts(data: Data, holdout: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices: the same for every seed, so that those of fewer are among those of more."""
    count = len(data.train.labels)
    if not 0 <= holdout < count:
        raise DataError(f"{data.spec} has {count:,} images for training, {holdout:,} are held out")
    order = numbers(0, Use.holdout).permutation(count)
    return np.sort(order[:holdout]), np.sort(order[holdout:])
