"""Settings of a training: what the resulting weights depend on. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, isfinite, pi

from spacedsl_runtime.data.split import Data
from spacedsl_runtime.errors import DataError, RecipeError


@dataclass(frozen=True)
class Recipe:
    """`steps` of `batch` images (over all processes). `lr`: the peak, reached after `warmup` steps,
    from where a cosine falls to 0. `clip`: gradients are clipped to -clip..clip. A step trains the
    largest, the smallest and `random_subnets` random subnets; `distill` is the share of in-place
    distillation in the loss of all but the largest, the rest being that of the labels. `ema`: decay
    of averaged weights per step, 0 for none."""

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
    ema: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if not (isfinite(value) and low <= value <= high):
                raise RecipeError(f"{name} {value:g} is not within {low:g} and {high:g}")

    def lr_at(self, step: int) -> float:
        """The learning rate of a step (from 0)."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + cos(pi * share))


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
    ("ema", 0, 0.999999),
    ("seed", 0, 2**63 - 1),
)


@dataclass(frozen=True)
class Defaults:
    """What a kind of data usually takes; `lr` is for 256 images a step."""

    epochs: int
    batch: int
    lr: float
    warmup_epochs: int
    weight_decay: float


DEFAULTS = {
    "imagefolder": Defaults(360, 512, 0.1, 5, 1e-5),
    "fashion-mnist": Defaults(30, 128, 0.2, 1, 1e-4),
    "digits": Defaults(30, 64, 0.8, 2, 1e-4),
}
"""By the kind of data. ImageNet's: SpaceEvo, Sec. 5 and its authors' code."""


def recipe_for(
    data: Data,
    epochs: int | None = None,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    warmup_epochs: float | None = None,
    weight_decay: float | None = None,
    **more: float | int,
) -> Recipe:
    """The recipe for data, what is not given from `DEFAULTS`. Raises `RecipeError`, and
    `DataError` for data without labels or with less than a batch."""
    if not data.classes:
        raise DataError(f"{data.spec} has no labels to train on")
    if epochs is not None and steps is not None:
        raise RecipeError("both epochs and steps are given", "say one of them")
    usual = DEFAULTS[data.spec.partition(":")[0]]
    size = usual.batch if batch is None else batch
    per_epoch = steps_per_epoch(data, size)
    total = (epochs or usual.epochs) * per_epoch if steps is None else steps
    warm = usual.warmup_epochs if warmup_epochs is None else warmup_epochs
    decay = usual.weight_decay if weight_decay is None else weight_decay
    return Recipe(
        steps=total,
        batch=size,
        lr=usual.lr * size / 256 if lr is None else lr,
        warmup=min(round(warm * per_epoch), total // 2),
        weight_decay=decay,
        **more,  # type: ignore[arg-type]  # fields of the recipe, by name
    )


def steps_per_epoch(data: Data, batch: int) -> int:
    """Whole batches; the rest of an epoch's images is left out. Raises `DataError`."""
    count = len(data.train.labels)
    if not 1 <= batch <= count:
        raise DataError(f"{data.spec} has {count:,} images for training, a batch is {batch:,}")
    return count // batch
